/* What must be true at the end. */
#include "node/store_memory.h"
#include "shared/wire.h"
#include "tests/sim/world.h"
#include <stdlib.h>

/* --- replicas ------------------------------------------------------------------------------- */

static int append_record(void *arg, struct bytes key, const struct store_record *record)
{
    struct buf *out = arg;
    uint8_t head[40] = {0};

    wire_put_u64(head, record->version.view);
    wire_put_u64(head + 8, record->version.op);
    wire_put_i64(head + 16, record->expire_ms);
    head[24] = record->deleted;
    wire_put_u32(head + 28, (uint32_t)key.size);
    wire_put_u32(head + 32, (uint32_t)record->value.size);
    if (buf_append(out, head, sizeof(head)) != 0 || buf_append(out, key.data, key.size) != 0 ||
        buf_append(out, record->value.data, record->value.size) != 0)
        abort();
    return 0;
}

/* All of a partition's records as one replica has them. */
static void image(struct world *w, struct place *p, uint32_t partition, struct buf *out)
{
    uint8_t from[POSITION_SIZE], to[STORE_KEY_SIZE_MAX];

    memset(to, 0xff, sizeof(to));
    wire_put_position(from, ring_first_position(w->ring, partition));
    wire_put_position(to, ring_last_position(w->ring, partition));
    buf_truncate(out, 0);
    if (store_scan(p->store, bytes_of(from, sizeof(from)), bytes_of(to, sizeof(to)), append_record,
                   out) != 0)
        world_violated(w, "n%u cannot read its records of partition %u", p->owner + 1, partition);
}

static struct place *replica(struct world *w, uint32_t partition, uint16_t i)
{
    uint16_t member = ring_replicas(w->ring, partition)->member[i];
    const struct sim_node *n = &w->nodes[w->ring->members[member].number - 1];

    return &w->places[n->first_place + partition % n->shards];
}

static void verify_group(struct world *w, struct place *p, uint32_t partition,
                         const struct group *first)
{
    const struct group *g = shard_group(p->shard, partition);

    if (g->partial || version_compare(g->last, first->last) != 0)
        world_violated(w,
                       "n%u is not up to date in partition %u: partial=%d, at %llx/%llu, the "
                       "first replica at %llx/%llu",
                       p->owner + 1, partition, g->partial, (unsigned long long)g->last.view,
                       (unsigned long long)g->last.op, (unsigned long long)first->last.view,
                       (unsigned long long)first->last.op);
    if (g->pending_count)
        world_violated(w, "n%u still has %u replies pending in partition %u", p->owner + 1,
                       g->pending_count, partition);
}

static void verify_partition(struct world *w, uint32_t partition, struct buf *a, struct buf *b)
{
    uint16_t count = ring_replicas(w->ring, partition)->count, primaries = 0;
    const struct group *first = shard_group(replica(w, partition, 0)->shard, partition);

    image(w, replica(w, partition, 0), partition, a);
    for (uint16_t i = 0; i < count; i++) {
        struct place *p = replica(w, partition, i);

        primaries += shard_group(p->shard, partition)->role == GROUP_PRIMARY;
        verify_group(w, p, partition, first);
        image(w, p, partition, b);
        if (!bytes_equal(buf_bytes(a), buf_bytes(b)))
            world_violated(w, "n%u and n%u differ in partition %u", p->owner + 1,
                           replica(w, partition, 0)->owner + 1, partition);
    }
    if (!w->violation[0] && first->role != GROUP_PRIMARY)
        world_violated(w, "partition %u is not led by its first replica in quiet times", partition);
    if (primaries != 1)
        world_violated(w, "partition %u has %u primaries in quiet times", partition, primaries);
}

/* Members that hold no replica, any more, have nothing of it. */
static void verify_others(struct world *w, uint32_t partition, struct buf *a)
{
    for (uint16_t m = 0; m < w->ring->member_count; m++) {
        const struct sim_node *n = &w->nodes[w->ring->members[m].number - 1];
        struct place *p = &w->places[n->first_place + partition % n->shards];

        if (ring_replicas_has(ring_replicas(w->ring, partition), m))
            continue;
        image(w, p, partition, a);
        if (buf_len(a))
            world_violated(w, "n%u still has records of partition %u", p->owner + 1, partition);
    }
}

static void verify_place(struct world *w, const struct place *p)
{
    const struct shard *s = p->shard;

    if (!s || !s->me)
        return;
    if (s->held.count)
        world_violated(w, "n%u holds %llu messages in quiet times", p->owner + 1,
                       (unsigned long long)s->held.count);
    if (s->history.bytes > s->history.bytes_max)
        world_violated(w, "n%u's history is larger than allowed", p->owner + 1);
    /* While rings differ, signals come from who is no replica by the own one. */
    if (s->counters.bad_messages && w->rings.count == 1)
        world_violated(w, "n%u counts bad messages", p->owner + 1);
}

void verify_replicas(struct world *w)
{
    struct buf a = {0}, b = {0};

    for (uint32_t i = 0; i < w->place_count && !w->violation[0]; i++)
        if (!w->places[i].is_proxy)
            verify_place(w, &w->places[i]);
    for (uint32_t p = 0; p < ring_partitions(w->ring) && !w->violation[0]; p++)
        verify_partition(w, p, &a, &b);
    for (uint32_t p = 0; p < ring_partitions(w->ring) && !w->violation[0]; p++)
        verify_others(w, p, &a);
    buf_free(&a);
    buf_free(&b);
}

