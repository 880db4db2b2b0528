#include "node/key_order.h"
#include "node/memory_table.h"
#include "shared/error.h"
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS_MIN = 64,
    BYTES_PER_BUCKET = 8192, /* of records: some thirty of the usual size */
    GROWTHS_MAX = 3,         /* doublings: the buckets then take a hundredth of the memory */
    CROWDED_PART = 8,        /* so many records of a full bucket are too many */
    COUNTS_A_WORD = sizeof(uint64_t) / sizeof(uint8_t),
};

_Static_assert(KEY_BUCKET_MAX <= UINT8_MAX, "counts are bytes");
_Static_assert(BUCKETS_MIN % COUNTS_A_WORD == 0, "counts are read by words");

static size_t buckets(const struct key_order *o)
{
    return (size_t)1 << o->bits;
}

static int buckets_new(struct key_order *o, unsigned bits)
{
    struct memory_record **newest = calloc((size_t)1 << bits, sizeof(struct memory_record *));
    uint8_t *counts = calloc((size_t)1 << bits, sizeof(*counts));

    if (!newest || !counts) {
        free(newest);
        free(counts);
        return RK_NOMEM;
    }
    free(o->newest);
    free(o->counts);
    o->newest = newest;
    o->counts = counts;
    o->bits = bits;
    return 0;
}

int key_order_init(struct key_order *o, size_t bytes)
{
    unsigned bits = 0;

    while ((size_t)1 << bits < BUCKETS_MIN || bytes >> bits > BYTES_PER_BUCKET)
        bits++;
    *o = (struct key_order){.bits_max = bits + GROWTHS_MAX};
    return buckets_new(o, bits);
}

void key_order_free(struct key_order *o)
{
    free(o->newest);
    free(o->counts);
    *o = (struct key_order){0};
}

void key_order_clear(struct key_order *o, size_t records)
{
    bool more = o->crowded > records / CROWDED_PART && o->bits < o->bits_max;

    o->more = (struct ordered_index){0};
    o->crowded = 0;
    if (more && buckets_new(o, o->bits + 1) == 0)
        return;
    memset(o->newest, 0, buckets(o) * sizeof(struct memory_record *));
    memset(o->counts, 0, buckets(o) * sizeof(*o->counts));
}

size_t key_order_bytes(const struct key_order *o)
{
    return buckets(o) * (sizeof(struct memory_record *) + sizeof(*o->counts));
}

size_t key_order_reserve(const struct key_order *o, size_t count)
{
    return ordered_index_reserve(&o->more, count);
}

static size_t bucket_of(const struct key_order *o, uint64_t number)
{
    return (size_t)(number >> (64 - o->bits));
}

void key_order_add(struct key_order *o, struct memory_arena *arena, struct memory_record *record)
{
    uint64_t number = index_number_of_key(memory_record_key(record));
    size_t bucket = bucket_of(o, number);

    if (o->counts[bucket] == KEY_BUCKET_MAX) {
        ordered_index_insert(&o->more, arena, number, record);
        o->crowded++;
        return;
    }
    record->next = o->newest[bucket];
    o->newest[bucket] = record;
    o->counts[bucket]++;
}

static int entry_compare(const struct key_entry *entry, uint64_t number, struct bytes key)
{
    if (entry->number != number)
        return entry->number < number ? -1 : 1;
    return bytes_compare(memory_record_key(entry->record), key);
}

/* By insertion: they are few, and often in order already. */
static void entries_sort(struct key_entry *entries, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct key_entry entry = entries[i];
        struct bytes key = memory_record_key(entry.record);
        unsigned at = i;

        for (; at > 0 && entry_compare(&entries[at - 1], entry.number, key) > 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

/* The first bucket at or behind this one in which there is something. */
static size_t bucket_used(const struct key_order *o, size_t bucket)
{
    uint64_t word;

    while (bucket < buckets(o) && o->counts[bucket] == 0) {
        if (bucket % COUNTS_A_WORD == 0) {
            memcpy(&word, &o->counts[bucket], sizeof(word));
            if (word == 0) {
                bucket += COUNTS_A_WORD;
                continue;
            }
        }
        bucket++;
    }
    return bucket;
}

/* Follows the lists of the next buckets together: each step of a list waits for memory, and those
 * of different lists wait at the same time. */
static void buckets_fetch(struct key_walk *w)
{
    const struct memory_record *at[KEY_BUCKETS_AHEAD] = {NULL};
    bool more = true;

    w->fetched = w->bucket + KEY_BUCKETS_AHEAD;
    for (size_t i = 0; i < KEY_BUCKETS_AHEAD && w->bucket + i < buckets(w->order); i++)
        at[i] = w->order->newest[w->bucket + i];
    while (more) {
        more = false;
        for (size_t i = 0; i < KEY_BUCKETS_AHEAD; i++) {
            at[i] = at[i] ? at[i]->next : NULL;
            more |= at[i] != NULL;
        }
    }
}

/* Sorts what is in the next bucket that has something. A list has the newest record first: filled
 * from its end, the array is in order when the keys came in order. */
static void bucket_open(struct key_walk *w)
{
    const struct key_order *o = w->order;
    struct key_entry *first = w->sorted + KEY_BUCKET_MAX;

    w->at = w->count = 0;
    w->bucket = bucket_used(o, w->bucket);
    if (w->bucket == buckets(o))
        return;
    if (w->bucket >= w->fetched)
        buckets_fetch(w);
    for (const struct memory_record *r = o->newest[w->bucket++]; r; r = r->next)
        if (!r->replaced)
            *--first = (struct key_entry){index_number_of_key(memory_record_key(r)), r};
    w->count = (unsigned)(w->sorted + KEY_BUCKET_MAX - first);
    memmove(w->sorted, first, w->count * sizeof(*first));
    entries_sort(w->sorted, w->count);
}

/* A bucket may hold nothing but records that were replaced. */
static void skip_empty(struct key_walk *w)
{
    while (w->at == w->count && w->bucket < buckets(w->order))
        bucket_open(w);
}

void key_walk_begin(struct key_walk *w, const struct key_order *o, struct bytes from)
{
    uint64_t number = index_number_of_key(from);

    w->order = o;
    w->bucket = w->fetched = bucket_of(o, number);
    bucket_open(w);
    while (w->at < w->count && entry_compare(&w->sorted[w->at], number, from) < 0)
        w->at++;
    skip_empty(w);
    w->more = ordered_index_seek(&o->more, number, from);
}

/* The next record is the bucket's, not the tree's. */
static bool bucket_is_first(const struct key_walk *w)
{
    uint64_t number;
    const struct memory_record *more = ordered_index_at(w->more, &number);

    if (!more || w->at == w->count)
        return !more;
    return entry_compare(&w->sorted[w->at], number, memory_record_key(more)) < 0;
}

const struct memory_record *key_walk_at(const struct key_walk *w)
{
    uint64_t number;

    if (!bucket_is_first(w))
        return ordered_index_at(w->more, &number);
    return w->at < w->count ? w->sorted[w->at].record : NULL;
}

void key_walk_next(struct key_walk *w)
{
    if (!bucket_is_first(w)) {
        w->more = ordered_index_next(w->more);
        return;
    }
    if (w->at < w->count)
        w->at++;
    skip_empty(w);
}
