#include "node/mutant.h"
#include "node/shard_parts.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/transaction.h"
#include "shared/wire.h"
#include <stdlib.h>

enum {
    SCRATCH_KEEP = 1 << 20, /* bytes of an empty scratch buffer that are not given back */
    CACHE_LINE = 64,        /* bytes */
    LATE_MS = 10,           /* behind its time a tick is late: the thread has too much to do */
};

struct shard *shard_new(const struct shard_options *options, const struct shard_host *host,
                        struct store *store)
{
    struct shard *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->options = *options;
    s->host = *host;
    s->store = store;
    s->touches = 1;
    history_init(&s->history, options->history_bytes, options->history_steps);
    return s;
}

void shard_free(struct shard *s)
{
    if (!s)
        return;
    shard_drop_ring(s);
    history_free(&s->history);
    held_free(&s->held);
    line_free(&s->line);
    effect_free(&s->effect);
    expiry_sweep_free(&s->expiry);
    buf_free(&s->transfer_answers);
    buf_free(&s->verify.findings);
    buf_free(&s->scratch);
    buf_free(&s->proof);
    free(s->relays);
    free(s);
}

struct group *shard_group(const struct shard *s, uint32_t partition)
{
    if (!s->ring || partition >= ring_partitions(s->ring) ||
        partition % s->options.count != s->options.index)
        return NULL;
    return &s->groups[partition / s->options.count];
}

/* --- requests ------------------------------------------------------------------------------- */

static bool key_belongs(const struct ring *ring, uint32_t partition, struct bytes key)
{
    return ring_partition(ring, wire_get_position(key.data)) == partition;
}

static bool part_belongs(const struct ring *ring, uint32_t partition, struct bytes arg);

/* Every key of an operation must lie in the partition that its request names. */
static bool keys_belong(const struct ring *ring, uint32_t partition, uint8_t op, uint16_t arg_count,
                        struct bytes args)
{
    const char *letters = operation_info(op)->args;
    size_t period = 0;

    while (letters[period] && letters[period] != '*')
        period++;
    for (uint16_t i = 0; i < arg_count; i++) {
        struct bytes arg = message_next_arg(&args, NULL);
        char letter = letters[i % period];

        if (letter == 'x' ? !part_belongs(ring, partition, arg)
                          : strchr("kc", letter) && !key_belongs(ring, partition, arg))
            return false;
    }
    return true;
}

static bool part_belongs(const struct ring *ring, uint32_t partition, struct bytes arg)
{
    struct transaction_item item;

    if (transaction_get_item(arg, &item) != 0)
        return false;
    return item.op ? keys_belong(ring, partition, item.op, item.arg_count, item.args)
                   : key_belongs(ring, partition, item.key);
}

/* What was made for other voters than this node knows is not carried out: true. */
static bool is_of_another_epoch(struct shard *s, uint64_t client, const struct request *m,
                                uint64_t epoch)
{
    if (m->epoch == epoch || (MUTANT(s, OLD_EPOCH) && m->epoch < epoch))
        return false;
    s->counters.refused_epoch++;
    if (s->ring && m->epoch > s->ring->epoch)
        s->host.newer_epoch(s->host.arg, m->epoch, 0);
    shard_refuse(s, client, m->id, REFUSAL_EPOCH, 0, 0);
    return true;
}

int shard_carry_out(struct shard *s, uint64_t client, const struct request *m)
{
    struct group *g = shard_group(s, m->partition);

    if (is_of_another_epoch(s, client, m, g ? g->epoch : s->ring ? m->epoch : UINT64_MAX))
        return 0;
    if (!g || !keys_belong(s->ring, m->partition, m->op, m->arg_count, m->args)) {
        s->counters.refused_malformed++;
        shard_refuse(s, client, m->id, REFUSAL_MALFORMED, 0, 0);
    } else if (!g->votes) {
        s->counters.refused_elsewhere++;
        shard_refuse(s, client, m->id, REFUSAL_ELSEWHERE, 0, 0);
    } else {
        return group_request(s, g, client, m);
    }
    return 0;
}

void shard_request(struct shard *s, uint64_t client, const struct request *m)
{
    if (shard_carry_out(s, client, m) == RK_FULL)
        shard_join_line(s, shard_group(s, m->partition), client, m);
}

