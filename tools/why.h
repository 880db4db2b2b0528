/* Where a function puts the reason of its failure, for a person to read. */
#ifndef RINGKV_TOOLS_WHY_H
#define RINGKV_TOOLS_WHY_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct why {
    char *text;
    size_t size;
    int error; /* what why_set was given last */
};

static inline struct why why_in(char *text, size_t size)
{
    return (struct why){text, size, 0};
}

/* Writes the reason and returns `error`, so that it can stand behind `return`. */
__attribute__((format(printf, 3, 4))) static inline int why_set(struct why *w, int error,
                                                                const char *format, ...)
{
    va_list args;

    w->error = error;
    if (!w->text || w->size == 0)
        return error;
    va_start(args, format);
    vsnprintf(w->text, w->size, format, args);
    va_end(args);
    return error;
}

#endif
