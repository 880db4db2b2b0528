#include "shared/ring_check.h"
#include "shared/reason.h"
#include <stdlib.h>

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

bool ring_name_valid(const char *name)
{
    size_t size = strnlen(name, NAME_SIZE_MAX + 1);

    if (size == 0 || size > NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!name_char(name[i]))
            return false;
    return true;
}

static bool host_valid(const char *host)
{
    size_t size = strnlen(host, HOST_SIZE_MAX + 1);

    if (size == 0 || size > HOST_SIZE_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!name_char(host[i]) && host[i] != ':' && host[i] != '%')
            return false;
    return true;
}

static bool all_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

static int check_fields(const struct ring *r, const struct reason *why)
{
    if (all_zero(r->cluster, IDENTITY_SIZE))
        return reason_invalid(why, "the cluster's identity is zero");
    if (r->epoch == 0)
        return reason_invalid(why, "the epoch is 0; epochs begin at 1");
    if (!position_hash_name(r->hash))
        return reason_invalid(why, "unknown hash %d; use md5 or sha1", (int)r->hash);
    if (r->bits > PARTITION_BITS_MAX)
        return reason_invalid(why, "2^%d partitions; at most 2^%d are possible", r->bits,
                              PARTITION_BITS_MAX);
    if (r->replicas < 1 || r->replicas > REPLICAS_MAX)
        return reason_invalid(why, "%d replicas; 1 to %d are possible", r->replicas, REPLICAS_MAX);
    if (r->member_count < 1 || r->member_count > MEMBERS_MAX)
        return reason_invalid(why, "%u members; 1 to %d are possible", (unsigned)r->member_count,
                              MEMBERS_MAX);
    return 0;
}

static int check_strings(const struct ring_member *m, const struct reason *why)
{
    if (!ring_name_valid(m->name))
        return reason_invalid(
            why, "the name of member %u is not 1 to %d letters, digits, '-', '_' and '.'",
            m->number, NAME_SIZE_MAX);
    if (m->zone[0] && !ring_name_valid(m->zone))
        return reason_invalid(why,
                              "the zone of %s is not 1 to %d letters, digits, '-', '_' and '.'",
                              m->name, NAME_SIZE_MAX);
    if (!host_valid(m->host))
        return reason_invalid(why, "the host of %s is not a name or an address", m->name);
    return 0;
}

/* In both configurations, in so far as the member is in them. */
static int check_places(const struct ring_member *m, const struct reason *why)
{
    if ((m->flags & ~(RING_MEMBER_CURRENT | RING_MEMBER_TARGET)) || !m->flags)
        return reason_invalid(why, "%s is neither in the ring as it is nor in what it becomes",
                              m->name);
    if (m->weight < 1 || m->weight > WEIGHT_MAX || m->next_weight < 1 ||
        m->next_weight > WEIGHT_MAX)
        return reason_invalid(
            why, "the weight of %s is %u; 1 to %d is right", m->name,
            (unsigned)(m->weight < 1 || m->weight > WEIGHT_MAX ? m->weight : m->next_weight),
            WEIGHT_MAX);
    if (m->next_zone[0] && !ring_name_valid(m->next_zone))
        return reason_invalid(why,
                              "the zone of %s is not 1 to %d letters, digits, '-', '_' and '.'",
                              m->name, NAME_SIZE_MAX);
    return 0;
}

static int check_member(const struct ring *r, uint32_t i, const struct reason *why)
{
    const struct ring_member *m = &r->members[i];
    int error;

    if (m->number == 0 || m->number >= r->next_number)
        return reason_invalid(
            why, "a member has the number %u; 1 to below the next number, %u, is right", m->number,
            r->next_number);
    if (i > 0 && m->number <= r->members[i - 1].number)
        return reason_invalid(why, "member %u stands after member %u; numbers must ascend",
                              m->number, r->members[i - 1].number);
    error = check_strings(m, why);
    if (error)
        return error;
    if (all_zero(m->identity, IDENTITY_SIZE))
        return reason_invalid(why, "the identity of %s is zero", m->name);
    if (m->port == 0)
        return reason_invalid(why, "the port of %s is 0; 1 to 65535 is right", m->name);
    if (m->shards < 1 || m->shards > SHARDS_MAX)
        return reason_invalid(why, "%s has %u shards; 1 to %d is right", m->name, m->shards,
                              SHARDS_MAX);
    return check_places(m, why);
}

