/* Steps and chunks for which the store has no room wait here until it has.
 *
 * Its memory table is full while the checkpoint before it is not complete: a matter of moments,
 * which comes to all replicas of a partition at about the same time. Were the steps dropped, their
 * primary would have to send them again, to a store as full as before, and might lose its majority
 * over it. So they wait, and what came behind them on the same link waits too: both in the order in
 * which they were said. Acknowledgements wait with them, and that slows the writers down.
 *
 * Signals do not wait. They change nothing that waits: a step of a view that is over by its turn is
 * refused, or tells nothing of who leads; one that was brought by other means is known by its
 * version.
 */
#include "node/shard_parts.h"
#include "shared/error.h"
#include "shared/frame.h"

enum {
    WAITING_KEEP = 4096,
    WAITING_SHARE =
        64 << 10,        /* bytes that a link, or the line of requests, may bring in its turn, */
    WAITING_ROUNDS = 16, /* and how many turns before the loop goes on */
};

bool shard_waits(const struct shard *s, uint16_t member, uint32_t partition)
{
    const struct outbox *box = shard_outbox(s, member, partition);

    return box && buf_len(&box->waiting) > 0;
}

/* A message and the group that it is for; NULL: for none here. */
struct ordered {
    uint8_t type;
    struct bytes frame;
    struct group *group;
    struct step step; /* of a STEP or PAST */
    struct chunk chunk;
};

static int read_ordered(struct shard *s, uint16_t member, uint8_t type, struct bytes body,
                        struct ordered *m)
{
    bool chunk = type == MESSAGE_CHUNK;
    int error = chunk ? peer_get_chunk(body, &m->chunk) : peer_get_step(body, &m->step);

    if (error)
        return RK_CORRUPT;
    m->type = type;
    m->frame = bytes_of(body.data - FRAME_HEADER_SIZE, body.size + FRAME_HEADER_SIZE);
    m->group = chunk ? shard_group_for(s, member, m->chunk.epoch, m->chunk.partition)
                     : shard_group_for(s, member, m->step.epoch, m->step.partition);
    return 0;
}

/* 0 or RK_FULL. */
static int take(struct shard *s, uint16_t member, const struct ordered *m)
{
    switch (m->type) {
    case MESSAGE_STEP:
        return group_step(s, m->group, member, &m->step, m->frame);
    case MESSAGE_CHUNK:
        return group_chunk(s, m->group, member, &m->chunk);
    default:
        group_past(s, m->group, member, &m->step, m->frame);
        return 0;
    }
}

static void let_wait(struct shard *s, struct outbox *box, uint16_t member, const struct ordered *m)
{
    bool fits =
        buf_len(&box->waiting) == 0 || buf_len(&box->waiting) + m->frame.size <= WAITING_MAX;

    box->member = member;
    if (fits && buf_append(&box->waiting, m->frame.data, m->frame.size) == 0) {
        s->counters.steps_waited++;
        s->some_wait = true;
        return;
    }
    s->counters.steps_dropped++;
    group_not_written(m->group);
}

int shard_take_in_order(struct shard *s, uint16_t member, uint8_t type, struct bytes body)
{
    struct ordered m;
    struct outbox *box;
    int error = read_ordered(s, member, type, body, &m);

    if (error || !m.group)
        return error;
    box = shard_outbox(s, member, m.group->partition);
    if (!box)
        return 0;
    if (buf_len(&box->waiting) || take(s, member, &m) == RK_FULL)
        let_wait(s, box, member, &m);
    return 0;
}

/* Returns how many bytes were taken. */
static size_t take_from(struct shard *s, struct outbox *box, size_t bytes_max)
{
    struct bytes rest = buf_bytes(&box->waiting);
    size_t before = rest.size;
    struct ordered m;
    struct frame f;
    int64_t size;

    /* Only what was read once before is in there. Its group may not take it any more. */
    while (rest.size && before - rest.size < bytes_max &&
           (size = frame_read(rest, FRAME_BODY_MAX, &f)) > 0) {
        if (read_ordered(s, box->member, f.type, f.body, &m) == 0 && m.group &&
            take(s, box->member, &m) == RK_FULL)
            break;
        rest = bytes_of(rest.data + size, rest.size - (size_t)size);
    }
    buf_consume(&box->waiting, before - rest.size);
    buf_trim(&box->waiting, WAITING_KEEP);
    return before - rest.size;
}

/* A share of what waits on each link, and of the requests in line. Returns whether any was taken.
 */
static bool take_shares(struct shard *s)
{
    bool taken = false, left = false;

    for (size_t i = 0; s->some_wait && i < s->outbox_count; i++) {
        struct outbox *box = &s->outboxes[i];

        if (buf_len(&box->waiting))
            taken |= take_from(s, box, WAITING_SHARE) > 0;
        left |= buf_len(&box->waiting) > 0;
    }
    s->some_wait = left;
    return (shard_serve_line(s, WAITING_SHARE) > 0) | taken;
}

bool shard_take_waiting(struct shard *s)
{
    int rounds = 0;

    /* In turns, or what fills the room first would keep it from the others. */
    while (rounds < WAITING_ROUNDS && take_shares(s))
        rounds++;
    return rounds > 0;
}
