#include "tests/unit/plan_rig.h"
#include "shared/wire.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const change_names[CHANGE_COUNT] = {"add",     "add many", "remove",   "remove many",
                                                "replace", "reweigh",  "replicas", "split"};

uint64_t rig_random(struct plan_rig *rig)
{
    uint64_t x = rig->random += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static void new_member(struct plan_rig *rig, struct ring_member *m)
{
    unsigned number = ++rig->next_number;

    memset(m, 0, sizeof(*m));
    wire_put_u32(m->identity, number);
    m->number = (uint16_t)number;
    m->port = 7000;
    m->shards = 1;
    m->weight = 1 + (uint32_t)(rig_random(rig) % rig->weight_max);
    snprintf(m->name, sizeof(m->name), "n%u", number);
    snprintf(m->host, sizeof(m->host), "host%u", number);
    if (rig->zones)
        snprintf(m->zone, sizeof(m->zone), "z%u", (unsigned)(rig_random(rig) % rig->zones));
}

static struct ring *empty_ring(uint32_t members, uint8_t bits, uint8_t replicas, uint64_t epoch)
{
    struct ring *r = ring_new(members, bits);

    assert(r);
    r->cluster[0] = 1;
    r->epoch = epoch;
    r->hash = POSITION_MD5;
    r->replicas = replicas;
    r->next_number = UINT16_MAX;
    return r;
}

struct ring *rig_ring(struct plan_rig *rig, uint32_t members, uint8_t bits, uint8_t replicas)
{
    struct ring *r = empty_ring(members, bits, replicas, 1);

    for (uint32_t i = 0; i < members; i++)
        new_member(rig, &r->members[i]);
    return r;
}

/* A copy with `gone` members, chosen at random, left out and `more` new ones at the end. */
static struct ring *copy(struct plan_rig *rig, const struct ring *now, uint32_t gone, uint32_t more,
                         uint16_t heirs[MEMBERS_MAX])
{
    uint32_t kept = now->member_count - gone;
    struct ring *r = empty_ring(kept + more, now->bits, now->replicas, now->epoch + 1);
    uint32_t to = 0;

    for (uint32_t i = 0; i < now->member_count; i++) {
        if (rig_random(rig) % (now->member_count - i) < gone) {
            gone--;
            heirs[i] = UINT16_MAX;
        } else {
            r->members[to] = now->members[i];
            heirs[i] = (uint16_t)to++;
        }
    }
    assert(to == kept);
    while (to < r->member_count)
        new_member(rig, &r->members[to++]);
    return r;
}

/* The new member takes the place of the one left out, in weight and zone too. */
static struct ring *replace(struct plan_rig *rig, const struct ring *now,
                            uint16_t heirs[MEMBERS_MAX])
{
    struct ring *r = copy(rig, now, 1, 1, heirs);
    struct ring_member *last = &r->members[r->member_count - 1];

    for (uint32_t i = 0; i < now->member_count; i++)
        if (heirs[i] == UINT16_MAX) {
            heirs[i] = (uint16_t)(r->member_count - 1);
            last->weight = now->members[i].weight;
            memcpy(last->zone, now->members[i].zone, sizeof(last->zone));
        }
    return r;
}

static struct ring *split(const struct ring *now, uint16_t heirs[MEMBERS_MAX])
{
    struct ring *r = empty_ring(now->member_count, now->bits + 1, now->replicas, now->epoch + 1);

    memcpy(r->members, now->members, now->member_count * sizeof(*r->members));
    for (uint32_t i = 0; i < now->member_count; i++)
        heirs[i] = (uint16_t)i;
    return r;
}

struct ring *rig_change(struct plan_rig *rig, const struct ring *now, enum change change,
                        uint16_t heirs[MEMBERS_MAX])
{
    uint32_t count = now->member_count;
    uint32_t many = 1 + (uint32_t)(rig_random(rig) % (count / 2 + 1));
    struct ring *r;

    if (change == ADD || change == ADD_MANY)
        return copy(rig, now, 0, change == ADD ? 1 : many, heirs);
    if (change == REMOVE || change == REMOVE_MANY) {
        uint32_t gone = change == REMOVE ? 1 : many;

        return gone < count ? copy(rig, now, gone, 0, heirs) : NULL;
    }
    if (change == REPLACE)
        return replace(rig, now, heirs);
    if (change == SPLIT)
        return now->bits < PARTITION_BITS_MAX ? split(now, heirs) : NULL;
    r = copy(rig, now, 0, 0, heirs);
    if (change == REWEIGH)
        r->members[rig_random(rig) % count].weight =
            1 + (uint32_t)(rig_random(rig) % rig->weight_max);
    else
        r->replicas = (uint8_t)(1 + rig_random(rig) % REPLICAS_MAX);
    return r;
}

struct judge {
    const struct ring *ring;
    uint32_t zones, zone[MEMBERS_MAX];
    double weight, lightest, replicas; /* the lightest member's share, in partitions */
    double share[MEMBERS_MAX];         /* of replicas */
    uint32_t owned[MEMBERS_MAX], held[MEMBERS_MAX], before[MEMBERS_MAX];
    uint32_t zone_lacks[MEMBERS_MAX]; /* partitions that must have a replica there, and have none */
    double zone_mends[MEMBERS_MAX];   /* and those that must have another */
};

static void number_zones(struct judge *j)
{
    const struct ring_member *m = j->ring->members;

    for (uint32_t i = 0; i < j->ring->member_count; i++) {
        uint32_t same = 0;

        while (strcmp(m[same].zone, m[i].zone) != 0)
            same++;
        j->zone[i] = same < i ? j->zone[same] : j->zones++;
        j->weight += m[i].weight;
        j->lightest = i == 0 ? m[i].weight : fmin(j->lightest, m[i].weight);
    }
    j->lightest *= ring_partitions(j->ring) / j->weight;
}

/* The shares at a level of replicas a weight: nobody more than every partition, no zone more than
 * that if there are as many as replicas, and none less if there are fewer. */
static double share_at(struct judge *j, double level)
{
    double all = ring_partitions(j->ring), sum = 0;

    for (uint32_t z = 0; z < j->zones; z++) {
        double zone = 0, weight = 0, want = 0;

        for (uint32_t i = 0; i < j->ring->member_count; i++)
            if (j->zone[i] == z) {
                j->share[i] = fmin(all, level * j->ring->members[i].weight);
                zone += j->share[i];
                weight += j->ring->members[i].weight;
            }
        want = j->zones >= j->ring->replicas ? fmin(zone, all) : fmax(zone, all);
        for (uint32_t i = 0; i < j->ring->member_count && want != zone; i++)
            if (j->zone[i] == z)
                j->share[i] = all * j->ring->members[i].weight / weight;
        sum += want;
    }
    return sum;
}

static void share_replicas(struct judge *j)
{
    double all = ring_partitions(j->ring), low = 0, high = all;

    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;

        if (share_at(j, middle) < all * j->replicas)
            low = middle;
        else
            high = middle;
    }
    share_at(j, high);
}

