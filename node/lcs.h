/* The longest common subsequence of two values, and the runs of bytes that it is made of.
 *
 * The table of Wagner and Fischer (1974), walked back as Redis walks it, so that among several
 * longest subsequences the same one is found. */
#ifndef RINGKV_NODE_LCS_H
#define RINGKV_NODE_LCS_H

#include "shared/bytes.h"
#include <stdint.h>

/* Entries of the table: (size of the one value + 1) * (size of the other + 1). So many take some 10
 * ms, in which the thread does nothing else, and 16 MiB for so long. */
enum { LCS_ENTRIES_MAX = 1 << 22 };

struct lcs {
    struct bytes a, b;
    uint32_t *table;
};

/* A run of the one value that is a run of the other. */
struct lcs_match {
    uint32_t a_first, a_last, b_first, b_last;
};

/* Fills the table. 0; RK_TOOBIG: more than LCS_ENTRIES_MAX; RK_NOMEM. lcs_free at the end, after a
 * failure as well. */
int lcs_begin(struct lcs *l, struct bytes a, struct bytes b);
void lcs_free(struct lcs *l);

uint32_t lcs_length(const struct lcs *l);

/* Writes the subsequence, lcs_length bytes. */
void lcs_text(const struct lcs *l, uint8_t *to);

/* Gives the matches of at least `shortest` bytes, from the last to the first. Stops when `each`
 * returns other than 0, which is then the result. */
int lcs_matches(const struct lcs *l, int64_t shortest,
                int (*each)(void *arg, const struct lcs_match *match), void *arg);

#endif
