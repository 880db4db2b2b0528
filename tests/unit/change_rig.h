/* Small rings for the tests of ringctl's changes. */
#ifndef RINGKV_TESTS_CHANGE_RIG_H
#define RINGKV_TESTS_CHANGE_RIG_H

#include "shared/ring.h"
#include "tools/edit.h"

/* Members n1, n2... at 10.0.0.1:7400 and so on, planned and finished, of epoch 1. */
struct ring *rig_made(uint32_t members, uint8_t bits, uint8_t replicas);

/* The target that some lines of a plan file make of a ring: nodes that join get identities. */
struct ring *rig_target(const struct ring *now, const char *plan, uint16_t heirs[MEMBERS_MAX]);

#endif
