#include "tools/plan_first.h"

/* Each zone gets its turns at even distances, and within a zone each member. A member's turns are
 * cut into as many equal spans of time as it has turns, and each falls anywhere within its span: so
 * every round has another order, and when a member fails, its work goes to many. */
struct turns {
    const struct plan_shares *shares;
    const uint32_t *targets;
    uint32_t partitions, at;
    uint8_t member_window, zone_window;
    uint32_t zone_target[MEMBERS_MAX], zone_used[MEMBERS_MAX]; /* under the zone's number */
    uint32_t used[MEMBERS_MAX];
    int64_t member_last[MEMBERS_MAX], zone_last[MEMBERS_MAX]; /* where it had its last turn */
};

/* The finisher of splitmix64. */
uint64_t plan_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15 + b + 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* How much later than due a zone's next turn is, in 1/partitions turns. */
static int64_t zone_lag(const struct turns *t, uint16_t zone)
{
    return (int64_t)t->zone_target[zone] * (t->at + 1) -
           (int64_t)t->zone_used[zone] * t->partitions;
}

/* The zone that is most behind. One that had a turn within the window counts as a whole turn less
 * behind: that keeps equal zones apart, and a zone too heavy for that is spread evenly. */
static uint16_t choose_zone(const struct turns *t)
{
    int64_t best_lag = INT64_MIN;
    uint64_t best_tie = 0;
    uint16_t best = 0;

    for (uint16_t z = 0; z < t->shares->member_count; z++) {
        uint64_t tie = plan_mix(t->at, z);
        int64_t lag;

        if (t->zone_used[z] >= t->zone_target[z])
            continue;
        lag = zone_lag(t, z);
        if (t->at - t->zone_last[z] < t->zone_window)
            lag -= t->partitions;
        if (lag > best_lag || (lag == best_lag && tie > best_tie)) {
            best_lag = lag;
            best_tie = tie;
            best = z;
        }
    }
    return best;
}

/* A member's next turn, in 2^-16 of its spans. */
static uint64_t turn_time(const struct turns *t, uint32_t member)
{
    return (uint64_t)t->used[member] << 16 | (plan_mix(member, t->used[member]) & 0xffff);
}

static bool must_wait(const struct turns *t, uint32_t member)
{
    uint16_t zone = t->shares->zones[member];
    uint64_t span_end = (uint64_t)(t->used[member] + 1) * t->zone_target[zone];

    if (t->at - t->member_last[member] >= t->member_window)
        return false;
    return span_end > (uint64_t)(t->zone_used[zone] + 1) * t->targets[member];
}

static uint16_t choose_member(const struct turns *t, uint16_t zone)
{
    uint32_t best = MEMBERS_MAX;
    bool best_waits = true;

    for (uint32_t i = zone; i < t->shares->member_count; i++) {
        bool waits;

        if (t->shares->zones[i] != zone || t->used[i] >= t->targets[i])
            continue;
        waits = must_wait(t, i);
        if (best < MEMBERS_MAX && waits && !best_waits)
            continue;
        /* a / b < c / d without the rounding */
        if (best == MEMBERS_MAX || waits != best_waits ||
            turn_time(t, i) * t->targets[best] < turn_time(t, best) * t->targets[i]) {
            best = i;
            best_waits = waits;
        }
    }
    return (uint16_t)best;
}

void plan_first(const struct plan_shares *s, uint32_t partitions, const uint32_t *targets,
                uint16_t *owners)
{
    uint8_t zones = s->zone_count < s->replicas ? (uint8_t)s->zone_count : s->replicas;
    bool apart = s->member_count > s->replicas;
    struct turns t = {.shares = s,
                      .targets = targets,
                      .partitions = partitions,
                      .member_window = apart ? s->replicas : 1,
                      .zone_window = apart ? zones : 1};

    for (uint32_t i = 0; i < s->member_count; i++) {
        t.zone_target[s->zones[i]] += targets[i];
        t.member_last[i] = t.zone_last[i] = -REPLICAS_MAX;
    }
    for (t.at = 0; t.at < partitions; t.at++) {
        uint16_t zone = choose_zone(&t);
        uint16_t member = choose_member(&t, zone);

        t.zone_used[zone]++;
        t.used[member]++;
        t.zone_last[zone] = t.member_last[member] = t.at;
        owners[t.at] = member;
    }
}
