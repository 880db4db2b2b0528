/* Of 'ringctl check': the members of a ring, each alone, and what they have in common. */
#include "shared/address.h"
#include "shared/error.h"
#include "tools/check.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DISK_FREE_PERCENT_MIN = 15,
    CLOCKS_APART_MS = 500, /* EXECUTE_CLOCK_MS of node/execute.h, for which expiry allows */
    SETTLED_S = 5,         /* a node that runs for so long has its links */
};

static const char *name_of(const struct check *k, uint32_t i)
{
    return k->survey.ring->members[i].name;
}

static uint64_t number(const struct check *k, uint32_t i, const char *name)
{
    return status_number(k->survey.texts[i], name);
}

/* --- each alone ----------------------------------------------------------------------------- */

/* Whether a partition that a member has, has no majority while that one is down. */
static bool takes_majority(const struct check *k, uint32_t member)
{
    const struct ring *ring = k->survey.ring;

    for (uint32_t p = 0; p < ring_partitions(ring); p++) {
        const struct ring_replicas *set = ring_replicas(ring, p);
        uint16_t up = 0;

        for (uint16_t i = 0; i < set->count; i++)
            up += k->survey.facts[set->member[i]].up;
        if (2 * up <= set->count && ring_replicas_has(set, (uint16_t)member))
            return true;
    }
    return false;
}

/* What is done where its data is lost. */
static void put_lost(const struct check *k, uint32_t i, bool in_its_place, char *text, size_t size)
{
    const struct ring *ring = k->survey.ring;
    const struct ring_member *m = &ring->members[i];
    char at[ADDRESS_TEXT_SIZE];

    if (takes_majority(k, i))
        snprintf(
            text, size,
            "partitions of it have no majority without it, see doc/operations.md, \"The data of "
            "a majority are lost\"");
    else if (ring->change && !(m->flags & RING_MEMBER_CURRENT))
        snprintf(text, size, "ringctl cancel, and add it anew");
    else if (ring->change && !(m->flags & RING_MEMBER_TARGET))
        snprintf(text, size, "ringctl resume, which goes on without it");
    else
        snprintf(text, size, "ringctl replace %s NEW=%s%s", m->name,
                 in_its_place ? address_text(m->host, m->port, at) : "HOST:PORT",
                 ring->change ? ", once the change has ended (ringctl resume)" : "");
}

/* What mends it, by how it failed to answer: the words before and behind its address,
 * and whether it may be that its data is lost. The last row is for all other errors. */
static const struct way {
    int error;
    const char *before, *behind;
    bool maybe_lost;
} ways[] = {
    {RK_MEMBER, "bring its data folder back to ", "", true},
    {RK_TIMEOUT, "if ringnode runs on ",
     " it hangs, or the network between drops what is sent: look at its log, end it with KILL and "
     "start it",
     true},
    {RK_NOTFOUND, "let this machine find the address of ",
     " (/etc/hosts, DNS); nodes and proxies need it, too", false},
    {RK_REFUSED, "give the ringnode on ", " the secret_file that the other nodes have", false},
    {RK_CLUSTER, "another cluster's ringnode has taken its address on ",
     ": end that, and start the right one", false},
    {RK_VERSION, "look what listens there on ",
     " (ss -ltnp), and start ringnode of the others' version instead", false},
    {RK_CORRUPT, "look what listens there on ", " (ss -ltnp), and start its ringnode instead",
     false},
    {RK_PROTOCOL, "look what listens there on ",
     " (ss -ltnp), and start ringnode of the others' version instead", false},
    {0, "start ringnode on ", "", true},
};

static const struct way *find_way(int error)
{
    const struct way *way = ways;

    while (way->error && way->error != error)
        way++;
    return way;
}

static void check_down(struct check *k, uint32_t i)
{
    const struct ring_member *m = &k->survey.ring->members[i];
    struct bytes body;
    char mend[FINDING_SIZE], lost[FINDING_SIZE / 2], at[ADDRESS_TEXT_SIZE];
    int error = fleet_answer(k->survey.fleet, k->survey.nodes[i], &body);
    const struct way *way = find_way(error);

    put_lost(k, i, error == RK_MEMBER, lost, sizeof(lost));
    snprintf(mend, sizeof(mend), "%s%s%s%s%s", way->before,
             error == RK_NOTFOUND ? m->host : address_text(m->host, m->port, at), way->behind,
             way->maybe_lost ? "; if its data is lost: " : "", way->maybe_lost ? lost : "");
    check_find(k, mend, "%s is down: %s", m->name, fleet_why(k->survey.fleet, k->survey.nodes[i]));
}

