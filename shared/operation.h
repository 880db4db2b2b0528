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

/* name, number, writes, arguments: k = one store key, v = one value, i = int64 little-endian;
 * "k*" and "kv*": once or more. */
#define OPERATIONS(X)                                                                        \
    X(GET, 1, false, "k")     /* bulk, or nil */                                             \
    X(MGET, 2, false, "k*")   /* array of bulk or nil */                                     \
    X(EXISTS, 3, false, "k*") /* integer: how many are there, repeated keys counted again */ \
    X(STRLEN, 4, false, "k")  /* integer */                                                  \
    X(SET, 5, true, "kv")     /* ok */                                                       \
    X(MSET, 6, true, "kv*")   /* ok */                                                       \
    X(SETNX, 7, true, "kv")   /* integer: 1 set, 0 was there */                              \
    X(GETSET, 8, true, "kv")  /* bulk or nil: the old value */                               \
    X(DEL, 9, true, "k*")     /* integer: how many were there */                             \
    X(INCRBY, 10, true, "ki") /* integer: the new value; error */                            \
    X(APPEND, 11, true, "kv") /* integer: the new length; error */

enum operation {
#define X(name, number, writes, args) OP_##name = number,
    OPERATIONS(X)
#undef X
};

struct operation_info {
    const char *name;
    bool writes;
    const char *args;
};

/* NULL for a number that is none. */
const struct operation_info *operation_info(uint8_t op);

#endif
