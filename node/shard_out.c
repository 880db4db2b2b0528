/* What goes out: signals, gathered by link until the turn ends; replies; and what was held until it
 * was on stable storage. */
#include "node/shard_parts.h"
#include "shared/frame.h"

enum { OUTBOX_KEEP = 4096 }; /* bytes of an empty outbox's buffer that are not given back */

struct outbox *shard_outbox(const struct shard *s, uint16_t member, uint32_t partition)
{
    int index = ring_member_by_number(s->ring, member);

    return index < 0
               ? NULL
               : &s->outboxes[s->outbox_base[index] + partition % s->ring->members[index].shards];
}

void shard_note_ack(struct shard *s, uint16_t member, uint32_t partition)
{
    struct outbox *box = shard_outbox(s, member, partition);

    if (box)
        box->acked_ms = s->now_ms;
}

bool shard_acks_come(const struct shard *s, uint16_t member, uint32_t partition)
{
    const struct outbox *box = shard_outbox(s, member, partition);

    return box && box->up && s->now_ms - box->acked_ms < s->options.candidate_ms;
}

bool shard_has_link(const struct shard *s, uint16_t member, uint32_t partition)
{
    const struct outbox *box = shard_outbox(s, member, partition);

    return box && box->up;
}

/* --- to other replicas ---------------------------------------------------------------------- */

static void open_outbox(struct shard *s, struct outbox *box, uint16_t member, uint32_t partition)
{
    box->member = member;
    box->partition = partition;
    box->next_open = s->outboxes_open;
    s->outboxes_open = box;
}

/* Hands a gathered frame of signals over to its link. */
static void close_outbox(struct shard *s, struct outbox *box)
{
    struct buf *out = s->host.peer_out(s->host.arg, box->member, box->partition);

    /* Without a link they are lost; both sides start anew when it does. */
    if (out && (frame_end(&box->frame, 0) != 0 ||
                buf_append(out, buf_head(&box->frame), buf_len(&box->frame)) != 0))
        s->host.peer_break(s->host.arg, box->member, box->partition);
    buf_truncate(&box->frame, 0);
    buf_trim(&box->frame, OUTBOX_KEEP);
    box->count = 0;
    /* From here on they may leave, and a round of confirmations among them was asked too early for
     * a read that comes now. */
    s->turn++;
}

static void close_outbox_early(struct shard *s, struct outbox *box)
{
    struct outbox **at = &s->outboxes_open;

    while (*at != box)
        at = &(*at)->next_open;
    *at = box->next_open;
    close_outbox(s, box);
}

struct buf *shard_peer_out(struct shard *s, uint16_t member, uint32_t partition)
{
    struct outbox *box = shard_outbox(s, member, partition);

    if (box && box->count)
        close_outbox_early(s, box);
    return s->host.peer_out(s->host.arg, member, partition);
}

void shard_signal(struct shard *s, uint16_t member, const struct signal *signal)
{
    struct outbox *box = shard_outbox(s, member, signal->partition);

    if (!box)
        return;
    if (box->count == 0)
        buf_truncate(&box->frame, 0);
    if ((box->count == 0 && peer_begin_signals(&box->frame) == SIZE_MAX) ||
        peer_add_signal(&box->frame, signal) != 0) {
        s->host.peer_break(s->host.arg, member, signal->partition);
        return;
    }
    if (box->count == 0)
        open_outbox(s, box, member, signal->partition);
    if (++box->count == SIGNALS_MAX)
        close_outbox_early(s, box);
}

void shard_close_outboxes(struct shard *s)
{
    while (s->outboxes_open) {
        struct outbox *box = s->outboxes_open;

        s->outboxes_open = box->next_open;
        close_outbox(s, box);
    }
}

/* --- replies -------------------------------------------------------------------------------- */

struct buf *shard_client_out(struct shard *s, uint64_t client)
{
    uint16_t member = (uint16_t)client;
    uint32_t partition = (uint32_t)(client >> 16) & (PARTITIONS_MAX - 1);
    const struct outbox *box;

    if (!(client & SHARD_CLIENT_RELAY))
        return s->host.client_out(s->host.arg, client);
    /* Behind another link may be another process of that member, which numbers its relays anew. */
    box = shard_outbox(s, member, partition);
    if (!box || !box->up || box->link != (uint32_t)(client >> 32 & 0x7fffffff))
        return NULL;
    return s->host.peer_out(s->host.arg, member, partition);
}

void shard_refuse(struct shard *s, uint64_t client, uint64_t id, enum refusal refusal,
                  uint64_t view, uint64_t op)
{
    struct buf *out = shard_client_out(s, client);
    struct reply reply = {.id = id,
                          .kind = REPLY_REFUSED,
                          .refusal = (uint8_t)refusal,
                          .epoch = s->ring ? s->ring->epoch : 0,
                          .view = view,
                          .op = op};

    /* Without memory there is no answer, and the proxy's timeout says that it is not known. */
    if (out)
        message_put_reply(out, &reply);
}

/* --- what was held -------------------------------------------------------------------------- */

static void release(struct shard *s, const struct held_item *item, struct bytes frame)
{
    struct group *g = shard_group(s, item->partition);
    struct signal m = {.kind = item->signal,
                       .flags = item->flags,
                       .partition = item->partition,
                       .epoch = item->epoch,
                       .view = item->view,
                       .last = item->at};
    struct buf *out;

    switch (item->kind) {
    case HELD_REPLY:
        out = shard_client_out(s, item->to);
        if (out)
            buf_append(out, frame.data, frame.size);
        break;
    case HELD_SELF:
        if (g)
            group_self_synced(s, g, item->view, item->at);
        break;
    case HELD_PROMISE:
        if (g)
            group_self_promised(s, g, item->view);
        break;
    default:
        shard_signal(s, (uint16_t)item->to, &m);
    }
}

void shard_synced(struct shard *s, uint64_t position)
{
    struct held_item item;
    struct bytes frame;

    s->synced = position;
    while (held_peek(&s->held, position, &item, &frame)) {
        /* A release may hold something new, which can move the queue; a frame only belongs to a
         * reply, which does not. */
        release(s, &item, frame);
        held_drop(&s->held);
    }
}
