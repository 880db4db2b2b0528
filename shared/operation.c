#include "shared/operation.h"
#include <stddef.h>

const struct operation_info *operation_info(uint8_t op)
{
    switch (op) {
#define X(name, number, writes, args, replies)                                    \
    case number: {                                                                \
        static const struct operation_info info = {#name, writes, args, replies}; \
        return &info;                                                             \
    }
        OPERATIONS(X)
#undef X
    default:
        return NULL;
    }
}

bool operation_is_range(uint8_t op)
{
    const struct operation_info *info = operation_info(op);

    return info && info->args[0] == 'c';
}
