/* Is a history linearizable? Wing and Gong's search (1993) with Lowe's memory of configurations
 * (2017), over a map of keys: the keys that multi-key operations tie together are checked
 * together, the others each by itself (Herlihy and Wing: linearizability is local).
 */
#ifndef RINGKV_TESTS_SIM_LINEAR_H
#define RINGKV_TESTS_SIM_LINEAR_H

#include "shared/bytes.h"
#include "shared/message.h"
#include "shared/operation.h"
#include <stdint.h>

enum {
    LINEAR_OP_KEYS_MAX = 4, /* of one operation */
    LINEAR_KEYS_MAX = 16,   /* tied together */
    LINEAR_OPS_MAX = 1024,  /* on keys tied together */
};

#define LINEAR_NEVER UINT64_MAX

/* As `op`: time has come to `by`, at which its key's value expires if it has that expiry. A history
 * with SETX or EXPIRE has one for each of them, on the same key; a moment of its own, so with an
 * answer. */
enum { LINEAR_EXPIRY = 0 };

struct linear_op {
    uint8_t op; /* enum operation, or LINEAR_EXPIRY */
    uint8_t key_count;
    uint16_t keys[LINEAR_OP_KEYS_MAX];
    /* SET, SETX, MSET, SETNX, GETSET, APPEND; CAS: expected, new. EXEC: of GETSETs in one piece. */
    struct bytes values[LINEAR_OP_KEYS_MAX];
    int64_t by; /* INCRBY; SETX, EXPIRE, LINEAR_EXPIRY: when, milliseconds, 1 .. UINT32_MAX */

    /* Moments of one clock, all different. returned = LINEAR_NEVER: there was no answer, so it may
     * have taken effect at any time after, or never; then the rest is not looked at. */
    uint64_t invoked, returned;
    /* Operations of one line (0: none) were asked by one client without waiting: those with an
     * answer take effect in the order of their invocation, unless both only read. */
    uint32_t line;
    uint8_t kind; /* enum reply_kind: OK, NIL, INTEGER, BULK, ARRAY, ERROR */
    int64_t integer;
    struct bytes results[LINEAR_OP_KEYS_MAX]; /* BULK, ARRAY: of EXEC the values before */
    uint8_t nils;                             /* ARRAY: bit i: results[i] is nil */
};

enum linear_verdict {
    LINEAR_YES,
    LINEAR_NO,
    LINEAR_UNDECIDED, /* more configurations than `configurations_max` */
};

/* All keys are absent at first. *key, when NO or UNDECIDED: one of the keys concerned. Out of
 * memory, or a history beyond the limits above, ends the program. */
enum linear_verdict linear_check(const struct linear_op *ops, size_t count,
                                 size_t configurations_max, uint16_t *key);

#endif
