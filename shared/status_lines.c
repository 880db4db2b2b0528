#include "shared/status_lines.h"

struct bytes status_text(struct bytes status, const char *name)
{
    const char *at = (const char *)status.data, *end = status.size ? at + status.size : at;
    size_t length = strlen(name);

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));

        if (!line_end)
            break;
        if ((size_t)(line_end - at) > length && memcmp(at, name, length) == 0 && at[length] == '=')
            return bytes_of(at + length + 1, (size_t)(line_end - at) - length - 1);
        at = line_end + 1;
    }
    return (struct bytes){0};
}

uint64_t status_number(struct bytes status, const char *name)
{
    struct bytes text = status_text(status, name);
    uint64_t value = 0;

    for (size_t i = 0; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.data[i] - '0', &value))
            return UINT64_MAX;
    return value;
}
