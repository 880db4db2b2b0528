#include "shared/error.h"
#include "shared/resp.h"
#include "shared/resp_inline.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    ARGS_SIZE_MIN = 16,          /* entries in the first table, and what an idle parser may keep */
    LENGTH_DIGITS_FAST_MAX = 10, /* cannot overflow, and no valid length is longer */
    HEADER_LINE_MIN = 32         /* header lines of this size are read whatever the limits */
};

_Static_assert(HEADER_LINE_MIN >= 1 + 20 && HEADER_LINE_MIN > 1 + LENGTH_DIGITS_FAST_MAX,
               "the fast way checks no limit, and any int64 has to fit");

static int64_t fail(struct resp_parser *p, const char *what)
{
    snprintf(p->error, sizeof(p->error), "Protocol error: %s", what);
    return RK_PROTOCOL;
}

static int64_t fail_type(struct resp_parser *p, uint8_t got)
{
    const char *format = got >= ' ' && got < 0x7f ? "expected '$', got '%c'" /* Redis's words */
                                                  : "expected '$', got '\\x%02x'";
    char what[32];

    snprintf(what, sizeof(what), format, got);
    return fail(p, what);
}

static int args_grow(struct resp_parser *p)
{
    size_t size = p->arg_size ? (size_t)p->arg_size * 2 : ARGS_SIZE_MIN;
    struct bytes *args = realloc(p->args, size * sizeof(*args));

    if (!args)
        return RK_NOMEM;
    p->args = args;

    size_t *offsets = realloc(p->offsets, size * sizeof(*offsets));

    if (!offsets)
        return RK_NOMEM;
    p->offsets = offsets;
    p->arg_size = (uint32_t)size;
    return 0;
}

int resp_read_integer(struct bytes text, int64_t *value)
{
    if (text.size == 0)
        return RK_INVALID;

    bool negative = *text.data == '-';
    const uint8_t *at = text.data + negative;
    const uint8_t *end = text.data + text.size;
    uint64_t most = (uint64_t)INT64_MAX + negative;
    uint64_t v = 0;

    if (at == end || (*at == '0' && text.size > 1))
        return RK_INVALID;
    for (; at < end; at++) {
        uint32_t digit = (uint32_t)*at - '0';

        if (digit > 9 || v > (most - digit) / 10)
            return RK_INVALID;
        v = v * 10 + digit;
    }
    *value = (int64_t)(negative ? 0 - v : v);
    return 0;
}

/* The common header: digits without a sign, and all of it here. Returns past its CRLF, or NULL when
 * header_read has to look closer. `at` is after the type byte. */
static inline const uint8_t *header_read_fast(const uint8_t *at, const uint8_t *end, int64_t *value)
{
    const uint8_t *first = at;
    const uint8_t *last = end - at > LENGTH_DIGITS_FAST_MAX ? at + LENGTH_DIGITS_FAST_MAX : end;
    int64_t v = 0;

    while (at < last) {
        uint32_t digit = (uint32_t)*at - '0';

        if (digit > 9)
            break;
        v = v * 10 + digit;
        at++;
    }
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n' || at == first ||
        (*first == '0' && at - first > 1))
        return NULL;
    *value = v;
    return at + 2;
}

/* Any header line, `at` on its type byte. Its bytes with CRLF, or RK_MORE, RK_INVALID (not a
 * number), RK_TOOBIG (no end within line_max bytes). A control character cannot become valid by
 * waiting for more. */
static int64_t header_read(struct resp_parser *p, const uint8_t *at, const uint8_t *end,
                           size_t line_max, int64_t *value)
{
    if (line_max < HEADER_LINE_MIN)
        line_max = HEADER_LINE_MIN;

    size_t left = (size_t)(end - at);
    size_t window = left > line_max ? line_max + 1 : left;
    size_t length = p->line_scanned ? p->line_scanned : 1;

    while (length < window && at[length] >= ' ')
        length++;
    if (length >= window) {
        if (left > line_max)
            return RK_TOOBIG;
        p->line_scanned = length;
        return RK_MORE;
    }
    if (at[length] != '\r')
        return RK_INVALID;
    if (length + 1 == left) {
        p->line_scanned = length;
        return RK_MORE;
    }
    if (at[length + 1] != '\n' || resp_read_integer(bytes_of(at + 1, length - 1), value))
        return RK_INVALID;
    p->line_scanned = 0;
    return (int64_t)length + 2;
}