static void check_disk(struct check *k, uint32_t i)
{
    const struct node_facts *f = &k->survey.facts[i];
    const struct ring_member *m = &k->survey.ring->members[i];
    char mend[FINDING_SIZE];

    if (number(k, i, "store_no_room") > 0) {
        snprintf(
            mend, sizeof(mend),
            "make room on %s, but not in its data folder, or raise the quota or limit that its "
            "log names; it goes on by itself",
            m->host);
        check_find(k, mend,
                   "%s gets no room from its disk (%" PRIu64 " of %" PRIu64 " MiB are free): what "
                   "it leads gets -NOSPACE when its memory is full too (%" PRIu64
                   " refused since it started)",
                   m->name, f->disk_free >> 20, f->disk_total >> 20,
                   number(k, i, "refused_nospace"));
    } else if (f->disk_total && f->disk_free / DISK_FREE_PERCENT_MIN < f->disk_total / 100) {
        snprintf(mend, sizeof(mend),
                 "make room on %s, or spread the data: ringctl add NEW=HOST:PORT", m->host);
        check_find(k, mend, "%s's disk is nearly full: %" PRIu64 " of %" PRIu64 " MiB are free",
                   m->name, f->disk_free >> 20, f->disk_total >> 20);
    }
}

static void check_up(struct check *k, uint32_t i)
{
    const struct ring *ring = k->survey.ring;
    uint64_t behind = number(k, i, "partitions_behind");
    uint64_t copied = number(k, i, "partitions_transfer");
    uint64_t damaged = number(k, i, "scrub_damaged");
    char mend[FINDING_SIZE];

    check_disk(k, i);
    if (k->survey.epochs[i] == 0)
        check_find(k, "ringctl resume, which gives it the ring again",
                   "%s is up and in no ring: it has lost its file 'ring'", name_of(k, i));
    else if (k->survey.epochs[i] < ring->epoch)
        check_find(k,
                   "it fetches the ring from others; if it does not, they cannot reach each "
                   "other: look for 'link:' in its log",
                   "%s has the ring of epoch %" PRIu64 ", the newest is %" PRIu64, name_of(k, i),
                   k->survey.epochs[i], ring->epoch);
    if (behind + copied > 0 && !ring->change)
        check_find(k,
                   number(k, i, "store_no_room") > 0
                       ? "see above: it catches up once there is room"
                       : "wait; 'ringctl status' shows under BEHIND and COPIES how it gets on",
                   "%s is not up to date with %" PRIu64 " of its partitions", name_of(k, i),
                   behind + copied);
    if (damaged > 0) {
        snprintf(mend, sizeof(mend),
                 "start a node with an empty folder on another disk, then: ringctl replace %s "
                 "NEW=HOST:PORT (see doc/operations.md, \"A record is damaged\")",
                 name_of(k, i));
        check_find(k, mend, "%s found %" PRIu64 " damaged records on its disk", name_of(k, i),
                   damaged);
    }
}

/* --- what they have in common --------------------------------------------------------------- */

/* The first member that is up; -1: none is. */
static int first_up(const struct check *k)
{
    for (uint32_t i = 0; i < k->survey.ring->member_count; i++)
        if (k->survey.facts[i].up)
            return (int)i;
    return -1;
}

static void check_same(struct check *k, const char *name, const char *mend)
{
    int first = first_up(k);

    for (uint32_t i = 0; first >= 0 && i < k->survey.ring->member_count; i++) {
        struct bytes theirs = status_text(k->survey.texts[first], name);
        struct bytes mine = status_text(k->survey.texts[i], name);

        if (!k->survey.facts[i].up || bytes_equal(mine, theirs))
            continue;
        check_find(k, mend, "%s has %s %.*s, %s has %.*s", name_of(k, (uint32_t)first), name,
                   (int)theirs.size, (const char *)theirs.data, name_of(k, i), (int)mine.size,
                   (const char *)mine.data);
        return;
    }
}

