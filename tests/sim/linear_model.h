/* What the operations mean, said a second time and apart from node/execute.c: the checker does not
 * share code with what it checks. */
#ifndef RINGKV_TESTS_SIM_LINEAR_MODEL_H
#define RINGKV_TESTS_SIM_LINEAR_MODEL_H

#include "tests/sim/linear.h"
#include <stdbool.h>

/* The values that occur, each with a number; 0 is "absent". */
struct model;

struct model *model_new(void);
void model_free(struct model *m);

/* Lets an operation take effect on `state`, in which slots[k] is where the number of the value of
 * its kth key stands. False, when `answered`: its answer could not be this one. */
bool model_step(struct model *m, const struct linear_op *op, const uint8_t *slots, uint32_t *state,
                bool answered);

#endif
