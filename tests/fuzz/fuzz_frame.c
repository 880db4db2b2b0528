/* Any bytes as frames, and any bodies as messages of every type: what a decoder accepts lies inside
 * the input, is within its limits, and encodes to the same bytes.
 *
 * When the input's first byte is odd the rest is a stream as it may arrive. Else it is a list of
 * bodies (u8 which type, u16 size, bytes) that are put into frames with the right checksum, because
 * hardly any decoder would be reached otherwise. */
#include "node/peer_message.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/message_ring.h"
#include "shared/message_touched.h"
#include "shared/operation.h"
#include "shared/transaction.h"
#include "shared/wire.h"
#include "tests/fuzz/check.h"
#include "tests/request_args.h"

static struct buf again; /* what was decoded, encoded again */

static void check_inside(struct bytes part, struct bytes whole)
{
    if (part.size == 0)
        return;
    CHECK(part.data >= whole.data && part.data <= whole.data + whole.size);
    CHECK(part.size <= (size_t)(whole.data + whole.size - part.data));
}

/* --- one of each: false when it was refused, else it stands in `again` ---------------------- */

static bool hello(struct bytes body)
{
    struct hello m;

    if (message_get_hello(body, &m) != 0)
        return false;
    CHECK(m.role >= ROLE_PROXY && m.role <= ROLE_CONTROL && m.from_shard < SHARDS_MAX);
    CHECK(message_put_hello(&again, &m) == 0);
    return true;
}

static bool welcome(struct bytes body)
{
    struct welcome m;

    if (message_get_welcome(body, &m) != 0)
        return false;
    CHECK(m.shards >= 1 && m.shards <= SHARDS_MAX);
    CHECK(message_put_welcome(&again, &m) == 0);
    return true;
}

static bool challenge(struct bytes body)
{
    uint8_t nonce[HANDSHAKE_NONCE_SIZE];

    if (message_get_challenge(body, nonce) != 0)
        return false;
    CHECK(message_put_challenge(&again, nonce) == 0);
    return true;
}

static bool proof(struct bytes body)
{
    uint8_t nonce[HANDSHAKE_NONCE_SIZE];
    uint8_t proof[HANDSHAKE_PROOF_SIZE];

    if (message_get_proof(body, nonce, proof) != 0)
        return false;
    CHECK(message_put_proof(&again, nonce, proof) == 0);
    return true;
}

static bool goodbye(struct bytes body)
{
    struct goodbye m;
    char *text;

    if (message_get_goodbye(body, &m) != 0)
        return false;
    check_inside(m.text, body);
    /* A text with a zero byte in it is read, but never written. */
    if (m.text.size && memchr(m.text.data, 0, m.text.size))
        return false;
    text = strndup((const char *)m.text.data, m.text.size);
    CHECK(text && message_put_goodbye(&again, m.error, text) == 0);
    free(text);
    return true;
}

static bool tag(struct bytes body, int (*put)(struct buf *out, uint64_t number))
{
    uint64_t number;

    if (message_get_tag(body, &number) != 0)
        return false;
    CHECK(put(&again, number) == 0);
    return true;
}

static bool tagged(struct bytes body,
                   int (*put)(struct buf *out, uint64_t number, struct bytes rest))
{
    struct bytes rest;
    uint64_t number;

    if (message_get_tagged(body, &number, &rest) != 0)
        return false;
    check_inside(rest, body);
    CHECK(put(&again, number, rest) == 0);
    return true;
}

static bool ring_put(struct bytes body)
{
    struct ring_put m;

    if (message_get_ring_put(body, &m) != 0)
        return false;
    check_inside(m.ring, body);
    CHECK(message_put_ring_put(&again, &m) == 0);
    return true;
}

static bool done(struct bytes body)
{
    struct done m;

    if (message_get_done(body, &m) != 0)
        return false;
    check_inside(m.text, body);
    CHECK(message_put_done(&again, &m) == 0);
    return true;
}

