/* Commands about the keys of all partitions. */
#include "proxy/answer.h"
#include "proxy/commands.h"
#include "proxy/keyed.h"
#include "proxy/walk.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    PIECE_RECORDS = 4096, /* a node gives so many at most */
    COUNT_RECORDS = 16384,
    RANDOM_RECORDS = 32,
};

static void start(struct execution *x, struct walk *w, uint64_t position, uint32_t more)
{
    const struct ring *ring = x->router->ring;

    if (w)
        walk_begin(x, w, position,
                   ring ? ring_partitions(ring) - ring_partition(ring, position) + more : 0);
    else
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
}

/* --- SCAN ----------------------------------------------------------------------------------- */

static int64_t records_of_scan(const struct walk *w)
{
    return scan_records(&w->scan);
}

static enum walk_step take_scanned(struct walk *w, const struct walk_piece *piece)
{
    struct bytes rest = piece->values;
    uint64_t next = piece->next.size ? wire_get_position(piece->next.data) : 0;
    enum scan_step step;

    for (uint32_t i = 0; i < piece->count; i++) {
        struct bytes key = message_next_arg(&rest, NULL);

        if (scan_key(&w->scan, wire_get_position(key.data), &w->found) && walk_add_key(w, key) != 0)
            return WALK_NO_MEMORY;
    }
    step = scan_end(&w->scan, piece->next.size ? &next : NULL, piece->behind, &w->found);
    w->again = scan_position(&w->scan);
    return step == SCAN_DONE ? WALK_DONE : step == SCAN_AGAIN ? WALK_AGAIN : WALK_ON;
}

static int put_scanned(const struct walk *w, struct buf *out, int resp)
{
    char cursor[24];
    int error;

    (void)resp;
    snprintf(cursor, sizeof(cursor), "%" PRIu64, w->scan.cursor);
    error = resp_put_array(out, 2);
    if (!error)
        error = resp_put_bulk(out, bytes_from(cursor));
    if (!error)
        error = resp_put_array(out, w->found.count);
    return error ? error : buf_append(out, buf_head(&w->found.keys), buf_len(&w->found.keys));
}

static const struct walk_kind scanning = {
    OP_SCAN, false, true, records_of_scan, take_scanned, put_scanned,
};

struct scan_options {
    const struct bytes *pattern;
    int64_t count;
    bool none; /* no key has the type */
};

/* As Redis reads it, with C's strtoul: a NUL ends it, a sign may stand before the digits, and
 * nothing at all is 0. */
static bool parse_cursor(struct bytes text, uint64_t *cursor)
{
    size_t size = text.size ? strnlen((const char *)text.data, text.size) : 0;
    bool negative = size && text.data[0] == '-';
    size_t signs = negative || (size && text.data[0] == '+');

    *cursor = 0;
    for (size_t i = signs; i < size; i++) {
        uint8_t digit = text.data[i] - '0';

        if (digit > 9 || *cursor > (UINT64_MAX - digit) / 10)
            return false;
        *cursor = *cursor * 10 + digit;
    }
    if (negative)
        *cursor = -*cursor;
    return size > signs || size == 0;
}