/* With one replica, what is held is what is owned: the share rounded up or down, unless others
 * whose share is less than one get a whole one of it. */
static double tolerance(const struct judge *j, uint32_t i)
{
    if (j->ring->replicas == 1)
        return j->lightest >= 1 ? 1 - 5e-6 : 1;
    return fmax(2, 0.02 * j->share[i]);
}

/* The fewest and most replicas that a member may hold. */
static double lowest(const struct judge *j, uint32_t i)
{
    return ceil(j->share[i] - tolerance(j, i) - 1e-6);
}

/* Owning one partition makes it hold as many as there are replicas. */
static double highest(const struct judge *j, uint32_t i)
{
    return fmax(floor(j->share[i] + tolerance(j, i) + 1e-6), j->ring->replicas);
}

static bool has(const struct ring_replicas *set, uint32_t member)
{
    for (uint16_t i = 0; i < set->count; i++)
        if (set->member[i] == member)
            return true;
    return false;
}

static uint32_t zones_in(const struct judge *j, const uint16_t *members, uint32_t count)
{
    uint32_t zones = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;

        while (j->zone[members[k]] != j->zone[members[i]])
            k++;
        zones += k == i;
    }
    return zones;
}

/* An heir that is another member has none of the data. */
static bool stays(const struct ring *now, uint16_t member, const uint16_t *heirs,
                  const struct ring *next)
{
    return heirs[member] != UINT16_MAX &&
           now->members[member].number == next->members[heirs[member]].number;
}