static bool ring_prepare(struct bytes body)
{
    struct ring_prepare m;

    if (message_get_ring_prepare(body, &m) != 0)
        return false;
    CHECK(message_put_ring_prepare(&again, &m) == 0);
    return true;
}

static bool ring_promise(struct bytes body)
{
    struct ring_promise m;

    if (message_get_ring_promise(body, &m) != 0)
        return false;
    check_inside(m.ring, body);
    CHECK(message_put_ring_promise(&again, &m) == 0);
    return true;
}

static bool ring_accept(struct bytes body)
{
    struct ring_accept m;

    if (message_get_ring_accept(body, &m) != 0)
        return false;
    check_inside(m.ring, body);
    CHECK(message_put_ring_accept(&again, &m) == 0);
    return true;
}

static bool progress(struct bytes body)
{
    struct progress m;
    struct progress_entry e;
    struct buf entries = {0};
    uint32_t found = 0;

    if (message_get_progress(body, &m) != 0)
        return false;
    check_inside(m.entries, body);
    for (struct bytes rest = m.entries; message_next_progress(&rest, &e); found++)
        CHECK(message_add_progress(&entries, &e) == 0);
    CHECK(found == m.count);
    m.entries = buf_bytes(&entries);
    CHECK(message_put_progress(&again, &m) == 0);
    buf_free(&entries);
    return true;
}

static bool verify(struct bytes body)
{
    uint64_t number, run;
    uint8_t flags;

    if (message_get_verify(body, &number, &run, &flags) != 0)
        return false;
    CHECK(!(flags & VERIFY_REPAIR) || (flags & VERIFY_BEGIN));
    CHECK(message_put_verify(&again, number, run, flags) == 0);
    return true;
}

/* A part of a transaction: what it points to lies inside, and it encodes to the same bytes. */
static void part(struct bytes arg)
{
    struct transaction_item item;
    size_t size;

    CHECK(transaction_get_item(arg, &item) == 0);
    check_inside(item.op ? item.args : item.token, arg);
    check_inside(item.key, arg);
    if (item.op == 0) {
        CHECK(1 + item.token.size + item.key.size == arg.size);
        CHECK(item.token.size == WATCH_TOKEN_SIZE && item.key.size > POSITION_SIZE);
        return;
    }
    CHECK(transaction_takes(item.op) && item.op != OP_EXEC);
    size = TRANSACTION_ITEM_HEAD;
    for (uint16_t i = 0; i < item.arg_count; i++)
        size += 4 + message_next_arg(&item.args, NULL).size;
    CHECK(item.args.size == 0 && size == arg.size);
}

/* The results of a transaction, put again. */
static void results(const struct reply *m)
{
    struct buf put = {0};
    struct bytes rest = m->data;

    for (uint32_t i = 0; i < m->count; i++) {
        struct reply one = transaction_next_result(&rest);

        check_inside(one.data, m->data);
        CHECK(transaction_put_result(&put, &one) == 0);
    }
    CHECK(rest.size == 0 && bytes_equal(buf_bytes(&put), m->data));
    buf_free(&put);
}

static bool request(struct bytes body)
{
    struct request m;
    struct request_args args = {.count = 0};
    const char *letters;
    size_t period;

    if (message_get_request(body, &m) != 0)
        return false;
    CHECK(m.partition < PARTITIONS_MAX && m.level <= LEVEL_VERSION && operation_info(m.op));
    letters = operation_info(m.op)->args;
    period = strcspn(letters, "*");
    CHECK(m.arg_count);
    for (uint16_t i = 0; i < m.arg_count; i++) {
        bool nil;
        struct bytes arg = message_next_arg(&m.args, &nil);

        check_inside(arg, body);
        CHECK(!nil);
        if (letters[i % period] == 'k') {
            CHECK(arg.size > POSITION_SIZE && arg.size <= STORE_KEY_SIZE_MAX);
            CHECK(request_args_add_key(
                      &args, wire_get_position(arg.data),
                      bytes_of(arg.data + POSITION_SIZE, arg.size - POSITION_SIZE)) == 0);
        } else {
            CHECK(letters[i % period] != 'i' || arg.size == 8);
            if (letters[i % period] == 'x')
                part(arg);
            CHECK(request_args_add(&args, arg) == 0);
        }
    }
    CHECK(m.args.size == 0);
    CHECK(request_args_put(&args, m, &again) == 0);
    return true;
}

