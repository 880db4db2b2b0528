#include "shared/message.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/reader.h"
#include "shared/wire.h"

static const struct bytes no_rest;

/* --- handshake ------------------------------------------------------------------------------ */

int message_put_hello(struct buf *out, const struct hello *m)
{
    uint8_t body[12 + 3 * IDENTITY_SIZE];

    body[0] = m->role;
    body[1] = m->from_shard;
    wire_put_u16(body + 2, m->shard);
    wire_put_u64(body + 4, m->epoch);
    memcpy(body + 12, m->cluster, IDENTITY_SIZE);
    memcpy(body + 12 + IDENTITY_SIZE, m->identity, IDENTITY_SIZE);
    memcpy(body + 12 + 2 * IDENTITY_SIZE, m->target, IDENTITY_SIZE);
    return frame_put(out, MESSAGE_HELLO, bytes_of(body, sizeof(body)), no_rest);
}

int message_get_hello(struct bytes body, struct hello *m)
{
    struct reader r = reader_of(body);

    m->role = reader_u8(&r);
    m->from_shard = reader_u8(&r);
    m->shard = reader_u16(&r);
    m->epoch = reader_u64(&r);
    reader_copy(&r, m->cluster, IDENTITY_SIZE);
    reader_copy(&r, m->identity, IDENTITY_SIZE);
    reader_copy(&r, m->target, IDENTITY_SIZE);
    if (m->role < ROLE_PROXY || m->role > ROLE_CONTROL || m->from_shard >= SHARDS_MAX)
        return RK_CORRUPT;
    return reader_end(&r);
}

int message_put_welcome(struct buf *out, const struct welcome *m)
{
    uint8_t head[10 + 2 * IDENTITY_SIZE];

    wire_put_u16(head, m->shards);
    wire_put_u64(head + 2, m->epoch);
    memcpy(head + 10, m->cluster, IDENTITY_SIZE);
    memcpy(head + 10 + IDENTITY_SIZE, m->identity, IDENTITY_SIZE);
    return frame_put(out, MESSAGE_WELCOME, bytes_of(head, sizeof(head)),
                     bytes_of(m->proof, m->proven ? HANDSHAKE_PROOF_SIZE : 0));
}

int message_get_welcome(struct bytes body, struct welcome *m)
{
    struct reader r = reader_of(body);

    m->shards = reader_u16(&r);
    m->epoch = reader_u64(&r);
    reader_copy(&r, m->cluster, IDENTITY_SIZE);
    reader_copy(&r, m->identity, IDENTITY_SIZE);
    m->proven = r.left > 0;
    memset(m->proof, 0, sizeof(m->proof));
    if (m->proven)
        reader_copy(&r, m->proof, HANDSHAKE_PROOF_SIZE);
    if (m->shards < 1 || m->shards > SHARDS_MAX)
        return RK_CORRUPT;
    return reader_end(&r);
}

int message_put_challenge(struct buf *out, const uint8_t nonce[HANDSHAKE_NONCE_SIZE])
{
    return frame_put(out, MESSAGE_CHALLENGE, bytes_of(nonce, HANDSHAKE_NONCE_SIZE), no_rest);
}

int message_get_challenge(struct bytes body, uint8_t nonce[HANDSHAKE_NONCE_SIZE])
{
    struct reader r = reader_of(body);

    reader_copy(&r, nonce, HANDSHAKE_NONCE_SIZE);
    return reader_end(&r);
}

int message_put_proof(struct buf *out, const uint8_t nonce[HANDSHAKE_NONCE_SIZE],
                      const uint8_t proof[HANDSHAKE_PROOF_SIZE])
{
    return frame_put(out, MESSAGE_PROOF, bytes_of(nonce, HANDSHAKE_NONCE_SIZE),
                     bytes_of(proof, HANDSHAKE_PROOF_SIZE));
}

int message_get_proof(struct bytes body, uint8_t nonce[HANDSHAKE_NONCE_SIZE],
                      uint8_t proof[HANDSHAKE_PROOF_SIZE])
{
    struct reader r = reader_of(body);

    reader_copy(&r, nonce, HANDSHAKE_NONCE_SIZE);
    reader_copy(&r, proof, HANDSHAKE_PROOF_SIZE);
    return reader_end(&r);
}