static void count_lacking(struct judge *j, const uint16_t *kept, uint32_t count)
{
    for (uint32_t z = 0; z < j->zones && j->zones <= j->replicas; z++) {
        bool there = false;

        for (uint32_t i = 0; i < count; i++)
            there |= j->zone[kept[i]] == z;
        j->zone_lacks[z] += !there;
    }
}

/* Counts one partition of both rings; returns what it must get anew whatever else happens. */
static uint32_t judge_partition(struct judge *j, const struct ring *now,
                                const struct ring_replicas *old, const uint16_t *heirs,
                                const struct ring_replicas *set, struct verdict *v)
{
    uint32_t wanted_zones = (uint32_t)fmin(j->zones, j->ring->replicas);
    uint16_t kept[REPLICAS_MAX];
    uint32_t kept_count = 0, missing, lacking;

    v->replicas_short |= set->count < j->replicas;
    v->zones_short |= zones_in(j, set->member, set->count) < wanted_zones;
    for (uint16_t i = 0; old && i < old->count; i++)
        if (stays(now, old->member[i], heirs, j->ring))
            kept[kept_count++] = heirs[old->member[i]];
    for (uint32_t i = 0; i < kept_count; i++)
        j->before[kept[i]]++;
    count_lacking(j, kept, kept_count);
    for (uint16_t i = 0; i < set->count; i++) {
        struct ring_replicas before = {.count = (uint16_t)kept_count};

        memcpy(before.member, kept, kept_count * sizeof(kept[0]));
        j->held[set->member[i]]++;
        v->moved += !has(&before, set->member[i]);
    }
    missing = j->replicas > kept_count ? (uint32_t)j->replicas - kept_count : 0;
    lacking = wanted_zones - (uint32_t)fmin(wanted_zones, zones_in(j, kept, kept_count));
    return missing > lacking ? missing : lacking;
}

/* What the members of one zone must gain when it holds `total` replicas. */
static double zone_gains(const struct judge *j, uint32_t zone, double total)
{
    double gains = 0, held = 0;

    for (uint32_t i = 0; i < j->ring->member_count; i++) {
        double before = j->before[i];

        if (j->zone[i] != zone)
            continue;
        gains += fmax(0, lowest(j, i) - before);
        held += fmin(fmax(before, lowest(j, i)), highest(j, i));
    }
    return fmax(j->zone_lacks[zone] + j->zone_mends[zone], gains + fmax(0, total - held));
}

/* How many replicas a zone may hold: its members' bounds, and what the walk gives a zone. */
static void zone_bounds(const struct judge *j, uint32_t zone, double *least, double *most)
{
    double all = ring_partitions(j->ring), low = 0, high = 0;
    bool everywhere = j->zones <= j->replicas;

    for (uint32_t i = 0; i < j->ring->member_count; i++) {
        if (j->zone[i] != zone)
            continue;
        low += lowest(j, i);
        high += highest(j, i);
    }
    *least = fmax(low, everywhere ? all : 0);
    *most = fmin(high, everywhere ? all * (j->replicas - j->zones + 1) : all);
}

/* The members of a zone that hold a partition of `now`, as members of the next ring, at its index.
 */
static void zone_holders(const struct judge *j, const struct ring *now, const uint16_t *heirs,
                         uint32_t zone, uint32_t partition, bool holds[MEMBERS_MAX])
{
    const struct ring_replicas *old = ring_replicas(now, partition >> (j->ring->bits - now->bits));

    memset(holds, 0, MEMBERS_MAX * sizeof(*holds));
    for (uint16_t i = 0; i < old->count; i++)
        if (stays(now, old->member[i], heirs, j->ring) && j->zone[heirs[old->member[i]]] == zone)
            holds[heirs[old->member[i]]] = true;
}

/* With as many zones as replicas, a zone's one holder of a partition changes from one partition to
 * the next only where the zone owns the first of them. Where it does so more often now than the
 * zone can own, partitions get another holder, each of which mends two such places at most. */
