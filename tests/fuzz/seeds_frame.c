#include "node/peer_message.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/message_ring.h"
#include "shared/message_touched.h"
#include "shared/operation.h"
#include "shared/transaction.h"
#include "shared/wire.h"
#include "tests/fuzz/seeds.h"
#include "tests/request_args.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct buf out; /* whole frames */

static const struct bytes a_key = {(const uint8_t *)"positionk", POSITION_SIZE + 1};
static const uint8_t nonce[HANDSHAKE_NONCE_SIZE] = "nonce";
static const uint8_t proof[HANDSHAKE_PROOF_SIZE] = "proof";

/* Puts the frames in `out` as fuzz_frame's list of bodies, and takes them away. */
static void put(const char *name)
{
    struct bytes rest = buf_bytes(&out);
    struct buf list = {0};

    CHECK(rest.size);
    while (rest.size) {
        struct frame f;
        int64_t size = frame_read(rest, FRAME_BODY_MAX, &f);
        uint8_t head[3] = {0};

        CHECK(size > 0 && f.body.size <= UINT16_MAX);
        head[0] = f.type;
        wire_put_u16(head + 1, (uint16_t)f.body.size);
        CHECK(buf_append(&list, head, sizeof(head)) == 0);
        CHECK(buf_append(&list, f.body.data, f.body.size) == 0);
        rest = bytes_of(rest.data + size, rest.size - (size_t)size);
    }
    seed("frame", name, 0, buf_bytes(&list));
    buf_free(&list);
    buf_truncate(&out, 0);
}

/* The same, but as they travel. */
static void put_stream(const char *name)
{
    seed("frame", name, 1, buf_bytes(&out));
    buf_truncate(&out, 0);
}

/* --- shared/message.h ----------------------------------------------------------------------- */

static void seed_handshake(void)
{
    struct hello hello = {.role = ROLE_NODE, .cluster = "c", .identity = "i", .epoch = 1};
    struct welcome welcome = {.cluster = "c", .identity = "i", .shards = 2, .epoch = 1};
    struct touched_get get = {.tag = 1, .since = 2};
    struct touched told = {
        .tag = 1, .touches = 3, .count = 1, .partitions = {(const uint8_t *)"\1\0\0", 4}};

    CHECK(message_put_hello(&out, &hello) == 0);
    CHECK(message_put_challenge(&out, nonce) == 0);
    CHECK(message_put_proof(&out, nonce, proof) == 0);
    CHECK(message_put_welcome(&out, &welcome) == 0);
    CHECK(message_put_ping(&out, 1) == 0);
    CHECK(message_put_pong(&out, 1) == 0);
    CHECK(message_put_waits(&out, 1) == 0);
    CHECK(message_put_touched_get(&out, &get) == 0);
    CHECK(message_put_touched(&out, &told) == 0);
    CHECK(message_put_goodbye(&out, RK_CLUSTER, "another cluster") == 0);
    put("handshake");
    CHECK(message_put_hello(&out, &hello) == 0);
    CHECK(message_put_ping(&out, 1) == 0);
    put_stream("stream");
    welcome.proven = true;
    CHECK(message_put_welcome(&out, &welcome) == 0);
    put("proven");
}

static void add_item(struct request_args *args)
{
    struct buf item = {0};
    uint8_t head[TRANSACTION_ITEM_HEAD] = {OP_DEL};
    uint8_t size[4];

    wire_put_u16(head + 1, 1);
    wire_put_u32(size, (uint32_t)a_key.size);
    CHECK(buf_append(&item, head, sizeof(head)) == 0);
    CHECK(buf_append(&item, size, sizeof(size)) == 0);
    CHECK(buf_append(&item, a_key.data, a_key.size) == 0);
    CHECK(request_args_add(args, buf_bytes(&item)) == 0);
    buf_free(&item);
}

/* An argument for a letter of the operation's table. */
static void add_arg(struct request_args *args, char letter)
{
    uint8_t watched[1 + WATCH_TOKEN_SIZE + POSITION_SIZE + 1] = {0};
    uint8_t integer[8] = {0};

    switch (letter) {
    case 'k':
        CHECK(request_args_add_key(args, 1, bytes_from("k")) == 0);
        break;
    case 'i':
        CHECK(request_args_add(args, bytes_of(integer, sizeof(integer))) == 0);
        break;
    case 'x':
        CHECK(request_args_add(args, bytes_of(watched, sizeof(watched))) == 0);
        add_item(args);
        break;
    case 'c':
        CHECK(request_args_add(args, a_key) == 0);
        break;
    default:
        CHECK(request_args_add(args, bytes_from("value")) == 0);
        break;
    }
}

