/* Why something is not valid: a text, written into the caller's room for it. */
#ifndef RINGKV_SHARED_REASON_H
#define RINGKV_SHARED_REASON_H

#include <stddef.h>

struct reason {
    char *text; /* NULL: nobody asked */
    size_t size;
};

/* Writes the text, cut to what fits, and returns RK_INVALID. */
int reason_invalid(const struct reason *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