static bool reply(struct bytes body)
{
    struct reply m;
    size_t begun;

    if (message_get_reply(body, &m) != 0)
        return false;
    check_inside(m.data, body);
    check_inside(m.proof, body);
    CHECK(m.proof.size <= PROOF_MAX);
    if (m.kind == REPLY_RESULTS)
        results(&m);
    if (m.kind != REPLY_ARRAY) {
        CHECK(message_put_reply(&again, &m) == 0);
        return true;
    }
    begun = message_begin_array_reply(&again, m.id);
    CHECK(begun != SIZE_MAX && m.count <= MESSAGE_ARGS_MAX);
    for (uint32_t i = 0; i < m.count; i++) {
        bool nil;
        struct bytes value = message_next_arg(&m.data, &nil);

        check_inside(value, body);
        CHECK(message_add_value(&again, begun, nil ? NULL : &value) == 0);
    }
    CHECK(m.data.size == 0);
    CHECK(message_end_array_reply(&again, begun, m.proof) == 0);
    return true;
}

static bool signals(struct bytes body)
{
    struct signal s;
    size_t begun, count = 0;

    if (peer_check_signals(body) != 0)
        return false;
    begun = peer_begin_signals(&again);
    CHECK(begun != SIZE_MAX);
    while (peer_next_signal(&body, &s)) {
        CHECK(s.kind >= SIGNAL_PREPARE && s.partition < PARTITIONS_MAX);
        CHECK(peer_add_signal(&again, &s) == 0);
        count++;
    }
    CHECK(count >= 1 && count <= SIGNALS_MAX);
    CHECK(frame_end(&again, begun) == 0);
    return true;
}

/* The changes of a step or a chunk, `count` of them, malloced. */
static struct store_change *read_changes(struct bytes rest, uint16_t count, struct bytes body)
{
    struct store_change *changes = calloc((size_t)count + 1, sizeof(*changes));
    uint16_t found = 0;

    CHECK(changes && count <= STORE_CHANGES_MAX);
    while (peer_next_change(&rest, &changes[found])) {
        const struct store_change *c = &changes[found];

        CHECK(found < count);
        check_inside(c->key, body);
        check_inside(c->record.value, body);
        CHECK(c->key.size > POSITION_SIZE && c->key.size <= STORE_KEY_SIZE_MAX);
        CHECK(c->record.value.size <= VALUE_SIZE_MAX && c->record.expire_ms >= 0);
        CHECK(!c->record.value.size || (c->kind == STORE_PUT && !c->record.deleted));
        found++;
    }
    CHECK(found == count);
    return changes;
}

/* Stamped with another epoch and view and then with its own, a step is what it was; between, it is
 * a whole frame with all else as it was. */
static void restamp(const struct step *s)
{
    struct frame f;
    struct step stamped;
    uint8_t *frame = malloc(buf_len(&again));

    CHECK(frame);
    memcpy(frame, buf_bytes(&again).data, buf_len(&again));
    peer_restamp_step(frame, s->epoch + 1, UINT64_MAX);
    CHECK(frame_read(bytes_of(frame, buf_len(&again)), FRAME_BODY_MAX, &f) ==
          (int64_t)buf_len(&again));
    CHECK(peer_get_step(f.body, &stamped) == 0);
    CHECK(stamped.epoch == s->epoch + 1 && stamped.view == UINT64_MAX);
    peer_restamp_step(frame, s->epoch, s->view);
    CHECK(memcmp(frame, buf_bytes(&again).data, buf_len(&again)) == 0);
    free(frame);
}