void shard_expect(const struct shard *s, const struct request *const *m, size_t count)
{
    struct bytes keys[2][STORE_EXPECTED_MAX]; /* by whether a record is read */
    size_t key_count[2] = {0};

    for (size_t i = 0; i < count; i++) {
        const struct operation_info *info = operation_info(m[i]->op);
        const struct group *g = shard_group(s, m[i]->partition);
        bool get = !info->writes && m[i]->level != LEVEL_VERSION;
        struct bytes rest = m[i]->args;

        if (!g)
            continue;
        for (size_t line = 0; line < offsetof(struct group, peers); line += CACHE_LINE)
            __builtin_prefetch((const uint8_t *)g + line);
        if (m[i]->arg_count && info->args[0] == 'k')
            keys[get][key_count[get]++] = message_next_arg(&rest, NULL);
    }
    for (int get = 0; get < 2; get++)
        if (key_count[get])
            store_expect(s->store, keys[get], key_count[get], get);
}

/* --- links ---------------------------------------------------------------------------------- */

/* A link joins this shard to one shard of the other node; the partitions it carries are those that
 * lie in both. */
static void each_group_of_link(struct shard *s, uint16_t member, uint16_t shard_of_peer,
                               uint16_t peer_shards,
                               void (*fn)(struct shard *s, struct group *g, uint16_t member))
{
    for (uint32_t i = 0; i < s->group_count; i++)
        if (s->groups[i].mine && s->groups[i].partition % peer_shards == shard_of_peer)
            fn(s, &s->groups[i], member);
}

void shard_peer_up(struct shard *s, uint16_t member, uint16_t shard_of_peer, uint16_t peer_shards)
{
    struct outbox *box = shard_outbox(s, member, shard_of_peer);

    if (box) {
        box->link = s->last_link = (s->last_link + 1) & 0x7fffffff;
        box->up = true;
        buf_free(&box->waiting);
    }
    each_group_of_link(s, member, shard_of_peer, peer_shards, group_peer_up);
}

void shard_peer_down(struct shard *s, uint16_t member, uint16_t shard_of_peer, uint16_t peer_shards)
{
    struct outbox *box = shard_outbox(s, member, shard_of_peer);

    if (box) {
        box->up = false;
        buf_free(&box->waiting);
    }
    shard_relays_lost(s, member, shard_of_peer, peer_shards);
    each_group_of_link(s, member, shard_of_peer, peer_shards, group_peer_down);
}

void shard_peer_room(struct shard *s, uint16_t member, uint16_t shard_of_peer, uint16_t peer_shards)
{
    each_group_of_link(s, member, shard_of_peer, peer_shards, group_peer_room);
}

struct group *shard_group_for(struct shard *s, uint16_t member, uint64_t epoch, uint32_t partition)
{
    struct group *g = shard_group(s, partition);

    if (g && g->mine && (g->epoch == epoch || (MUTANT(s, OLD_EPOCH) && epoch < g->epoch)))
        return g;
    if (s->ring && epoch > s->ring->epoch)
        s->host.newer_epoch(s->host.arg, epoch, member);
    else if (!g)
        s->counters.bad_messages++;
    return NULL;
}

static int take_signals(struct shard *s, uint16_t member, struct bytes body)
{
    struct signal m;

    if (peer_check_signals(body) != 0)
        return RK_CORRUPT;
    while (peer_next_signal(&body, &m)) {
        struct group *g = shard_group_for(s, member, m.epoch, m.partition);

        if (g)
            group_signal(s, g, member, &m);
    }
    return 0;
}

static int take_difference(struct shard *s, uint16_t member, struct bytes body)
{
    struct difference m;
    struct group *g;

    if (peer_get_difference(body, &m) != 0)
        return RK_CORRUPT;
    g = shard_group_for(s, member, m.epoch, m.partition);
    if (g && g->view == m.view)
        verify_found(s, member, &m);
    return 0;
}

int shard_peer_message(struct shard *s, uint16_t member, uint8_t type, struct bytes body)
{
    switch (type) {
    case MESSAGE_SIGNALS:
        return take_signals(s, member, body);
    case MESSAGE_STEP:
    case MESSAGE_PAST:
    case MESSAGE_CHUNK:
        return shard_take_in_order(s, member, type, body);
    case MESSAGE_REQUEST:
    case MESSAGE_REPLY:
    case MESSAGE_WAITS:
        return shard_take_relayed(s, member, type, body);
    case MESSAGE_DIFFERENCE:
        return take_difference(s, member, body);
    default:
        return RK_CORRUPT;
    }
}

