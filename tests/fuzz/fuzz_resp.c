/* Any bytes as a stream of commands: whatever the cuts, the same commands and the same error.
 *
 * The input's first byte chooses the limits, the second how many of the next bytes are sizes of
 * pieces (used again and again); the rest is the stream. */
#include "shared/error.h"
#include "shared/resp.h"
#include "tests/fuzz/check.h"

static const struct resp_limits limits_choice[] = {
    {1024 * 1024, 16u << 20, 64 * 1024, 64u << 20, false},
    {10, 16 * 1024, 1024, 64 * 1024, true}, /* before AUTH */
    {3, 5, 40, 50, false},
    {0, 0, 0, 0, false},
};

static void log_add(struct buf *log, const void *data, size_t size)
{
    CHECK(buf_append(log, &size, sizeof(size)) == 0);
    CHECK(buf_append(log, data, size) == 0);
}

static bool lies_in(struct bytes part, const uint8_t *data, size_t size)
{
    return part.data >= data && part.size <= size &&
           part.data - data <= (ptrdiff_t)(size - part.size);
}

/* What the parser gave is read again when it is written as an array. */
static void check_round_trip(const struct resp_parser *p)
{
    static const struct resp_limits limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX,
                                              false};
    struct resp_parser again = {0};
    struct buf out = {0};

    CHECK(resp_put_array(&out, p->arg_count) == 0);
    for (uint32_t i = 0; i < p->arg_count; i++)
        CHECK(resp_put_bulk(&out, p->args[i]) == 0);
    CHECK(resp_parse(&again, buf_bytes(&out), &limits) == (int64_t)buf_len(&out));
    CHECK(again.arg_count == p->arg_count);
    for (uint32_t i = 0; i < p->arg_count; i++)
        CHECK(bytes_equal(again.args[i], p->args[i]));
    buf_free(&out);
    resp_parser_free(&again);
}

static void check_command(struct buf *log, const struct resp_parser *p, struct bytes in,
                          const struct resp_limits *limits)
{
    CHECK(p->arg_count <= limits->args_max);
    log_add(log, "command", 7);
    for (uint32_t i = 0; i < p->arg_count; i++) {
        CHECK(p->args[i].size <= limits->bulk_max);
        CHECK(lies_in(p->args[i], in.data, in.size) ||
              lies_in(p->args[i], p->unquoted.data, p->unquoted.size));
        log_add(log, p->args[i].data, p->args[i].size);
    }
    check_round_trip(p);
}

/* One call, on a copy that ends where the bytes end. */
static int64_t parse_copy(struct resp_parser *p, struct bytes in, const struct resp_limits *limits,
                          struct buf *log)
{
    uint8_t *copy = malloc(in.size);

    CHECK(copy);
    memcpy(copy, in.data, in.size);

    int64_t r = resp_parse(p, bytes_of(copy, in.size), limits);

    if (r > 0) {
        CHECK((uint64_t)r <= in.size);
        CHECK((uint64_t)r <= limits->total_max || p->arg_count == 0);
        check_command(log, p, bytes_of(copy, (size_t)r), limits);
    } else if (r == RK_PROTOCOL) {
        char error[sizeof(p->error)];

        memcpy(error, p->error, sizeof(error));
        CHECK(resp_parse(p, bytes_of(copy, in.size), limits) == RK_PROTOCOL);
        CHECK(strcmp(error, p->error) == 0);
        log_add(log, error, strlen(error));
    } else {
        CHECK(r == RK_MORE);
        CHECK(in.size <= limits->total_max + limits->inline_max + 34);
    }
    free(copy);
    return r;
}

static void replay(struct bytes stream, struct bytes pieces, const struct resp_limits *limits,
                   struct buf *log)
{
    struct resp_parser p = {0};
    size_t arrived = pieces.size ? 0 : stream.size;
    size_t consumed = 0;
    size_t turn = 0;

    for (;;) {
        int64_t r = RK_MORE;

        if (arrived > consumed)
            r = parse_copy(&p, bytes_of(stream.data + consumed, arrived - consumed), limits, log);
        if (r > 0) {
            consumed += (size_t)r;
            continue;
        }
        if (r != RK_MORE || arrived == stream.size)
            break;
        arrived += 1 + (size_t)pieces.data[turn++ % pieces.size];
        if (arrived > stream.size)
            arrived = stream.size;
    }
    log_add(log, &consumed, sizeof(consumed));
    resp_parser_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0};
    struct buf cut = {0};

    if (size < 2)
        return 0;

    const struct resp_limits *limits =
        &limits_choice[data[0] % (sizeof(limits_choice) / sizeof(limits_choice[0]))];
    size_t pieces = data[1] % 16;

    if (size < 2 + pieces)
        return 0;

    struct bytes stream = bytes_of(data + 2 + pieces, size - 2 - pieces);

    replay(stream, bytes_of(NULL, 0), limits, &whole);
    replay(stream, bytes_of(data + 2, pieces), limits, &cut);
    CHECK(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)));
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