/* Of the members of one configuration. */
static int check_zones(const struct ring *r, uint8_t flag, const struct reason *why)
{
    const struct ring_member *zoned = NULL, *bare = NULL;

    for (uint32_t i = 0; i < r->member_count; i++) {
        const struct ring_member *m = &r->members[i];

        if (!(m->flags & flag))
            continue;
        if ((flag == RING_MEMBER_CURRENT ? m->zone : m->next_zone)[0])
            zoned = m;
        else
            bare = m;
    }
    if (zoned && bare)
        return reason_invalid(why, "%s has no zone and %s has; give every member a zone or none",
                              bare->name, zoned->name);
    if (!zoned && !bare)
        return reason_invalid(why, "the ring would have no member");
    return 0;
}

/* Host names mean the same in either case, and the C library's idea of it depends on the locale. */
static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static int host_order(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b))
        a++, b++;
    return (int)lower(*a) - (int)lower(*b);
}

static int name_order(const void *a, const void *b)
{
    const struct ring_member *x = *(const struct ring_member *const *)a;
    const struct ring_member *y = *(const struct ring_member *const *)b;

    return strcmp(x->name, y->name);
}

static int identity_order(const void *a, const void *b)
{
    const struct ring_member *x = *(const struct ring_member *const *)a;
    const struct ring_member *y = *(const struct ring_member *const *)b;

    return memcmp(x->identity, y->identity, IDENTITY_SIZE);
}

static int address_order(const void *a, const void *b)
{
    const struct ring_member *x = *(const struct ring_member *const *)a;
    const struct ring_member *y = *(const struct ring_member *const *)b;
    int order = host_order(x->host, y->host);

    return order ? order : (int)x->port - (int)y->port;
}

/* One that joins may have the address of one that leaves: an empty node in a lost one's place. */
static bool one_in_place_of_other(const struct ring_member *a, const struct ring_member *b)
{
    return !(a->flags & b->flags);
}

static int check_unique(const struct ring *r, const char *what,
                        int (*order)(const void *, const void *), const struct reason *why)
{
    const struct ring_member *sorted[MEMBERS_MAX];

    for (uint32_t i = 0; i < r->member_count; i++)
        sorted[i] = &r->members[i];
    qsort(sorted, r->member_count, sizeof(sorted[0]), order);
    for (uint32_t i = 1; i < r->member_count; i++)
        if (order(&sorted[i - 1], &sorted[i]) == 0 &&
            !(order == address_order && one_in_place_of_other(sorted[i - 1], sorted[i])))
            return reason_invalid(why, "members %u and %u have the same %s", sorted[i - 1]->number,
                                  sorted[i]->number, what);
    return 0;
}

static int check_owners(const struct ring *r, const uint16_t *owners, uint8_t flag,
                        const struct reason *why)
{
    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        if (owners[p] >= r->member_count)
            return reason_invalid(why, "partition %u is owned by member index %u of %u",
                                  (unsigned)p, owners[p], (unsigned)r->member_count);
        if (!(r->members[owners[p]].flags & flag))
            return reason_invalid(why, "partition %u is owned by %s, which %s", (unsigned)p,
                                  r->members[owners[p]].name,
                                  flag == RING_MEMBER_TARGET ? "leaves the ring"
                                                             : "is not in the ring yet");
    }
    return 0;
}

