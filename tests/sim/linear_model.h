/* What the operations mean, said a second time and apart from node/execute.c: the checker does not
 * share code with what it checks. */
#ifndef RINGKV_TESTS_SIM_LINEAR_MODEL_H
#define RINGKV_TESTS_SIM_LINEAR_MODEL_H

#include "tests/sim/linear.h"
#include <stdbool.h>

/* The values that occur, each, with its expiry, with a number; 0 is "absent". */
struct model;

struct model *model_new(void);
void model_free(struct model *m);

/* Where in a state an operation's keys are, each with the number of its value; and the time (the
 * latest LINEAR_EXPIRY's `by`, 0 at first), which only those look at that model_is_timed names. */
struct model_slots {
    uint8_t keys[LINEAR_OP_KEYS_MAX], time;
};
bool model_is_timed(const struct linear_op *op);

/* Lets an operation take effect on `state`. False, when `answered`: its answer could not be this
 * one. */
bool model_step(struct model *m, const struct linear_op *op, const struct model_slots *slots,
                uint32_t *state, bool answered);

#endif
