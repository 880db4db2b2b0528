#include "shared/reason.h"
#include "shared/error.h"
#include <stdarg.h>
#include <stdio.h>

int reason_invalid(const struct reason *why, const char *format, ...)
{
    va_list args;

    if (!why->text || why->size == 0)
        return RK_INVALID;
    va_start(args, format);
    vsnprintf(why->text, why->size, format, args);
    va_end(args);
    return RK_INVALID;
}
