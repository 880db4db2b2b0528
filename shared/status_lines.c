#include "shared/status_lines.h"

struct bytes status_text(struct bytes status, const char *name)
{
    struct bytes found, value;

    while (status_next(&status, &found, &value))
        if (bytes_equal(found, bytes_from(name)))
            return value;
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

bool status_next(struct bytes *rest, struct bytes *name, struct bytes *value)
{
    const uint8_t *end;

    while (rest->size && (end = memchr(rest->data, '\n', rest->size)) != NULL) {
        const uint8_t *at = rest->data, *equals = memchr(at, '=', (size_t)(end - at));

        *rest = bytes_of(end + 1, rest->size - (size_t)(end + 1 - at));
        if (!equals)
            continue;
        *name = bytes_of(at, (size_t)(equals - at));
        *value = bytes_of(equals + 1, (size_t)(end - equals) - 1);
        return true;
    }
    return false;
}

bool status_is_number(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
    return value.size > 0 && value.size < 20;
}