/* Texts are shown on terminals. */
static bool printable(const char *text, size_t max)
{
    size_t size = strnlen(text, max + 1);

    for (size_t i = 0; i < size; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return size <= max;
}

static int check_change(const struct ring *r, const struct reason *why)
{
    const struct ring_change *c = r->change;

    if (c->replicas < 1 || c->replicas > REPLICAS_MAX)
        return reason_invalid(why, "%d replicas in the target; 1 to %d are possible", c->replicas,
                              REPLICAS_MAX);
    if (c->begun_epoch < 1 || c->begun_epoch > r->epoch)
        return reason_invalid(why, "the change began in epoch %llu, the ring is at epoch %llu",
                              (unsigned long long)c->begun_epoch, (unsigned long long)r->epoch);
    if (!printable(c->what, RING_WHAT_MAX) || !printable(c->who, RING_WHO_MAX))
        return reason_invalid(why, "what was asked for, or by whom, is not printable text");
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        if (c->phases[p] > RING_MOVED)
            return reason_invalid(why, "partition %u is in phase %u; 0 to %d are known",
                                  (unsigned)p, c->phases[p], RING_MOVED);
    return check_owners(r, c->owners, RING_MEMBER_TARGET, why);
}

static int check_memory(const struct ring *r, const struct reason *why)
{
    if (r->log_count > RING_LOG_MAX)
        return reason_invalid(why, "%u changes are remembered; at most %d are possible",
                              r->log_count, RING_LOG_MAX);
    for (uint8_t i = 0; i < r->log_count; i++)
        if (!printable(r->log[i].what, RING_WHAT_MAX) || !printable(r->log[i].who, RING_WHO_MAX) ||
            r->log[i].ended_epoch > r->epoch || r->log[i].begun_epoch > r->log[i].ended_epoch)
            return reason_invalid(why, "what is remembered of an earlier change makes no sense");
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        if (r->changed[p] < 1 || r->changed[p] > r->epoch)
            return reason_invalid(
                why, "partition %u changed in epoch %llu, the ring is at epoch %llu", (unsigned)p,
                (unsigned long long)r->changed[p], (unsigned long long)r->epoch);
    return 0;
}

int ring_check(const struct ring *r, char *text, size_t size)
{
    struct reason why = {text, size};
    int error = check_fields(r, &why);

    for (uint32_t i = 0; !error && i < r->member_count; i++)
        error = check_member(r, i, &why);
    if (!error)
        error = check_zones(r, RING_MEMBER_CURRENT, &why);
    if (!error)
        error = check_zones(r, RING_MEMBER_TARGET, &why);
    if (!error)
        error = check_unique(r, "name", name_order, &why);
    if (!error)
        error = check_unique(r, "identity", identity_order, &why);
    if (!error)
        error = check_unique(r, "address", address_order, &why);
    if (!error)
        error = check_owners(r, r->owners, RING_MEMBER_CURRENT, &why);
    if (!error && r->change)
        error = check_change(r, &why);
    return error ? error : check_memory(r, &why);
}

struct zoned {
    const char *zone;
    uint16_t index;
};

static int zone_order(const void *a, const void *b)
{
    const struct zoned *x = a, *y = b;
    int order = strcmp(x->zone, y->zone);

    return order ? order : (int)x->index - (int)y->index;
}

void ring_zones(const struct ring *r, bool target, uint16_t zones[MEMBERS_MAX])
{
    struct zoned sorted[MEMBERS_MAX];

    for (uint32_t i = 0; i < r->member_count; i++)
        sorted[i] =
            (struct zoned){target ? r->members[i].next_zone : r->members[i].zone, (uint16_t)i};
    qsort(sorted, r->member_count, sizeof(sorted[0]), zone_order);
    for (uint32_t i = 0; i < r->member_count; i++) {
        bool same = i > 0 && strcmp(sorted[i].zone, sorted[i - 1].zone) == 0;

        zones[sorted[i].index] = same ? zones[sorted[i - 1].index] : sorted[i].index;
    }
}
