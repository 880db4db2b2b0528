/* The times and options of SET, GETEX and EXPIRE, with Redis's rules of what goes with what. */
#ifndef RINGKV_PROXY_EXPIRY_OPTIONS_H
#define RINGKV_PROXY_EXPIRY_OPTIONS_H

#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

/* Of SET and GETEX. Bits. */
enum expiry_option {
    OPTION_NX = 1,
    OPTION_XX = 2,
    OPTION_GET = 4,
    OPTION_KEEPTTL = 8,
    OPTION_PERSIST = 16,
    OPTION_EX = 32,
    OPTION_PX = 64,
    OPTION_EXAT = 128,
    OPTION_PXAT = 256,
};

enum {
    OPTIONS_OF_TIME = OPTION_EX | OPTION_PX | OPTION_EXAT | OPTION_PXAT,
    OPTIONS_RELATIVE = OPTION_EX | OPTION_PX,
    OPTIONS_OF_SET = OPTIONS_OF_TIME | OPTION_NX | OPTION_XX | OPTION_GET | OPTION_KEEPTTL,
    OPTIONS_OF_GETEX = OPTIONS_OF_TIME | OPTION_PERSIST,
};

struct expiry_options {
    uint32_t given;    /* enum expiry_option */
    struct bytes time; /* with one of OPTIONS_OF_TIME: its text */
};

/* Reads `count` arguments, of which those of `allowed` may be there. 0, or RK_INVALID: a syntax
 * error. */
int expiry_options_read(struct expiry_options *o, const struct bytes *args, uint32_t count,
                        uint32_t allowed);

/* How a time is given. */
struct time_form {
    bool seconds;  /* else milliseconds */
    bool relative; /* to now, else Unix time */
    bool any;      /* negative ones and 0 as well */
};

struct time_form expiry_options_form(const struct expiry_options *o);

/* Reads a time: 0 and milliseconds; RK_INVALID: not an integer; RK_TOOBIG: out of the range that
 * there can be. */
int expiry_time_read(struct bytes text, struct time_form form, int64_t *ms);

/* Reads EXPIRE's options as enum expire_flags. NULL, or RESP's error text, which ends with what
 * `unsupported` is set to unless that is empty. */
const char *expire_flags_read(const struct bytes *args, uint32_t count, int64_t *flags,
                              struct bytes *unsupported);

#endif