/* How far a member's clock is ahead of a clock of ours: between these two, for it was read between
 * the question and the answer. */
struct offset {
    int64_t least_ms, most_ms;
    uint32_t member;
};

static int compare_offsets(const void *a, const void *b)
{
    const struct offset *x = a, *y = b;
    int64_t difference = x->least_ms + x->most_ms - y->least_ms - y->most_ms;

    return difference < 0   ? -1
           : difference > 0 ? 1
                            : (x->member > y->member) - (x->member < y->member);
}

/* Held against the one in the middle. */
static void check_clocks(struct check *k)
{
    static const char mend[] = "set it, and keep the clocks of all nodes in step (chrony): keys "
                               "with a time to live go too early or too late";
    struct offset all[MEMBERS_MAX];
    const struct offset *middle;
    uint32_t count = 0;

    for (uint32_t i = 0; i < k->survey.ring->member_count; i++) {
        int64_t clock_ms = (int64_t)number(k, i, "unix_ms"), asked_ms, answered_ms;

        fleet_when(k->survey.fleet, k->survey.nodes[i], &asked_ms, &answered_ms);
        if (k->survey.facts[i].up && clock_ms)
            all[count++] = (struct offset){clock_ms - answered_ms, clock_ms - asked_ms, i};
    }
    qsort(all, count, sizeof(all[0]), compare_offsets);
    middle = &all[count / 2];
    for (uint32_t i = 0; i < count; i++) {
        int64_t ahead_ms = all[i].least_ms - middle->most_ms;
        int64_t behind_ms = middle->least_ms - all[i].most_ms;

        if (ahead_ms > CLOCKS_APART_MS || behind_ms > CLOCKS_APART_MS)
            check_find(k, mend, "%s's clock is %.1f s %s that of %s", name_of(k, all[i].member),
                       (double)(ahead_ms > 0 ? ahead_ms : behind_ms) / 1000,
                       ahead_ms > 0 ? "ahead of" : "behind", name_of(k, middle->member));
    }
}

/* Two nodes have a link for each pair of shards that have partitions in common: as many as the
 * smallest common multiple of their shards. */
static uint32_t links_between(const struct ring *ring, uint16_t a, uint16_t b)
{
    uint32_t x = a, y = b, links;

    while (y) {
        uint32_t rest = x % y;

        x = y;
        y = rest;
    }
    links = (uint32_t)a / x * b;
    return links < ring_partitions(ring) ? links : ring_partitions(ring);
}

static bool has_settled(const struct check *k, uint32_t i)
{
    return k->survey.facts[i].up && number(k, i, "uptime_s") >= SETTLED_S;
}

/* Members that are up and do not reach each other. */
static void check_links(struct check *k)
{
    const struct ring *ring = k->survey.ring;

    for (uint32_t i = 0; i < ring->member_count && !ring->change; i++) {
        uint64_t links = number(k, i, "links_up"), wanted = 0;

        if (!has_settled(k, i))
            continue;
        for (uint32_t other = 0; other < ring->member_count; other++)
            if (other != i && has_settled(k, other))
                wanted += links_between(ring, ring->members[i].shards, ring->members[other].shards);
        if (links < wanted)
            check_find(k,
                       "the nodes have to reach each other at the addresses that 'ringctl status' "
                       "shows: look for 'link:' in its log, and at firewalls",
                       "%s has %" PRIu64 " of %" PRIu64
                       " connections to the other nodes that are up",
                       name_of(k, i), links, wanted);
    }
}

void check_members(struct check *k)
{
    for (uint32_t i = 0; i < k->survey.ring->member_count; i++)
        if (k->survey.facts[i].up)
            check_up(k, i);
        else
            check_down(k, i);
    check_links(k);
    check_clocks(k);
    check_same(k, "version", "install the same version everywhere, one node after the other");
    check_same(k, "sync",
               "set storage.sync alike on all nodes: else how safe a write is depends on "
               "which of them have it");
    check_same(k, "max_value",
               "set node.max_value alike on all nodes: larger values are refused, "
               "depending on which node leads");
}
