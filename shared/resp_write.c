#include "shared/error.h"
#include "shared/resp.h"
#include <stdarg.h>
#include <stdio.h>

enum {
    INTEGER_MAX = 20, /* "-9223372036854775808" */
    HEADER_MAX = 1 + INTEGER_MAX + 2,
};

size_t resp_format_integer(char to[20], int64_t value)
{
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char digits[INTEGER_MAX];
    char *at = digits + sizeof(digits);

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        *--at = '-';

    size_t size = (size_t)(digits + sizeof(digits) - at);

    memcpy(to, at, size);
    return size;
}

static uint8_t *end_write(uint8_t *to)
{
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

/* At most HEADER_MAX bytes. */
static uint8_t *header_write(uint8_t *to, char type, int64_t value)
{
    *to++ = (uint8_t)type;
    return end_write(to + resp_format_integer((char *)to, value));
}

static int header_put(struct buf *out, char type, int64_t value)
{
    uint8_t *to = buf_reserve(out, HEADER_MAX);

    if (!to)
        return RK_NOMEM;
    buf_commit(out, (size_t)(header_write(to, type, value) - to));
    return 0;
}

/* A type's byte, the size of what follows it, `prefix` and `value`. */
static int block_put(struct buf *out, char type, const char *prefix, struct bytes value)
{
    size_t prefix_size = strlen(prefix);
    uint8_t *start = buf_reserve(out, HEADER_MAX + prefix_size + value.size + 2);

    if (!start)
        return RK_NOMEM;

    uint8_t *to = header_write(start, type, (int64_t)(prefix_size + value.size));

    memcpy(to, prefix, prefix_size);
    to += prefix_size;
    if (value.size)
        memcpy(to, value.data, value.size);
    buf_commit(out, (size_t)(end_write(to + value.size) - start));
    return 0;
}

/* Ends the line of `size` bytes of text that stands after `start`, its type's byte. */
static void line_finish(struct buf *out, uint8_t *start, char type, size_t size)
{
    uint8_t *end = start + 1 + size;

    *start = (uint8_t)type;
    for (uint8_t *at = start + 1; at < end; at++)
        if (*at == '\r' || *at == '\n')
            *at = ' ';
    buf_commit(out, (size_t)(end_write(end) - start));
}

static int line_put(struct buf *out, char type, const char *text)
{
    size_t size = strlen(text);
    uint8_t *start = buf_reserve(out, 1 + size + 2);

    if (!start)
        return RK_NOMEM;
    memcpy(start + 1, text, size);
    line_finish(out, start, type, size);
    return 0;
}

int resp_put_simple(struct buf *out, const char *text)
{
    return line_put(out, '+', text);
}

int resp_put_error(struct buf *out, const char *text)
{
    return line_put(out, '-', text);
}

int resp_put_errorf(struct buf *out, const char *format, ...)
{
    va_list args;
    va_list again;

    va_start(args, format);
    va_copy(again, args);

    int size = vsnprintf(NULL, 0, format, args);
    /* vsnprintf's NUL goes where the CR will be. */
    uint8_t *start = size < 0 ? NULL : buf_reserve(out, 1 + (size_t)size + 2);

    if (start) {
        vsnprintf((char *)start + 1, (size_t)size + 1, format, again);
        line_finish(out, start, '-', (size_t)size);
    }
    va_end(again);
    va_end(args);
    return start ? 0 : RK_NOMEM;
}

int resp_put_integer(struct buf *out, int64_t value)
{
    return header_put(out, ':', value);
}

int resp_put_bulk(struct buf *out, struct bytes value)
{
    return block_put(out, '$', "", value);
}

int resp_put_null(struct buf *out, int version)
{
    return version == 3 ? buf_append(out, "_\r\n", 3) : buf_append(out, "$-1\r\n", 5);
}

int resp_put_null_array(struct buf *out, int version)
{
    return version >= 3 ? resp_put_null(out, version) : buf_append(out, "*-1\r\n", 5);
}

int resp_put_array(struct buf *out, size_t count)
{
    return header_put(out, '*', (int64_t)count);
}

int resp_put_map(struct buf *out, size_t pairs, int version)
{
    return version == 3 ? header_put(out, '%', (int64_t)pairs) : resp_put_array(out, pairs * 2);
}

int resp_put_set(struct buf *out, size_t count, int version)
{
    return header_put(out, version == 3 ? '~' : '*', (int64_t)count);
}

int resp_put_verbatim(struct buf *out, struct bytes text, int version)
{
    return version == 3 ? block_put(out, '=', "txt:", text) : resp_put_bulk(out, text);
}
