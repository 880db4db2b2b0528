/* Inputs for the fuzz targets to begin with: without them, nothing that has a checksum, a count or
 * several fields that must fit each other would be accepted in a run of seconds, and what comes
 * after being accepted never be tried. */
#ifndef RINGKV_TESTS_FUZZ_SEEDS_H
#define RINGKV_TESTS_FUZZ_SEEDS_H

#include "shared/bytes.h"
#include "tests/fuzz/check.h"

/* Writes an input for fuzz_TARGET: a byte that chooses, then the rest. */
void seed(const char *target, const char *name, uint8_t choice, struct bytes rest);

void seed_frames(void); /* one of each message */
void seed_rings(void);  /* settled, and in each phase of a change */
void seed_trees(void);  /* a small LMDB file */

#endif
