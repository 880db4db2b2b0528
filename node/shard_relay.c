/* Requests that one replica passes on to the leader, for a proxy that cannot reach it; and what
 * comes back. */
#include "node/shard_parts.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdlib.h>

struct relay {
    uint64_t id; /* in the request to the primary; 0: free */
    uint64_t client, client_id;
    uint32_t partition;
    uint16_t primary;
    bool writes;
};

void shard_relay(struct shard *s, uint16_t primary, uint64_t client, const struct request *m)
{
    struct buf *out = shard_peer_out(s, primary, m->partition);
    struct request passed = *m;

    if (!s->relays)
        s->relays = calloc(RELAYS_MAX, sizeof(*s->relays));
    passed.id = ++s->next_relay;
    passed.flags &= (uint8_t)~REQUEST_LEAD;
    if (!s->relays || !out || !s->host.peer_has_room(s->host.arg, primary, m->partition) ||
        message_put_request(out, &passed) != 0) {
        shard_refuse(s, client, m->id, REFUSAL_ELSEWHERE, 0, 0);
        return;
    }
    s->relays[passed.id % RELAYS_MAX] = (struct relay){
        .id = passed.id,
        .client = client,
        .client_id = m->id,
        .partition = m->partition,
        .primary = primary,
        .writes = operation_info(m->op)->writes,
    };
    s->counters.relayed++;
}

/* A request that another replica passes on. */
static int take_relayed_request(struct shard *s, uint16_t member, struct bytes body)
{
    struct request m;
    const struct outbox *box;

    if (message_get_request(body, &m) != 0)
        return RK_CORRUPT;
    m.flags &= (uint8_t)~REQUEST_LEAD;
    box = shard_outbox(s, member, m.partition);
    if (box)
        shard_request(s,
                      SHARD_CLIENT_RELAY | (uint64_t)box->link << 32 | (uint64_t)m.partition << 16 |
                          member,
                      &m);
    return 0;
}

static struct relay *relay_by_id(const struct shard *s, uint64_t id)
{
    struct relay *r = s->relays ? &s->relays[id % RELAYS_MAX] : NULL;

    return r && r->id == id && id ? r : NULL;
}

/* One that was passed on waits in line at the primary. */
static int take_relayed_waits(struct shard *s, struct bytes body)
{
    const struct relay *r;
    struct buf *out;
    uint64_t id;

    if (message_get_tag(body, &id) != 0)
        return RK_CORRUPT;
    r = relay_by_id(s, id);
    out = r ? shard_client_out(s, r->client) : NULL;
    if (out)
        message_put_waits(out, r->client_id);
    return 0;
}

/* No answer to it comes any more, or it is of no use. */
static void give_up(struct shard *s, struct relay *r)
{
    shard_refuse(s, r->client, r->client_id, r->writes ? REFUSAL_UNCERTAIN : REFUSAL_ELSEWHERE, 0,
                 0);
    r->id = 0;
}

void shard_relays_lost(struct shard *s, uint16_t member, uint16_t shard_of_peer,
                       uint16_t peer_shards)
{
    for (uint32_t i = 0; s->relays && i < RELAYS_MAX; i++) {
        struct relay *r = &s->relays[i];

        if (r->id && r->primary == member && r->partition % peer_shards == shard_of_peer)
            give_up(s, r);
    }
}

void shard_relays_over(struct shard *s, uint32_t partition)
{
    for (uint32_t i = 0; s->relays && i < RELAYS_MAX; i++) {
        struct relay *r = &s->relays[i];

        if (r->id && r->partition == partition &&
            !s->host.peer_alive(s->host.arg, r->primary, partition))
            give_up(s, r);
    }
}

/* The answer to one that was passed on: back to the proxy under its own number. */
static int take_relayed_reply(struct shard *s, struct bytes body)
{
    struct reply reply;
    struct relay *r;
    struct buf *out;
    size_t begun;

    if (message_get_reply(body, &reply) != 0)
        return RK_CORRUPT;
    r = relay_by_id(s, reply.id);
    if (!r)
        return 0;
    out = shard_client_out(s, r->client);
    begun = out ? frame_begin(out, MESSAGE_REPLY) : SIZE_MAX;
    if (begun != SIZE_MAX && buf_append(out, body.data, body.size) == 0) {
        wire_put_u64(buf_head(out) + begun + FRAME_HEADER_SIZE, r->client_id);
        frame_end(out, begun);
    } else if (begun != SIZE_MAX) {
        buf_truncate(out, begun);
    }
    r->id = 0;
    return 0;
}

int shard_take_relayed(struct shard *s, uint16_t member, uint8_t type, struct bytes body)
{
    return type == MESSAGE_REQUEST ? take_relayed_request(s, member, body)
           : type == MESSAGE_REPLY ? take_relayed_reply(s, body)
                                   : take_relayed_waits(s, body);
}
