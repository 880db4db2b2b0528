/* Which links there are: those of the present ring. */
#include "node/link_parts.h"
#include "shared/error.h"
#include <stdlib.h>
#include <string.h>

struct links *links_new(struct loop *l, struct shard *shard, const struct links_options *options)
{
    struct links *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->loop = l;
    s->shard = shard;
    s->options = *options;
    return s;
}

struct link *links_find(struct links *s, uint16_t member, uint32_t partition)
{
    int index = s->ring ? ring_member_by_number(s->ring, member) : -1;

    return index < 0 ? NULL : s->all[s->base[index] + partition % s->ring->members[index].shards];
}

static void link_free(struct link *l)
{
    if (l && l->conn)
        links_close(l);
    free(l);
}

void links_free(struct links *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        link_free(s->all[i]);
    free(s->all);
    free(s->base);
    free(s);
}

/* Shards a and b of two nodes have partitions in common when those p with p % A = a and p % B = b
 * exist. */
static bool shards_meet(uint32_t partitions, uint16_t a, uint16_t a_count, uint16_t b,
                        uint16_t b_count)
{
    for (uint32_t p = a; p < partitions; p += a_count)
        if (p % b_count == b)
            return true;
    return false;
}

/* The links of one ring. */
struct table {
    struct link **all;
    uint32_t *base;
    size_t count;
};

static int table_new(struct table *t, const struct ring *ring, bool in_it)
{
    *t = (struct table){.base = calloc(ring->member_count, sizeof(*t->base))};
    for (uint32_t i = 0; t->base && in_it && i < ring->member_count; i++) {
        t->base[i] = (uint32_t)t->count;
        t->count += ring->members[i].shards;
    }
    t->all = t->base ? calloc(t->count ? t->count : 1, sizeof(struct link *)) : NULL;
    if (t->all)
        return 0;
    free(t->base);
    return RK_NOMEM;
}

static void table_free(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->all[i]);
    free(t->all);
    free(t->base);
}

/* New links for all; which of them are needed is seen later. */
static int table_fill(struct table *t, struct links *s, const struct ring *ring, int me)
{
    for (uint32_t i = 0; t->count && i < ring->member_count; i++)
        for (uint16_t shard = 0; shard < ring->members[i].shards; shard++) {
            struct link *l = malloc(sizeof(*l));

            if (!l)
                return RK_NOMEM;
            *l = (struct link){.links = s,
                               .member = &ring->members[i],
                               .shard = shard,
                               .meets = shards_meet(ring_partitions(ring), s->options.shard,
                                                    ring->members[me].shards, shard,
                                                    ring->members[i].shards),
                               .backoff_ms = LINK_BACKOFF_MS_MIN};
            t->all[t->base[i] + shard] = l;
        }
    return 0;
}

/* A link to a member that stays takes the place of the new one; it begins anew when the member's
 * address is another. */
static void keep_link(struct table *t, struct link *old, const struct ring *ring)
{
    int index = t->count ? ring_member_by_number(ring, old->member->number) : -1;
    const struct ring_member *m = index < 0 ? NULL : &ring->members[index];
    bool stays = m && m->port == old->member->port && strcmp(m->host, old->member->host) == 0;

    if (old->conn && !stays)
        links_close(old);
    if (!m || old->shard >= m->shards) {
        link_free(old);
        return;
    }
    if (memcmp(m->identity, old->member->identity, IDENTITY_SIZE) != 0)
        old->durable = 0;
    old->meets = t->all[t->base[index] + old->shard]->meets;
    free(t->all[t->base[index] + old->shard]);
    t->all[t->base[index] + old->shard] = old;
    old->member = m;
}

int links_set_ring(struct links *s, const struct ring *ring, int me)
{
    struct table t;
    int error = table_new(&t, ring, me >= 0);

    if (error)
        return error;
    error = table_fill(&t, s, ring, me);
    if (error) {
        table_free(&t);
        return error;
    }
    for (size_t i = 0; i < s->count; i++)
        keep_link(&t, s->all[i], ring);
    free(s->all);
    free(s->base);
    s->all = t.all;
    s->base = t.base;
    s->count = t.count;
    s->ring = me < 0 ? NULL : ring;
    s->me = me;
    return 0;
}
