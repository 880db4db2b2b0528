#include "proxy/scan.h"
#include "shared/limits.h"
#include "shared/operation.h"

enum {
    GROUP_SHIFT = 18, /* bits of a position that a cursor does not tell */
    BUCKET_BITS = 6,
    IN_GROUP_RECORDS = 256, /* read on in a group with at least so many */
    IDLE_RECORDS = 8,       /* where there are no keys, read so many, and twice as many each time */
    IDLE_MAX = 8,
};
_Static_assert(1 << BUCKET_BITS == SCAN_BUCKETS, "a cursor tells the bucket");

static const uint64_t groups = UINT64_C(1) << (64 - GROUP_SHIFT);

static uint64_t group_of(uint64_t position)
{
    return position >> GROUP_SHIFT;
}

/* 0 behind the last group: the scan has ended. */
static uint64_t cursor_of(uint64_t group, int bucket)
{
    return group < groups ? group << BUCKET_BITS | (uint64_t)bucket : 0;
}

bool scan_begin(struct scan *s, uint64_t cursor, int64_t wanted)
{
    uint64_t group = cursor >> BUCKET_BITS;
    int bucket = (int)(cursor % SCAN_BUCKETS);

    if (group >= groups)
        return false;
    *s = (struct scan){
        .group = group, .first_group = group, .bucket = bucket ? bucket : -1, .wanted = wanted};
    return true;
}

uint64_t scan_position(const struct scan *s)
{
    return s->group << GROUP_SHIFT;
}

int64_t scan_records(const struct scan *s)
{
    int64_t left = s->wanted > s->looked ? s->wanted - s->looked : 1;

    if (s->bucket >= 0)
        return MESSAGE_ARGS_MAX;
    if (s->within && left < IN_GROUP_RECORDS)
        left = IN_GROUP_RECORDS;
    if (s->idle && left < IDLE_RECORDS << s->idle)
        left = IDLE_RECORDS << s->idle;
    return left;
}

static void begin_group(struct scan *s, uint64_t group, const struct scan_found *found)
{
    s->group = group;
    s->in_group = 0;
    s->keys_size = buf_len(&found->keys);
    s->key_count = found->count;
}

bool scan_key(struct scan *s, uint64_t position, const struct scan_found *found)
{
    uint64_t group = group_of(position);

    if (s->bucket >= 0)
        return group == s->group;
    if (group != s->group)
        begin_group(s, group, found);
    s->in_group++;
    s->looked++;
    s->idle = 0;
    return true;
}

static enum scan_step done(struct scan *s, uint64_t cursor)
{
    s->cursor = cursor;
    return SCAN_DONE;
}

static enum scan_step end_bucket(struct scan *s)
{
    if (s->bucket + 1 < SCAN_BUCKETS)
        return done(s, cursor_of(s->group, s->bucket + 1));
    return done(s, cursor_of(s->group + 1, 0));
}

static bool has_enough(const struct scan *s, const struct scan_found *found)
{
    return s->looked >= s->wanted || buf_len(&found->keys) >= SCAN_BYTES_MAX ||
           s->requests >= SCAN_REQUESTS_MAX ||
           (s->partitions >= SCAN_PARTITIONS_MAX && s->partitions >= s->wanted);
}

/* The group goes on behind this piece. If there was enough before it, or it has too many keys, what
 * came before it is given now, and the group by itself with the next call. */
static enum scan_step in_group(struct scan *s, struct scan_found *found)
{
    bool first = s->group == s->first_group, crowded = s->in_group > SCAN_GROUP_MAX;

    if (!crowded && (first || s->looked - s->in_group < s->wanted))
        return SCAN_MORE;
    buf_truncate(&found->keys, s->keys_size);
    found->count = s->key_count;
    if (!first)
        return done(s, cursor_of(s->group, 0));
    s->bucket = 0;
    return SCAN_AGAIN;
}

enum scan_step scan_end(struct scan *s, const uint64_t *next, uint64_t behind,
                        struct scan_found *found)
{
    s->requests += next != NULL;
    if (s->bucket >= 0)
        return next && group_of(*next) == s->group ? SCAN_MORE : end_bucket(s);
    if (next && s->idle < IDLE_MAX && s->looked == s->seen)
        s->idle++;
    s->seen = s->looked;
    s->within = next && group_of(*next) == s->group;
    if (!next) {
        s->partitions++;
        if (!behind)
            return done(s, 0);
        begin_group(s, group_of(behind), found);
        return has_enough(s, found) ? done(s, cursor_of(s->group, 0)) : SCAN_OVER;
    }
    if (s->within)
        return in_group(s, found);
    return has_enough(s, found) ? done(s, cursor_of(group_of(*next), 0)) : SCAN_MORE;
}