static void seed_requests(void)
{
    for (unsigned op = 0; op <= UINT8_MAX; op++) {
        const struct operation_info *info = operation_info((uint8_t)op);
        struct request m = {.id = 1, .epoch = 1, .view = 1, .op = (uint8_t)op};
        struct request_args args = {.count = 0};

        if (!info)
            continue;
        m.session = m.number = info->writes;
        for (const char *letter = info->args; *letter; letter++)
            if (*letter != '*')
                add_arg(&args, *letter);
        CHECK(request_args_put(&args, m, &out) == 0);
        put(info->name);
    }
}

static void seed_array(void)
{
    struct bytes value = bytes_from("value");
    size_t begun = message_begin_array_reply(&out, 1);

    CHECK(begun != SIZE_MAX);
    CHECK(message_add_value(&out, begun, &value) == 0);
    CHECK(message_add_value(&out, begun, NULL) == 0);
    CHECK(message_end_array_reply(&out, begun, (struct bytes){0}) == 0);
    put("reply-array");
}

static void seed_replies(void)
{
    static const uint8_t state[PROOF_HEAD_SIZE + PROOF_VERSION_SIZE] = {1};
    struct reply m = {.id = 1, .kind = REPLY_OK};
    struct buf results = {0};

    CHECK(message_put_reply(&out, &m) == 0);
    m.kind = REPLY_NIL;
    CHECK(message_put_reply(&out, &m) == 0);
    m.kind = REPLY_INTEGER;
    CHECK(message_put_reply(&out, &m) == 0);
    m.kind = REPLY_BULK;
    m.data = bytes_from("value");
    m.proof = bytes_of(state, sizeof(state));
    CHECK(message_put_reply(&out, &m) == 0);
    m.kind = REPLY_VERSION;
    CHECK(message_put_reply(&out, &m) == 0);
    m.kind = REPLY_ERROR;
    CHECK(message_put_reply(&out, &m) == 0);
    m.kind = REPLY_REFUSED;
    m.refusal = REFUSAL_ELSEWHERE;
    CHECK(message_put_reply(&out, &m) == 0);
    put("replies");
    m = (struct reply){.kind = REPLY_INTEGER};
    CHECK(transaction_put_result(&results, &m) == 0);
    m = (struct reply){.id = 1, .kind = REPLY_RESULTS, .count = 1, .data = buf_bytes(&results)};
    CHECK(message_put_reply(&out, &m) == 0);
    put("reply-results");
    buf_free(&results);
    seed_array();
}

/* --- shared/message_ring.h ------------------------------------------------------------------ */

static void seed_ring_messages(void)
{
    struct bytes ring = bytes_from("a ring");
    struct ring_put ring_put = {1, 1, ring};
    struct done done = {1, RK_EPOCH, 2, bytes_from("why")};
    struct ring_prepare prepare = {1, 2, {3, 4}};
    struct ring_promise promise = {1, 0, 1, {3, 4}, {2, 5}, ring};
    struct ring_accept accept = {1, {3, 4}, ring};

    CHECK(message_put_ring_get(&out, 1) == 0);
    CHECK(message_put_ring(&out, 1, ring) == 0);
    CHECK(message_put_ring_put(&out, &ring_put) == 0);
    CHECK(message_put_done(&out, &done) == 0);
    CHECK(message_put_ring_prepare(&out, &prepare) == 0);
    CHECK(message_put_ring_promise(&out, &promise) == 0);
    CHECK(message_put_ring_accept(&out, &accept) == 0);
    put("ring");
}