/* Moves *at past a header line. 0, or as header_read. line_scanned says that this very line was
 * begun in an earlier call; only header_read ends that. */
static inline int header_take(struct resp_parser *p, const uint8_t **at, const uint8_t *end,
                              size_t line_max, int64_t *value)
{
    const uint8_t *next = p->line_scanned ? NULL : header_read_fast(*at + 1, end, value);

    if (!next) {
        int64_t length = header_read(p, *at, end, line_max, value);

        if (length < 0)
            return (int)length;
        next = *at + length;
    }
    *at = next;
    return 0;
}

static int64_t array_fail(struct resp_parser *p, int error, const struct resp_limits *limits)
{
    if (error == RK_MORE)
        return RK_MORE;
    if (!error && limits->stranger)
        return fail(p, "unauthenticated multibulk length");
    return fail(p, error == RK_TOOBIG ? "too big mbulk count string" : "invalid multibulk length");
}

static int64_t bulk_fail(struct resp_parser *p, int error, int64_t length,
                         const struct resp_limits *limits)
{
    if (!error && length > 0 && limits->stranger)
        return fail(p, "unauthenticated bulk length");
    return fail(p, error == RK_TOOBIG ? "too big bulk count string" : "invalid bulk length");
}

static int64_t bulk_end_fail(struct resp_parser *p)
{
    return fail(p, "expected CRLF after bulk");
}

/* The command ends too early: keeps what was read of it. Arguments before `resumed` have their
 * offsets already. `at` is where to go on. */
static int64_t array_suspend(struct resp_parser *p, struct bytes in, const uint8_t *at,
                             uint32_t expected, uint32_t resumed, uint32_t count)
{
    for (uint32_t i = resumed; i < count; i++)
        p->offsets[i] = (size_t)(p->args[i].data - in.data);
    p->args_expected = expected;
    p->arg_count = count;
    p->scanned = (size_t)(at - in.data);
    return RK_MORE;
}

static int64_t array_complete(struct resp_parser *p, struct bytes in, const uint8_t *at,
                              uint32_t resumed, uint32_t count)
{
    for (uint32_t i = 0; i < resumed; i++)
        p->args[i].data = in.data + p->offsets[i];
    p->args_expected = 0;
    p->arg_count = count;
    p->scanned = 0;
    return at - in.data;
}

/* Nothing of the parser changes before array_suspend or array_complete, so that an error can be
 * met again. */
static int64_t array_read(struct resp_parser *p, struct bytes in, const struct resp_limits *limits,
                          const uint8_t *at, uint32_t expected)
{
    const uint8_t *end = in.data + in.size;
    uint32_t resumed = p->args_expected ? p->arg_count : 0;
    uint32_t count = resumed;

    while (count < expected) {
        const uint8_t *next = at;
        int64_t length;

        if (at == end)
            return array_suspend(p, in, at, expected, resumed, count);
        if (*at != '$')
            return fail_type(p, *at);

        int r = header_take(p, &next, end, limits->inline_max, &length);

        if (r == RK_MORE)
            return array_suspend(p, in, at, expected, resumed, count);
        if (r || length < 0 || length > limits->bulk_max)
            return bulk_fail(p, r, length, limits);
        if ((uint64_t)(next - in.data) + (uint64_t)length + 2 > limits->total_max)
            return fail(p, "too big request");
        if (end - next < length + 2) {
            if (end - next > length && next[length] != '\r')
                return bulk_end_fail(p);
            return array_suspend(p, in, at, expected, resumed, count);
        }
        if (next[length] != '\r' || next[length + 1] != '\n')
            return bulk_end_fail(p);
        if (count == p->arg_size && args_grow(p))
            return RK_NOMEM;
        p->args[count++] = (struct bytes){next, (size_t)length};
        at = next + length + 2;
    }
    return array_complete(p, in, at, resumed, count);
}

