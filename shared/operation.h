/* What a proxy can ask a node to do with the keys of one partition.
 *
 * The proxy turns each Redis command into one or several of these (INCR, DECR and DECRBY are
 * INCRBY; an MGET over five partitions is five MGETs). Keys travel as store keys: position, 8 bytes
 * big-endian, then the user's key; so the node neither hashes nor copies.
 */
#ifndef RINGKV_SHARED_OPERATION_H
#define RINGKV_SHARED_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

/* name, number, writes, arguments, replies besides errors.
 * Arguments: k = one store key, v = one value, i = int64 little-endian; "k*" and "kv*": once or
 * more. Replies: o = OK, n = nil, i = integer, b = bulk, a = array with a value for each argument.
 */
#define OPERATIONS(X)                                                                    \
    X(GET, 1, false, "k", "bn")                                                          \
    X(MGET, 2, false, "k*", "a")                                                         \
    X(EXISTS, 3, false, "k*", "i") /* how many are there, repeated keys counted again */ \
    X(STRLEN, 4, false, "k", "i")                                                        \
    X(SET, 5, true, "kv", "o")                                                           \
    X(MSET, 6, true, "kv*", "o")                                                         \
    X(SETNX, 7, true, "kv", "i")   /* 1 set, 0 was there */                              \
    X(GETSET, 8, true, "kv", "bn") /* the old value */                                   \
    X(DEL, 9, true, "k*", "i")     /* how many were there */                             \
    X(INCRBY, 10, true, "ki", "i") /* the new value */                                   \
    X(APPEND, 11, true, "kv", "i") /* the new length */

enum operation {
#define X(name, number, writes, args, replies) OP_##name = number,
    OPERATIONS(X)
#undef X
};

struct operation_info {
    const char *name;
    bool writes;
    const char *args;
    const char *replies;
};

/* NULL for a number that is none. */
const struct operation_info *operation_info(uint8_t op);

#endif