static bool step(struct bytes body)
{
    struct store_change *changes;
    struct step s;

    if (peer_get_step(body, &s) != 0)
        return false;
    check_inside(s.result_data, body);
    CHECK(s.partition < PARTITIONS_MAX && version_compare(s.from, s.at) < 0);
    changes = read_changes(s.changes, s.change_count, body);
    CHECK(peer_put_step(&again, &s, changes, s.change_count) == 0);
    free(changes);
    restamp(&s);
    return true;
}

/* A PAST is a STEP under another name. */
static bool past(struct bytes body)
{
    struct buf named = {0};
    size_t begun;

    if (!step(body))
        return false;
    begun = frame_begin(&named, MESSAGE_PAST);
    CHECK(begun != SIZE_MAX);
    CHECK(buf_append(&named, buf_bytes(&again).data + FRAME_HEADER_SIZE,
                     buf_len(&again) - FRAME_HEADER_SIZE) == 0);
    CHECK(frame_end(&named, begun) == 0);
    buf_free(&again);
    again = named;
    return true;
}

static bool chunk(struct bytes body)
{
    struct store_change *changes;
    struct chunk c;
    size_t begun;

    if (peer_get_chunk(body, &c) != 0)
        return false;
    CHECK(c.partition < PARTITIONS_MAX && c.number);
    check_inside(c.lower, body);
    check_inside(c.upper, body);
    CHECK(c.lower.size <= STORE_KEY_SIZE_MAX && c.upper.size <= STORE_KEY_SIZE_MAX);
    changes = read_changes(c.changes, c.change_count, body);
    begun = peer_begin_chunk(&again, &c);
    CHECK(begun != SIZE_MAX);
    for (uint16_t i = 0; i < c.change_count; i++)
        CHECK(peer_add_change(&again, begun, &changes[i]) == 0);
    CHECK(peer_end_chunk(&again, begun, &c) == 0);
    free(changes);
    return true;
}

static bool difference(struct bytes body)
{
    struct difference d;
    struct bytes rest, key;

    if (peer_get_difference(body, &d) != 0)
        return false;
    rest = d.keys;
    while (peer_next_key(&rest, &key)) {
        check_inside(key, body);
        CHECK(key.size > POSITION_SIZE && key.size <= STORE_KEY_SIZE_MAX);
    }
    CHECK(peer_put_difference(&again, &d) == 0);
    return true;
}

/* --- shared/message_touched.h ---------------------------------------------------------------- */

static bool touched_get(struct bytes body)
{
    struct touched_get m;

    if (message_get_touched_get(body, &m) != 0)
        return false;
    CHECK(message_put_touched_get(&again, &m) == 0);
    return true;
}

static bool touched(struct bytes body)
{
    struct touched m;

    if (message_get_touched(body, &m) != 0)
        return false;
    check_inside(m.partitions, body);
    CHECK(m.count <= TOUCHED_MAX && !(m.any && m.count));
    for (uint32_t i = 0; i < m.count; i++)
        CHECK(touched_partition(&m, i) < PARTITIONS_MAX);
    CHECK(message_put_touched(&again, &m) == 0);
    return true;
}

/* --- frames --------------------------------------------------------------------------------- */