int message_put_goodbye(struct buf *out, int error, const char *text)
{
    uint8_t code = (uint8_t)-error;

    return frame_put(out, MESSAGE_GOODBYE, bytes_of(&code, 1), bytes_from(text));
}

int message_get_goodbye(struct bytes body, struct goodbye *m)
{
    struct reader r = reader_of(body);

    m->error = -(int)reader_u8(&r);
    m->text = reader_rest(&r);
    return reader_end(&r);
}

/* --- ring and status ------------------------------------------------------------------------ */

static int put_tagged(struct buf *out, uint8_t type, uint64_t tag, struct bytes rest)
{
    uint8_t head[8];

    wire_put_u64(head, tag);
    return frame_put(out, type, bytes_of(head, sizeof(head)), rest);
}

int message_put_ping(struct buf *out, uint64_t tag)
{
    return put_tagged(out, MESSAGE_PING, tag, no_rest);
}

int message_put_pong(struct buf *out, uint64_t tag)
{
    return put_tagged(out, MESSAGE_PONG, tag, no_rest);
}

int message_put_waits(struct buf *out, uint64_t id)
{
    return put_tagged(out, MESSAGE_WAITS, id, no_rest);
}

int message_put_ring_get(struct buf *out, uint64_t tag)
{
    return put_tagged(out, MESSAGE_RING_GET, tag, no_rest);
}

int message_put_status_get(struct buf *out, uint64_t tag)
{
    return put_tagged(out, MESSAGE_STATUS_GET, tag, no_rest);
}

int message_put_verify(struct buf *out, uint64_t tag, uint64_t run, uint8_t flags)
{
    uint8_t rest[9];

    wire_put_u64(rest, run);
    rest[8] = flags;
    return put_tagged(out, MESSAGE_VERIFY, tag, bytes_of(rest, sizeof(rest)));
}

int message_get_verify(struct bytes body, uint64_t *tag, uint64_t *run, uint8_t *flags)
{
    struct reader r = reader_of(body);

    *tag = reader_u64(&r);
    *run = reader_u64(&r);
    *flags = reader_u8(&r);
    if (*flags > (VERIFY_BEGIN | VERIFY_REPAIR) || *flags == VERIFY_REPAIR)
        r.bad = true;
    return reader_end(&r);
}

int message_put_ring(struct buf *out, uint64_t tag, struct bytes ring)
{
    return put_tagged(out, MESSAGE_RING, tag, ring);
}

int message_put_status(struct buf *out, uint64_t tag, struct bytes text)
{
    return put_tagged(out, MESSAGE_STATUS, tag, text);
}

int message_get_tag(struct bytes body, uint64_t *tag)
{
    struct reader r = reader_of(body);

    *tag = reader_u64(&r);
    return reader_end(&r);
}

int message_get_tagged(struct bytes body, uint64_t *tag, struct bytes *rest)
{
    struct reader r = reader_of(body);

    *tag = reader_u64(&r);
    *rest = reader_rest(&r);
    return reader_end(&r);
}

int message_put_ring_put(struct buf *out, const struct ring_put *m)
{
    uint8_t head[16];

    wire_put_u64(head, m->tag);
    wire_put_u64(head + 8, m->expected_epoch);
    return frame_put(out, MESSAGE_RING_PUT, bytes_of(head, sizeof(head)), m->ring);
}

int message_get_ring_put(struct bytes body, struct ring_put *m)
{
    struct reader r = reader_of(body);

    m->tag = reader_u64(&r);
    m->expected_epoch = reader_u64(&r);
    m->ring = reader_rest(&r);
    return reader_end(&r);
}

int message_put_done(struct buf *out, const struct done *m)
{
    uint8_t head[17];

    wire_put_u64(head, m->tag);
    wire_put_u64(head + 8, m->epoch);
    head[16] = (uint8_t)-m->error;
    return frame_put(out, MESSAGE_DONE, bytes_of(head, sizeof(head)), m->text);
}

int message_get_done(struct bytes body, struct done *m)
{
    struct reader r = reader_of(body);

    m->tag = reader_u64(&r);
    m->epoch = reader_u64(&r);
    m->error = -(int)reader_u8(&r);
    m->text = reader_rest(&r);
    return reader_end(&r);
}
