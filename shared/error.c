#include "shared/error.h"

const char *rk_error_text(int error)
{
    switch (error) {
    case RK_OK:
        return "no error";
#define X(name, number, text) \
    case RK_##name:           \
        return text;
        RK_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}