/* --- turns and ticks ------------------------------------------------------------------------ */

/* What one large value needed is not kept for ever. */
static void trim(struct buf *scratch)
{
    buf_truncate(scratch, 0);
    buf_trim(scratch, SCRATCH_KEEP);
}

void shard_turn_end(struct shard *s)
{
    s->turn++;
    trim(&s->scratch);
    trim(&s->proof);
    arena_reset(&s->effect.arena);
    /* What was held this turn may wait for a position that is on stable storage already, and then
     * no sync will come to release it. */
    shard_synced(s, MUTANT(s, UNSYNCED) ? UINT64_MAX : s->synced);
    transfer_begin_waiting(s);
    verify_continue(s);
    shard_close_outboxes(s);
}

/* One step of the walk over the partitions that are led here, for tombstones that no replica needs
 * any more. */
static void sweep(struct shard *s)
{
    struct store_stats stats;

    if (s->group_count == 0)
        return;
    store_stats(s->store, &stats);
    if (stats.tombstones == 0)
        return;
    if (!group_sweep(s, &s->groups[s->sweep_group % s->group_count], s->sweep_cursor,
                     &s->sweep_cursor_size))
        return;
    s->sweep_group = (s->sweep_group + 1) % s->group_count;
    s->sweep_cursor_size = 0;
}

/* One step of taking away what is left of partitions that are not this node's any more. */
static void drop_leftovers(struct shard *s)
{
    while (s->drop_group < s->group_count && !group_drop(s, &s->groups[s->drop_group]))
        s->drop_group++;
}

/* Records that a read, a scan or the scrub could not read: their partitions are repaired. */
static void take_damaged(struct shard *s)
{
    uint8_t key[STORE_KEY_SIZE_MAX];
    size_t size;

    while (s->ring && store_damaged(s->store, key, &size) == 0) {
        struct group *g = shard_group(s, ring_partition(s->ring, wire_get_position(key)));

        if (g && g->mine)
            g->damaged_tells = GROUP_DAMAGED_TELLS;
    }
}

static void set_pace(struct shard *s, uint64_t passed_ms)
{
    uint64_t asked = s->counters.reads + s->counters.writes;
    bool late = s->options.tick_ms && passed_ms > s->options.tick_ms + LATE_MS;

    copy_pace_tick(&s->pace, passed_ms, asked != s->asked, late);
    s->asked = asked;
}

void shard_tick(struct shard *s, uint64_t now_ms, int64_t wall_ms)
{
    uint64_t passed_ms = s->now_ms ? now_ms - s->now_ms : 0;
    uint32_t changed = 0;

    set_pace(s, passed_ms);
    s->ran_ms += passed_ms < s->options.candidate_ms ? passed_ms : s->options.candidate_ms;
    s->now_ms = now_ms;
    s->wall_ms = wall_ms;
    s->transfer_may_begin = true;
    shard_take_waiting(s);
    shard_look_at_line(s);
    shard_tell_waiting(s);
    transfer_answer(s);
    take_damaged(s);
    for (uint32_t i = 0; i < s->group_count; i++) {
        struct group *g = &s->groups[(s->tick_group + i) % s->group_count];

        changed += group_tick(s, g);
        if (changed == VIEWS_PER_TICK) {
            s->tick_group = (s->tick_group + i + 1) % s->group_count;
            break;
        }
    }
    sweep(s);
    drop_leftovers(s);
    expiry_sweep_tick(s);
}

bool shard_is_sweeping(const struct shard *s)
{
    return s->ring && !s->expiry.resting;
}

void shard_summary(const struct shard *s, struct shard_summary *out)
{
    *out = (struct shard_summary){0};
    for (uint32_t i = 0; i < s->group_count; i++) {
        const struct group *g = &s->groups[i];

        if (!g->mine)
            continue;
        out->learning += !g->votes;
        if (g->role == GROUP_PRIMARY)
            out->primary++;
        else if (g->incoming.id || g->partial)
            out->transfer++;
        else if (!g->leader)
            out->idle++;
        else if (g->gap_told || g->last.view != g->leader)
            out->behind++;
        else
            out->backup++;
    }
}