/* --- histories ------------------------------------------------------------------------------ */

/* The value that an operation was to write to its kth key. */
static struct bytes written(const struct linear_op *l, uint8_t k)
{
    return l->values[l->op == OP_CAS ? 1 : k];
}

/* Whether an operation that was refused, so that nothing was done, was to write this value. */
static bool was_refused(const struct world *w, uint16_t key, struct bytes value)
{
    for (size_t i = 0; i < w->op_count; i++) {
        const struct linear_op *l = &w->ops[i].linear;

        for (uint8_t k = 0; w->ops[i].dropped && k < l->key_count; k++)
            if (l->op != OP_APPEND && l->keys[k] == key && written(l, k).size &&
                bytes_equal(written(l, k), value))
                return true;
    }
    return false;
}

/* Nobody changes expiries, or values without their expiries, on this key. */
static bool expires_as_set(const struct world *w, uint16_t key)
{
    for (size_t i = 0; i < w->op_count; i++)
        if ((w->ops[i].linear.op == OP_EXPIRE || w->ops[i].linear.op == OP_PERSIST) &&
            w->ops[i].linear.keys[0] == key)
            return false;
    return true;
}

/* Whether the time of a key had come before a moment of the history. */
static bool was_over(const struct world *w, uint16_t key, int64_t when_ms, uint64_t before)
{
    for (size_t i = 0; i < w->op_count; i++) {
        const struct linear_op *l = &w->ops[i].linear;

        if (l->op == LINEAR_EXPIRY && l->keys[0] == key && l->by == when_ms && l->returned < before)
            return true;
    }
    return false;
}

/* Whatever its level, nobody who asks later is shown what has expired. */
static void verify_unexpired(struct world *w, const struct sim_op *o)
{
    const struct linear_op *l = &o->linear;

    for (size_t i = 0; i < w->op_count && l->kind == REPLY_BULK; i++) {
        const struct linear_op *set = &w->ops[i].linear;

        if (set->op == OP_SETX && set->keys[0] == l->keys[0] &&
            bytes_equal(set->values[0], l->results[0]) && expires_as_set(w, l->keys[0]) &&
            was_over(w, l->keys[0], set->by, l->invoked))
            world_violated(w, "operation %zu read what had expired: %.*s", (size_t)(o - w->ops),
                           (int)l->results[0].size, (const char *)l->results[0].data);
    }
}

/* What any replica may show: the value may be old, and may never be committed, but nobody shows
 * what was not done. */
static void verify_any_read(struct world *w, const struct sim_op *o)
{
    const struct linear_op *l = &o->linear;

    if (l->kind == REPLY_BULK && was_refused(w, l->keys[0], l->results[0]))
        world_violated(w, "operation %zu read what had been refused: %.*s", (size_t)(o - w->ops),
                       (int)l->results[0].size, (const char *)l->results[0].data);
}

/* What belongs into the history of a partition; false: not this one. */
static bool take_operation(struct world *w, const struct sim_op *o, struct linear_op *out)
{
    if (o->dropped)
        return false;
    if (o->linear.returned != LINEAR_NEVER)
        verify_unexpired(w, o);
    if (o->level == LEVEL_ANY) {
        if (o->linear.returned != LINEAR_NEVER)
            verify_any_read(w, o);
        return false;
    }
    *out = o->linear;
    /* A primary without confirmation shows what is, or once was, committed. */
    if (o->level == LEVEL_PRIMARY)
        out->invoked = 0;
    return true;
}

static bool writes(const struct linear_op *l)
{
    return l->op != LINEAR_EXPIRY && operation_info(l->op)->writes;
}

/* A write sees what has not expired when its primary carries it out, and takes effect when a
 * majority has it. So an expiry counts as having come behind the writes that were under way at its
 * moment: not later than the last of them is answered. */
static void let_expire_later(struct linear_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t moment = ops[i].invoked;

        for (size_t j = 0; j < count && ops[i].op == LINEAR_EXPIRY; j++)
            if (writes(&ops[j]) && ops[j].invoked < moment && ops[j].returned > ops[i].returned)
                ops[i].returned = ops[j].returned;
    }
}

enum { CONFIGURATIONS_MAX = 200000 };

void verify_history(struct world *w)
{
    struct linear_op *ops = calloc(w->op_count + 1, sizeof(*ops));

    if (!ops)
        abort();
    for (uint32_t p = 0; p < ring_partitions(w->ring) && !w->violation[0]; p++) {
        size_t count = 0;
        uint16_t key = 0;

        for (size_t i = 0; i < w->op_count; i++)
            count += w->ops[i].partition == p && take_operation(w, &w->ops[i], &ops[count]);
        let_expire_later(ops, count);
        switch (linear_check(ops, count, CONFIGURATIONS_MAX, &key)) {
        case LINEAR_YES:
            break;
        case LINEAR_NO:
            trace_history(w, p);
            world_violated(w, "the history of key %s in partition %u is not linearizable",
                           w->keys->keys[key].text, p);
            break;
        case LINEAR_UNDECIDED:
            w->undecided++;
        }
    }
    free(ops);
}
