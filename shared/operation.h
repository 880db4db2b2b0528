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
 * Arguments: k = one store key, v = one value, i = int64 little-endian, c = a place among the
 * partition's store keys, x = a part of a transaction; "k*" and "kv*": once or more. Replies: o =
 * OK, n = nil, i = integer, b = bulk, a = array with a value for each argument, s = array of some
 * values, r = results of a transaction. */
#define OPERATIONS(X)                                                                            \
    X(GET, 1, false, "k", "bn")                                                                  \
    X(MGET, 2, false, "k*", "a")                                                                 \
    X(EXISTS, 3, false, "k*", "i") /* how many are there, repeated keys counted again */         \
    X(STRLEN, 4, false, "k", "i")                                                                \
    X(SET, 5, true, "kv", "o")                                                                   \
    X(MSET, 6, true, "kv*", "o")                                                                 \
    X(SETNX, 7, true, "kv", "i")     /* 1 set, 0 was there */                                    \
    X(GETSET, 8, true, "kv", "bn")   /* the old value */                                         \
    X(DEL, 9, true, "k*", "i")       /* how many were there */                                   \
    X(INCRBY, 10, true, "ki", "i")   /* the new value */                                         \
    X(APPEND, 11, true, "kv", "i")   /* the new length */                                        \
    X(CAS, 40, true, "kvv", "i")     /* expected, new: 1 done, 0 differs, -1 no such key */      \
    X(MSETNX, 41, true, "kv*", "i")  /* 1 all set, 0 one of them was there */                    \
    X(RENAME, 42, true, "kki", "oi") /* from, to, 0: OK; or KEY_UNLESS_THERE: 1 done, 0 not */   \
    X(COPY, 43, true, "kki", "i")    /* from, to, KEY_UNLESS_THERE or 0: 1 done, 0 not */        \
    X(WATCH, 44, false, "k*", "a")   /* a token for each, see shared/transaction.h */            \
    X(EXEC, 45, true, "x*", "rn")    /* nil: a watched key has changed, nothing was done */      \
    X(SCAN, 46, false, "cii", "s")   /* from, records to look at, bucket or -1: store keys, then \
                                        the place to go on at or nil */                          \
    X(COUNT, 47, false, "ci", "s")   /* likewise: how many are there (int64), place or nil */    \
    X(FLUSH, 48, true, "ci", "bn")   /* likewise: the place to go on at or nil */

enum operation {
#define X(name, number, writes, args, replies) OP_##name = number,
    OPERATIONS(X)
#undef X
};

enum { KEY_UNLESS_THERE = 1 };

/* SCAN tells the keys of one position apart by buckets: those of a key's checksum. */
enum { SCAN_BUCKETS = 64 };

struct operation_info {
    const char *name;
    bool writes;
    const char *args;
    const char *replies;
};

/* NULL for a number that is none. */
const struct operation_info *operation_info(uint8_t op);

/* Whether it is about a range of the partition, and not about keys that it names: such a read is
 * for the primary alone. */
bool operation_is_range(uint8_t op);

#endif