static void seed_control(void)
{
    struct progress_entry entry = {1, PROGRESS_LEARNED};
    struct progress progress = {.tag = 1, .epoch = 2, .count = 1};
    struct buf entries = {0};

    CHECK(message_add_progress(&entries, &entry) == 0);
    progress.entries = buf_bytes(&entries);
    CHECK(message_put_status_get(&out, 1) == 0);
    CHECK(message_put_status(&out, 1, bytes_from("a=1\n")) == 0);
    CHECK(message_put_progress_get(&out, 1) == 0);
    CHECK(message_put_progress(&out, &progress) == 0);
    CHECK(message_put_verify(&out, 1, 2, VERIFY_BEGIN | VERIFY_REPAIR) == 0);
    put("control");
    buf_free(&entries);
}

/* --- node/peer_message.h -------------------------------------------------------------------- */

static struct store_change change_of(bool deleted)
{
    struct store_change c = {STORE_PUT, a_key, {{1, 2}, 3, deleted, {0}}};

    if (!deleted)
        c.record.value = bytes_from("value");
    return c;
}

static void seed_steps(void)
{
    struct store_change changes[] = {
        change_of(false), change_of(true), {STORE_FORGET, a_key, {{0, 0}, 0, false, {0}}}};
    struct step start = {.epoch = 1, .view = 2, .kind = STEP_START, .from = {1, 5}, .at = {2, 0}};
    struct step step = {.epoch = 1,
                        .view = 2,
                        .kind = STEP_OPERATION,
                        .from = {2, 0},
                        .at = {2, 1},
                        .session = 1,
                        .number = 2,
                        .result_kind = REPLY_BULK,
                        .result_data = bytes_from("result")};
    struct buf frame;
    size_t begun;

    CHECK(peer_put_step(&out, &start, NULL, 0) == 0);
    CHECK(peer_put_step(&out, &step, changes, 3) == 0);
    put("steps");

    CHECK(peer_put_step(&out, &step, changes, 1) == 0);
    frame = out;
    out = (struct buf){0};
    begun = frame_begin(&out, MESSAGE_PAST);
    CHECK(begun != SIZE_MAX);
    CHECK(buf_append(&out, buf_bytes(&frame).data + FRAME_HEADER_SIZE,
                     buf_len(&frame) - FRAME_HEADER_SIZE) == 0);
    CHECK(frame_end(&out, begun) == 0);
    buf_free(&frame);
    put("past");
}

static void put_chunk(const struct chunk *c)
{
    size_t begun = peer_begin_chunk(&out, c);
    struct store_change change = change_of(false);

    CHECK(begun != SIZE_MAX);
    for (uint16_t i = 0; i < c->change_count; i++)
        CHECK(peer_add_change(&out, begun, &change) == 0);
    CHECK(peer_end_chunk(&out, begun, c) == 0);
}

static void seed_chunks(void)
{
    struct chunk c = {.epoch = 1,
                      .view = 2,
                      .flags = CHUNK_FIRST,
                      .transfer = 3,
                      .number = 1,
                      .at = {2, 1},
                      .upper = a_key,
                      .change_count = 2};
    struct difference difference = {
        .epoch = 1, .view = 2, .count = 1, .keys = {(const uint8_t *)"\x09\0positionk", 11}};

    put_chunk(&c);
    c.flags = CHUNK_DIGEST;
    c.rest.count = 7;
    c.change_count = 1;
    put_chunk(&c);
    c.flags = CHUNK_DIGEST | CHUNK_COMPARE | CHUNK_REPAIR;
    put_chunk(&c);
    c = (struct chunk){.epoch = 1, .view = 2, .flags = CHUNK_LAST, .transfer = 3, .number = 2};
    put_chunk(&c);
    put("chunks");
    CHECK(peer_put_difference(&out, &difference) == 0);
    put("difference");
}

static void seed_signals(void)
{
    size_t begun = peer_begin_signals(&out);

    CHECK(begun != SIZE_MAX);
    for (uint8_t kind = SIGNAL_PREPARE; kind <= SIGNAL_DAMAGED; kind++) {
        struct signal s = {.kind = kind, .epoch = 1, .view = 2, .last = {1, 3}};

        CHECK(peer_add_signal(&out, &s) == 0);
    }
    CHECK(frame_end(&out, begun) == 0);
    put("signals");
}

void seed_frames(void)
{
    seed_handshake();
    seed_requests();
    seed_replies();
    seed_ring_messages();
    seed_control();
    seed_steps();
    seed_chunks();
    seed_signals();
    buf_free(&out);
}
