/* The client's side of RESP2: from what a proxy wrote to what the history keeps. */
#ifndef RINGKV_TESTS_SIM_CLIENT_REPLY_H
#define RINGKV_TESTS_SIM_CLIENT_REPLY_H

#include "shared/bytes.h"
#include "tests/sim/linear.h"
#include <stdint.h>

enum outcome {
    OUTCOME_ANSWERED,  /* also with an error that the command's keys deserved */
    OUTCOME_REFUSED,   /* nothing was done */
    OUTCOME_UNCERTAIN, /* it is not known */
    OUTCOME_WRONG,     /* an error that should not have come */
};

struct client_reply {
    enum outcome outcome;
    uint8_t kind; /* enum reply_kind, when answered */
    int64_t integer;
    uint32_t count; /* of results in an array */
    struct bytes results[LINEAR_OP_KEYS_MAX];
    uint8_t nils;       /* bit i: results[i] is nil */
    struct bytes error; /* its text, of all outcomes with one */
};

/* Reads the first reply of `in`; results point into it. Its size; 0: it is not whole; -1: it is no
 * reply. */
int64_t client_reply_read(struct bytes in, struct client_reply *out);

#endif
