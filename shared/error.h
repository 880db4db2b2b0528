/* The one list of errors.
 *
 * Every function that can fail returns 0 or one of these negative numbers; nothing returns 1 for
 * success. The text is what a person reads, so it says what is wrong, not where in the code.
 */
#ifndef RINGKV_SHARED_ERROR_H
#define RINGKV_SHARED_ERROR_H

#define RK_ERRORS(X)                                                   \
    X(NOMEM, 1, "out of memory")                                       \
    X(INVALID, 2, "invalid argument")                                  \
    X(CORRUPT, 3, "the data is damaged (checksum or format is wrong)") \
    X(TOOBIG, 4, "larger than the limit")                              \
    X(MORE, 5, "incomplete: more bytes are needed")                    \
    X(NOTFOUND, 6, "not found")                                        \
    X(EXISTS, 7, "exists already")                                     \
    X(IO, 8, "input/output error")                                     \
    X(NOSPACE, 9, "no space left on the disk")                         \
    X(FULL, 10, "a bounded queue or table is full")                    \
    X(VERSION, 11, "written by, or speaking, another version")         \
    X(CLUSTER, 12, "belongs to another cluster")                       \
    X(MEMBER, 13, "belongs to another member")                         \
    X(EPOCH, 14, "the ring epoch is not the current one")              \
    X(BUSY, 15, "in use by another process")                           \
    X(CLOSED, 16, "closed")                                            \
    X(TIMEOUT, 17, "timed out")                                        \
    X(REFUSED, 18, "refused by the other side")                        \
    X(PROTOCOL, 19, "protocol violation")                              \
    X(READONLY, 20, "read-only")                                       \
    X(UNSETTLED, 21, "not decided yet")                                \
    X(UNCHANGED, 22, "not changed lately")                             \
    X(STALE, 23, "an old copy of the data")

enum rk_error {
    RK_OK = 0,
#define X(name, number, text) RK_##name = -(number),
    RK_ERRORS(X)
#undef X
};

/* The text of an error number; "unknown error" for a number not in the list. Never NULL, static. */
const char *rk_error_text(int error);

#endif