/* Without a default, so that the compiler misses a message that is not here. */
static bool decode(const struct frame *f)
{
    switch ((enum message_type)f->type) {
    case MESSAGE_HELLO:
        return hello(f->body);
    case MESSAGE_WELCOME:
        return welcome(f->body);
    case MESSAGE_GOODBYE:
        return goodbye(f->body);
    case MESSAGE_PING:
        return tag(f->body, message_put_ping);
    case MESSAGE_PONG:
        return tag(f->body, message_put_pong);
    case MESSAGE_CHALLENGE:
        return challenge(f->body);
    case MESSAGE_PROOF:
        return proof(f->body);
    case MESSAGE_WAITS:
        return tag(f->body, message_put_waits);
    case MESSAGE_TOUCHED_GET:
        return touched_get(f->body);
    case MESSAGE_TOUCHED:
        return touched(f->body);
    case MESSAGE_REQUEST:
        return request(f->body);
    case MESSAGE_REPLY:
        return reply(f->body);
    case MESSAGE_RING_GET:
        return tag(f->body, message_put_ring_get);
    case MESSAGE_RING:
        return tagged(f->body, message_put_ring);
    case MESSAGE_RING_PUT:
        return ring_put(f->body);
    case MESSAGE_DONE:
        return done(f->body);
    case MESSAGE_STATUS_GET:
        return tag(f->body, message_put_status_get);
    case MESSAGE_STATUS:
        return tagged(f->body, message_put_status);
    case MESSAGE_RING_PREPARE:
        return ring_prepare(f->body);
    case MESSAGE_RING_PROMISE:
        return ring_promise(f->body);
    case MESSAGE_RING_ACCEPT:
        return ring_accept(f->body);
    case MESSAGE_PROGRESS_GET:
        return tag(f->body, message_put_progress_get);
    case MESSAGE_PROGRESS:
        return progress(f->body);
    case MESSAGE_VERIFY:
        return verify(f->body);
    case MESSAGE_SIGNALS:
        return signals(f->body);
    case MESSAGE_STEP:
        return step(f->body);
    case MESSAGE_CHUNK:
        return chunk(f->body);
    case MESSAGE_DIFFERENCE:
        return difference(f->body);
    case MESSAGE_PAST:
        return past(f->body);
    }
    return false;
}

/* Reads frames, from a block of exactly this size, as long as there are any. */
static void run_stream(struct bytes in)
{
    uint8_t *copy = malloc(in.size ? in.size : 1);
    size_t taken = 0;

    CHECK(copy);
    if (in.size)
        memcpy(copy, in.data, in.size);
    for (;;) {
        struct bytes rest = bytes_of(copy + taken, in.size - taken);
        struct frame f;
        int64_t size = frame_read(rest, FRAME_BODY_MAX, &f);

        if (size < 0) {
            CHECK(size == RK_MORE || size == RK_VERSION || size == RK_CORRUPT);
            break;
        }
        CHECK(size > FRAME_HEADER_SIZE && (size_t)size <= rest.size);
        check_inside(f.body, rest);
        CHECK(f.body.size + FRAME_HEADER_SIZE == (size_t)size);
        buf_truncate(&again, 0);
        if (decode(&f))
            CHECK(bytes_equal(buf_bytes(&again), bytes_of(rest.data, (size_t)size)));
        taken += (size_t)size;
    }
    free(copy);
}

enum { TYPES_TRIED = 64 }; /* those of all messages, and some of none */

/* Puts bodies into frames. */
static void make_stream(const uint8_t *data, size_t size, struct buf *stream)
{
    while (size > 3) {
        size_t begun = frame_begin(stream, data[0] % TYPES_TRIED);
        size_t body = wire_get_u16(data + 1);

        if (body > size - 3)
            body = size - 3;
        CHECK(begun != SIZE_MAX && buf_append(stream, data + 3, body) == 0);
        CHECK(frame_end(stream, begun) == (body ? 0 : RK_INVALID));
        data += 3 + body;
        size -= 3 + body;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf stream = {0};

    if (size < 1)
        return 0;
    if (data[0] & 1) {
        run_stream(bytes_of(data + 1, size - 1));
    } else {
        make_stream(data + 1, size - 1, &stream);
        run_stream(buf_bytes(&stream));
    }
    buf_free(&stream);
    buf_free(&again);
    return 0;
}