static double zone_mends(const struct judge *j, const struct ring *now, const uint16_t *heirs,
                         uint32_t zone)
{
    uint32_t count = ring_partitions(j->ring);
    bool here[MEMBERS_MAX], next[MEMBERS_MAX];
    double places = 0, own = 0, others = 0;

    for (uint32_t p = 0; p < count; p++) {
        bool any_here = false, any_next = false, both = false;

        zone_holders(j, now, heirs, zone, p, here);
        zone_holders(j, now, heirs, zone, (p + 1) % count, next);
        for (uint32_t i = 0; i < j->ring->member_count; i++) {
            any_here |= here[i];
            any_next |= next[i];
            both |= here[i] && next[i];
        }
        places += any_here && any_next && !both;
    }
    for (uint32_t i = 0; i < j->ring->member_count; i++) {
        double share = count * (j->ring->members[i].weight / j->weight);

        own += j->zone[i] == zone ? ceil(share - 1e-9) : 0;
        others += j->zone[i] != zone ? floor(share + 1e-9) : 0;
    }
    return fmax(0, ceil((places - fmin(own, count - others)) / 2));
}

/* Hands out all replicas to zones one by one, each where it makes nobody gain if there is such a
 * zone: what a further one costs never gets less, so nothing is cheaper. */
static uint64_t least_by_zones(const struct judge *j)
{
    double left = (double)ring_partitions(j->ring) * j->replicas, gains = 0;
    double total[MEMBERS_MAX], most[MEMBERS_MAX];

    for (uint32_t z = 0; z < j->zones; z++) {
        zone_bounds(j, z, &total[z], &most[z]);
        gains += zone_gains(j, z, total[z]);
        left -= total[z];
    }
    for (uint32_t z = 0; z < j->zones; z++)
        while (left > 0 && total[z] < most[z] &&
               zone_gains(j, z, total[z] + 1) <= zone_gains(j, z, total[z])) {
            total[z]++;
            left--;
        }
    return (uint64_t)(gains + fmax(0, left));
}

static void judge_balance(const struct judge *j, struct verdict *v)
{
    v->lightest = j->lightest;
    for (uint32_t i = 0; i < j->ring->member_count; i++) {
        double share = ring_partitions(j->ring) * (j->ring->members[i].weight / j->weight);
        double over = fabs(j->held[i] - j->share[i]) - tolerance(j, i);

        v->primary_off = fmax(v->primary_off, fabs(j->owned[i] - share));
        v->replica_over = fmax(v->replica_over, over);
    }
}

static uint32_t broken_windows(const struct ring *r)
{
    uint32_t count = ring_partitions(r), broken = 0;

    for (uint32_t p = 0; p < count; p++) {
        bool twice = false;

        for (uint32_t a = 0; a < r->replicas; a++)
            for (uint32_t b = a + 1; b < r->replicas; b++)
                twice |= r->owners[(p + a) % count] == r->owners[(p + b) % count];
        broken += twice;
    }
    return broken;
}

struct verdict rig_judge(const struct ring *now, const uint16_t *heirs, const struct ring *next)
{
    struct judge *j = calloc(1, sizeof(*j));
    struct verdict v = {0};
    uint64_t alone = 0;

    assert(j);
    j->ring = next;
    j->replicas = fmin(next->replicas, next->member_count);
    number_zones(j);
    share_replicas(j);
    for (uint32_t p = 0; p < ring_partitions(next); p++) {
        const struct ring_replicas *old = NULL;

        if (now)
            old = ring_replicas(now, p >> (next->bits - now->bits));
        j->owned[next->owners[p]]++;
        alone += judge_partition(j, now, old, heirs, ring_replicas(next, p), &v);
    }
    for (uint32_t z = 0; now && j->lightest >= 1 && j->zones == j->replicas && z < j->zones; z++)
        j->zone_mends[z] = zone_mends(j, now, heirs, z);
    v.least = least_by_zones(j);
    v.least = v.least > alone ? v.least : alone;
    judge_balance(j, &v);
    v.broken_windows = broken_windows(next);
    free(j);
    return v;
}
