#include "shared/resp_inline.h"
#include "shared/error.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Not the same as is_blank: vertical tab and form feed separate words only before a word, or after
 * a quoted one. Redis does it so. */
static bool ends_word(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t escaped(uint8_t c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* Both unquote functions begin after the opening quote and return where the closing one is, or
 * `end` when there is none. */
static const uint8_t *unquote_double(const uint8_t *at, const uint8_t *end, uint8_t **to)
{
    uint8_t *out = *to;

    while (at < end && *at != '"') {
        if (*at != '\\' || end - at < 2) {
            *out++ = *at++;
        } else if (end - at >= 4 && at[1] == 'x' && hex_digit(at[2]) >= 0 &&
                   hex_digit(at[3]) >= 0) {
            *out++ = (uint8_t)(hex_digit(at[2]) << 4 | hex_digit(at[3]));
            at += 4;
        } else {
            *out++ = escaped(at[1]);
            at += 2;
        }
    }
    *to = out;
    return at;
}

static const uint8_t *unquote_single(const uint8_t *at, const uint8_t *end, uint8_t **to)
{
    uint8_t *out = *to;

    while (at < end && *at != '\'') {
        if (*at == '\\' && end - at >= 2 && at[1] == '\'')
            at++;
        *out++ = *at++;
    }
    *to = out;
    return at;
}

int resp_inline_next(struct bytes *line, uint8_t **spare, struct bytes *arg)
{
    const uint8_t *at = line->data;
    const uint8_t *end = at + line->size;

    while (at < end && is_blank(*at))
        at++;
    if (at == end)
        return RK_NOTFOUND;

    const uint8_t *start = at;

    while (at < end && !ends_word(*at) && *at != '"' && *at != '\'')
        at++;
    if (at == end || ends_word(*at)) {
        *arg = bytes_of(start, (size_t)(at - start));
    } else {
        uint8_t *word = *spare;
        uint8_t *to = word + (at - start);

        memcpy(word, start, (size_t)(at - start));
        at = *at == '"' ? unquote_double(at + 1, end, &to) : unquote_single(at + 1, end, &to);
        if (at == end)
            return RK_INVALID;
        at++;
        if (at < end && !is_blank(*at))
            return RK_INVALID;
        *arg = bytes_of(word, (size_t)(to - word));
        *spare = to;
    }
    *line = bytes_of(at, (size_t)(end - at));
    return 0;
}