static int64_t array_begin(struct resp_parser *p, struct bytes in, const struct resp_limits *limits)
{
    const uint8_t *at = in.data;
    int64_t count;
    int r = header_take(p, &at, in.data + in.size, limits->inline_max, &count);

    if (r || count > limits->args_max || count > INT32_MAX)
        return array_fail(p, r, limits);
    if (count <= 0) {
        p->arg_count = 0;
        return at - in.data;
    }
    return array_read(p, in, limits, at, (uint32_t)count);
}

static int64_t inline_split(struct resp_parser *p, struct bytes line,
                            const struct resp_limits *limits)
{
    uint8_t *spare = NULL;
    struct bytes arg;
    uint32_t count = 0;
    int r;

    buf_truncate(&p->unquoted, 0);
    if (line.size && (memchr(line.data, '"', line.size) || memchr(line.data, '\'', line.size))) {
        spare = buf_reserve(&p->unquoted, line.size);
        if (!spare)
            return RK_NOMEM;
    }
    while ((r = resp_inline_next(&line, &spare, &arg)) == 0) {
        if (count == limits->args_max || arg.size > limits->bulk_max)
            return fail(p, "too big inline request");
        if (count == p->arg_size && args_grow(p))
            return RK_NOMEM;
        p->args[count++] = arg;
    }
    if (r == RK_INVALID)
        return fail(p, "unbalanced quotes in request");
    p->arg_count = count;
    return 0;
}

/* The first of these in the stream decides, however it was cut: a NUL, the line's end, the limit.
 */
static int64_t inline_parse(struct resp_parser *p, struct bytes in,
                            const struct resp_limits *limits)
{
    size_t window_max = (size_t)limits->inline_max + 2; /* with CRLF */
    size_t window = in.size < window_max ? in.size : window_max;
    size_t from = p->scanned < window ? p->scanned : window;
    const uint8_t *newline = memchr(in.data + from, '\n', window - from);
    size_t size = newline ? (size_t)(newline - in.data) : window;

    /* Redis's search stops at a NUL and waits for ever; a TLS hello is better told at once. */
    if (memchr(in.data + from, '\0', size - from))
        return fail(p, "unexpected NUL in inline request");
    if (!newline) {
        if (window == window_max)
            return fail(p, "too big inline request");
        p->scanned = window;
        return RK_MORE;
    }

    int64_t consumed = (int64_t)size + 1;

    if (size && in.data[size - 1] == '\r')
        size--;
    if (size > limits->inline_max)
        return fail(p, "too big inline request");
    if ((uint64_t)consumed > limits->total_max)
        return fail(p, "too big request");

    int64_t r = inline_split(p, bytes_of(in.data, size), limits);

    if (r)
        return r;
    p->scanned = 0;
    return consumed;
}

int64_t resp_parse(struct resp_parser *p, struct bytes in, const struct resp_limits *limits)
{
    if (p->args_expected)
        return array_read(p, in, limits, in.data + p->scanned, p->args_expected);
    if (in.size == 0)
        return RK_MORE;
    return *in.data == '*' ? array_begin(p, in, limits) : inline_parse(p, in, limits);
}

void resp_parser_trim(struct resp_parser *p)
{
    buf_free(&p->unquoted);
    if (p->args_expected)
        return;
    p->arg_count = 0;
    if (p->arg_size <= ARGS_SIZE_MIN)
        return;
    free(p->args);
    free(p->offsets);
    p->args = NULL;
    p->offsets = NULL;
    p->arg_size = 0;
}

void resp_parser_free(struct resp_parser *p)
{
    free(p->args);
    free(p->offsets);
    buf_free(&p->unquoted);
    *p = (struct resp_parser){0};
}

bool resp_word_is(struct bytes word, const char *lower)
{
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];

        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        /* A NUL in the word must not meet the one that ends `lower`. */
        if (!lower[i] || c != (uint8_t)lower[i])
            return false;
    }
    return lower[word.size] == '\0';
}
