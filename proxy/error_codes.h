/* The codes with which error replies begin, and how often each was given: INFO errorstats. */
#ifndef RINGKV_PROXY_ERROR_CODES_H
#define RINGKV_PROXY_ERROR_CODES_H

#include "shared/bytes.h"

/* In the order of their names; a text that begins with none of them counts as ERR. */
#define ERROR_CODES(X) \
    X(BUSY)            \
    X(CROSSSLOT)       \
    X(ERR)             \
    X(EXECABORT)       \
    X(NOAUTH)          \
    X(NOPROTO)         \
    X(NOQUORUM)        \
    X(NOSPACE)         \
    X(UNCERTAIN)       \
    X(WRONGPASS)

enum error_code {
#define X(name) ERROR_##name,
    ERROR_CODES(X)
#undef X
        ERROR_CODE_COUNT
};

const char *error_code_name(enum error_code code);

/* That of an error reply without its '-'. */
enum error_code error_code_of(struct bytes text);

#endif
