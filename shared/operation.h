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
 * OK, n = nil, i = integer, b = bulk, a = array with a value for each argument, or, of a range,
 * with one at least, r = results of a transaction. */
#define OPERATIONS(X)                                                                              \
    X(GET, 1, false, "k", "bn")                                                                    \
    X(MGET, 2, false, "k*", "a")                                                                   \
    X(EXISTS, 3, false, "k*", "i") /* how many are there, repeated keys counted again */           \
    X(STRLEN, 4, false, "k", "i")                                                                  \
    X(SET, 5, true, "kv", "o")                                                                     \
    X(MSET, 6, true, "kv*", "o")                                                                   \
    X(SETNX, 7, true, "kv", "i")     /* 1 set, 0 was there */                                      \
    X(GETSET, 8, true, "kv", "bn")   /* the old value */                                           \
    X(DEL, 9, true, "k*", "i")       /* how many were there */                                     \
    X(INCRBY, 10, true, "ki", "i")   /* the new value */                                           \
    X(APPEND, 11, true, "kv", "i")   /* the new length */                                          \
    X(SETX, 12, true, "kvii", "obn") /* value, when it expires, SETX_* */                          \
    X(GETEX, 13, true, "kii", "bn")  /* when it expires, GETEX_* */                                \
    X(GETDEL, 14, true, "k", "bn")                                                                 \
    X(EXPIRE, 15, true, "kii", "i")     /* when, EXPIRE_*; 1 done, 0 not */                        \
    X(PERSIST, 16, true, "k", "i")      /* 1 it had an expiry, 0 not */                            \
    X(PTTL, 17, false, "k", "i")        /* milliseconds left; -1 no expiry, -2 no key */           \
    X(PEXPIRETIME, 18, false, "k", "i") /* Unix time, likewise */                                  \
    X(GETRANGE, 19, false, "kii", "b")  /* first byte, last byte */                                \
    X(SETRANGE, 20, true, "kiv", "i")   /* from which byte on; the new length */                   \
    X(INCRBYFLOAT, 21, true, "kv", "b") /* the new value */                                        \
    X(SETBIT, 22, true, "kii", "i")     /* which, to what; what it was */                          \
    X(GETBIT, 23, false, "ki", "i")                                                                \
    X(BITCOUNT, 24, false, "kiii", "i") /* first, last, BITS_* */                                  \
    X(BITPOS, 25, false, "kiiii", "i")  /* what to find, first, last, BITS_*; or -1 */             \
    X(LCS, 26, false, "kkii", "bi")     /* LCS_*, shortest match */                                \
    X(ENCODING, 27, false, "k", "bn")   /* as what Redis would keep the value */                   \
    X(USAGE, 28, false, "k", "in")      /* bytes that the record takes */                          \
    X(CAS, 40, true, "kvv", "i")        /* expected, new: 1 done, 0 differs, -1 no such key */     \
    X(MSETNX, 41, true, "kv*", "i")     /* 1 all set, 0 one of them was there */                   \
    X(RENAME, 42, true, "kki", "oi")    /* from, to, 0: OK; or KEY_UNLESS_THERE: 1 done, 0 not */  \
    X(COPY, 43, true, "kki", "i")       /* from, to, KEY_UNLESS_THERE or 0: 1 done, 0 not */       \
    X(WATCH, 44, false, "k*", "a")      /* a token for each, see shared/transaction.h */           \
    X(EXEC, 45, true, "x*", "rn")       /* nil: a watched key has changed, nothing was done */     \
    X(SCAN, 46, false, "cii", "a") /* from, records to look at, bucket or -1: store keys, then the \
                                      place to go on at or nil */                                  \
    X(COUNT, 47, false, "ci", "a") /* likewise: how many are there (int64), place or nil */        \
    X(FLUSH, 48, true, "ci", "bn") /* likewise: the place to go on at or nil */

enum operation {
#define X(name, number, writes, args, replies) OP_##name = number,
    OPERATIONS(X)
#undef X
};

enum { KEY_UNLESS_THERE = 1 };

/* SCAN tells the keys of one position apart by buckets: those of a key's checksum. */
enum { SCAN_BUCKETS = 64 };

/* Times are Unix milliseconds; relative ones count from when the primary carries the operation out.
 */
enum setx_flags {
    SETX_NX = 1,      /* only when there is none */
    SETX_XX = 2,      /* only when there is one */
    SETX_GET = 4,     /* the old value is the reply */
    SETX_KEEPTTL = 8, /* it expires when the old value would */
    SETX_EXPIRES = 16,
    SETX_RELATIVE = 32,
};
enum getex_flags { GETEX_PERSIST = 1, GETEX_RELATIVE = 2 };
enum expire_flags {
    EXPIRE_NX = 1, /* only without an expiry */
    EXPIRE_XX = 2, /* only with one */
    EXPIRE_GT = 4, /* only later than it is; none is the latest */
    EXPIRE_LT = 8,
    EXPIRE_RELATIVE = 16,
};
enum bits_flags {
    BITS_RANGE = 1, /* first and last are given; negative ones count from the end */
    BITS_UNIT = 2,  /* in bits, else in bytes */
    BITS_END = 4,   /* BITPOS: last is given, so that no zeros are imagined behind the end */
};
enum lcs_flags {
    LCS_LENGTH = 1, /* the reply is its length */
    LCS_RANGES = 2, /* the reply is u32 length, then for each match from the last to the first four
                       u32: first and last byte in the one value and in the other */
};

/* A relative time is at most this, so that it can be added to any clock's time until 2248. */
#define OPERATION_RELATIVE_MAX (INT64_MAX - (INT64_C(1) << 43))

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