static bool read_scan_options(struct execution *x, struct scan_options *o)
{
    for (uint32_t i = 2; i < x->count; i += 2) {
        const struct bytes *value = i + 1 < x->count ? &x->args[i + 1] : NULL;

        if (value && resp_word_is(x->args[i], "count")) {
            if (!execution_integer(x, i + 1, &o->count))
                return false;
        } else if (value && resp_word_is(x->args[i], "match")) {
            o->pattern = value;
        } else if (value && resp_word_is(x->args[i], "type")) {
            o->none = !resp_word_is(*value, "string");
        } else {
            o->count = 0;
        }
        if (o->count < 1) {
            reply_error(x, KEYED_SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

void run_scan(struct execution *x)
{
    struct scan_options o = {.count = 10};
    struct walk *w;
    uint64_t cursor;

    if (!parse_cursor(x->args[1], &cursor)) {
        reply_error(x, "ERR invalid cursor");
        return;
    }
    if (!read_scan_options(x, &o))
        return;
    w = walk_new(&scanning, o.pattern);
    if (w) {
        w->none = o.none;
        /* Of a cursor that SCAN never gave nothing is left. */
        if (!scan_begin(&w->scan, cursor, o.count)) {
            struct buf *out = execution_out(x);

            if (out && put_scanned(w, out, x->session->resp) != 0)
                x->session->broken = true;
            walk_free(w);
            return;
        }
    }
    start(x, w, w ? scan_position(&w->scan) : 0, 0);
}

/* --- KEYS ----------------------------------------------------------------------------------- */

static int64_t records_of_piece(const struct walk *w)
{
    (void)w;
    return PIECE_RECORDS;
}

static enum walk_step take_keys(struct walk *w, const struct walk_piece *piece)
{
    struct bytes rest = piece->values;

    for (uint32_t i = 0; i < piece->count; i++)
        if (walk_add_key(w, message_next_arg(&rest, NULL)) != 0)
            return WALK_NO_MEMORY;
    return WALK_ON;
}

static int put_keys(const struct walk *w, struct buf *out, int resp)
{
    int error = resp_put_array(out, w->found.count);

    (void)resp;
    return error ? error : buf_append(out, buf_head(&w->found.keys), buf_len(&w->found.keys));
}

static const struct walk_kind listing = {
    OP_SCAN, false, false, records_of_piece, take_keys, put_keys,
};

void run_keys_matching(struct execution *x)
{
    struct walk *w = walk_new(&listing, &x->args[1]);

    if (w) {
        w->scan.bucket = -1;
        w->keys_max = x->router->reply_max;
    }
    start(x, w, 0, 0);
}

/* --- RANDOMKEY ------------------------------------------------------------------------------ */

static int64_t records_of_random(const struct walk *w)
{
    (void)w;
    return RANDOM_RECORDS;
}

/* One of the first keys behind a random position. */
static enum walk_step take_random(struct walk *w, const struct walk_piece *piece)
{
    struct bytes rest = piece->values;
    uint32_t chosen = piece->count ? (uint32_t)(w->random % piece->count) : 0;

    for (uint32_t i = 0; i < piece->count; i++) {
        struct bytes key = message_next_arg(&rest, NULL);

        if (i == chosen)
            return walk_add_key(w, key) ? WALK_NO_MEMORY : WALK_DONE;
    }
    return WALK_ON;
}

static int put_random(const struct walk *w, struct buf *out, int resp)
{
    return w->found.count ? buf_append(out, buf_head(&w->found.keys), buf_len(&w->found.keys))
                          : resp_put_null(out, resp);
}

static const struct walk_kind choosing = {
    OP_SCAN, false, true, records_of_random, take_random, put_random,
};

/* Of SplitMix64 (Steele, Lea, Flood 2014): the router's random session spreads over its numbers. */
static uint64_t next_random(struct router *r)
{
    uint64_t z = r->session + ++r->randoms * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void run_randomkey(struct execution *x)
{
    struct walk *w = walk_new(&choosing, NULL);
    uint64_t position = next_random(x->router);

    if (w) {
        w->scan.bucket = -1;
        w->random = next_random(x->router);
    }
    /* All around, and the beginning of the first partition once more. */
    start(x, w, position, x->router->ring ? ring_partition(x->router->ring, position) + 1 : 0);
}

/* --- DBSIZE --------------------------------------------------------------------------------- */

static int64_t records_of_count(const struct walk *w)
{
    (void)w;
    return COUNT_RECORDS;
}

static enum walk_step take_count(struct walk *w, const struct walk_piece *piece)
{
    struct bytes rest = piece->values;
    struct bytes count = piece->count ? message_next_arg(&rest, NULL) : (struct bytes){0};

    if (count.size == 8)
        w->sum += wire_get_i64(count.data);
    return WALK_ON;
}

static int put_sum(const struct walk *w, struct buf *out, int resp)
{
    (void)resp;
    return resp_put_integer(out, w->sum);
}

static const struct walk_kind counting = {
    OP_COUNT, false, false, records_of_count, take_count, put_sum,
};

void run_dbsize(struct execution *x)
{
    start(x, walk_new(&counting, NULL), 0, 0);
}

/* --- FLUSHALL ------------------------------------------------------------------------------- */

static enum walk_step take_flushed(struct walk *w, const struct walk_piece *piece)
{
    (void)w;
    (void)piece;
    return WALK_ON;
}

static int put_ok(const struct walk *w, struct buf *out, int resp)
{
    (void)w;
    (void)resp;
    return resp_put_simple(out, "OK");
}

static const struct walk_kind flushing = {
    OP_FLUSH, true, false, records_of_piece, take_flushed, put_ok,
};

void run_flush(struct execution *x)
{
    if (x->count > 2 ||
        (x->count == 2 && !resp_word_is(x->args[1], "async") && !resp_word_is(x->args[1], "sync")))
        reply_error(x, KEYED_SYNTAX_ERROR);
    else
        start(x, walk_new(&flushing, NULL), 0, 0);
}
