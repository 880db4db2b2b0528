#include "node/memory_table.h"
#include "node/expiry_rank.h"
#include "shared/error.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_MIN = 1 << 10,
    SAMPLES_FIRST = 256, /* so many keys are all looked up, */
    SAMPLE_EVERY = 64,   /* and then each so manyth */
    PUT_TOGETHER = 16,   /* changes of a batch whose slots are fetched at once */
};

int memory_table_init(struct memory_table *t, struct memory_pool *pool, size_t bytes, uint64_t seed)
{
    *t = (struct memory_table){.arena = {.pool = pool}, .seed = seed};
    t->states = calloc(PARTITIONS_MAX, sizeof(struct memory_state *));
    return t->states ? key_order_init(&t->by_key, bytes) : RK_NOMEM;
}

void memory_table_free(struct memory_table *t)
{
    memory_arena_clear(&t->arena);
    free(t->slots);
    free(t->states);
    key_order_free(&t->by_key);
    *t = (struct memory_table){0};
}

void memory_table_clear(struct memory_table *t)
{
    memory_arena_clear(&t->arena);
    if (t->count)
        memset(t->slots, 0, t->slot_count * sizeof(*t->slots));
    if (t->state_count)
        memset(t->states, 0, PARTITIONS_MAX * sizeof(struct memory_state *));
    key_order_clear(&t->by_key, t->count);
    t->count = t->state_count = 0;
    t->last_position = 0;
    t->held = t->covered = (struct record_counts){0};
    t->by_expiry = (struct ordered_index){0};
}

size_t memory_table_bytes(const struct memory_table *t)
{
    return t->arena.bytes + t->slot_count * sizeof(*t->slots) + key_order_bytes(&t->by_key);
}

static size_t record_size(const struct store_change *change)
{
    size_t value_size = change->kind == STORE_PUT ? change->record.value.size : 0;

    return memory_rounded(sizeof(struct memory_record) + change->key.size + value_size);
}

static size_t batch_size(const struct memory_table *t, const struct store_batch *batch)
{
    size_t size = batch->state.size ? memory_rounded(sizeof(struct memory_state)) : 0;
    size_t expiring = 0;

    for (size_t i = 0; i < batch->change_count; i++) {
        size += record_size(&batch->changes[i]);
        expiring += batch->changes[i].kind == STORE_PUT && batch->changes[i].record.expire_ms != 0;
    }
    if (batch->change_count)
        size += key_order_reserve(&t->by_key, batch->change_count);
    if (expiring)
        size += ordered_index_reserve(&t->by_expiry, expiring);
    return size;
}

/* Slots for `more` more keys: at most two thirds are in use, so that a miss is seen in one cache
 * line. */
static size_t slots_wanted(const struct memory_table *t, size_t more)
{
    size_t wanted = t->slot_count ? t->slot_count : SLOTS_MIN;

    while (wanted - wanted / 3 < t->count + more)
        wanted *= 2;
    return wanted;
}

size_t memory_table_growth(const struct memory_table *t, const struct store_batch *batch)
{
    size_t slots = slots_wanted(t, batch->change_count) - t->slot_count;

    return memory_arena_growth(&t->arena, batch_size(t, batch)) + slots * sizeof(*t->slots);
}

static int slots_grow(struct memory_table *t, size_t wanted)
{
    struct memory_slot *slots = large_memory_new(wanted * sizeof(*slots));

    if (!slots)
        return RK_NOMEM;
    memset(slots, 0, wanted * sizeof(*slots));
    for (size_t i = 0; i < t->slot_count; i++) {
        size_t at = t->slots[i].hash & (wanted - 1);

        if (!t->slots[i].record)
            continue;
        while (slots[at].record)
            at = (at + 1) & (wanted - 1);
        slots[at] = t->slots[i];
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = wanted;
    return 0;
}

int memory_table_reserve(struct memory_table *t, const struct store_batch *batch)
{
    size_t wanted = slots_wanted(t, batch->change_count);

    if (wanted > t->slot_count && slots_grow(t, wanted) != 0)
        return RK_NOMEM;
    return memory_arena_reserve(&t->arena, batch_size(t, batch));
}

/* Multiply and fold, after the family of hashes by Wang Yi: 16 bytes a step. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t memory_table_hash(const struct memory_table *t, struct bytes key)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15), other = UINT64_C(0xc2b2ae3d27d4eb4f);
    uint64_t hash = t->seed ^ key.size;
    uint8_t last[16] = {0};

    for (; key.size > 16; key.data += 16, key.size -= 16) {
        uint64_t words[2];

        memcpy(words, key.data, 16);
        hash = fold(words[0] ^ odd ^ hash, words[1] ^ other ^ t->seed);
    }
    if (key.size)
        memcpy(last, key.data, key.size);

    uint64_t words[2];

    memcpy(words, last, 16);
    hash = fold(words[0] ^ odd ^ hash, words[1] ^ other ^ t->seed);
    return fold(hash ^ odd, other);
}

void memory_table_prefetch(const struct memory_table *t, uint64_t hash)
{
    if (t->slot_count)
        __builtin_prefetch(&t->slots[hash & (t->slot_count - 1)]);
}

/* The slot of a key, or the free one where it would go. There always is a free slot. */
static struct memory_slot *find_slot(const struct memory_table *t, uint64_t hash, struct bytes key)
{
    size_t at = hash & (t->slot_count - 1);

    for (;; at = (at + 1) & (t->slot_count - 1)) {
        struct memory_slot *slot = &t->slots[at];

        if (!slot->record)
            return slot;
        if (slot->hash == hash && bytes_equal(memory_record_key(slot->record), key))
            return slot;
    }
}

const struct memory_record *memory_table_get(const struct memory_table *t, uint64_t hash,
                                             struct bytes key)
{
    return t->count ? find_slot(t, hash, key)->record : NULL;
}

/* A record with what `change` says, in the place of `before` when the value has room there. */
static struct memory_record *record_write(struct memory_table *t, struct memory_record *before,
                                          const struct store_change *change, uint64_t position)
{
    struct memory_record *record = before;
    bool put = change->kind == STORE_PUT;
    struct bytes value = put ? change->record.value : bytes_of(NULL, 0);

    if (!record || record->value_room < value.size) {
        record = memory_arena_take(&t->arena, record_size(change));
        record->key_size = (uint16_t)change->key.size;
        record->value_room = (uint32_t)value.size;
        record->replaced = false;
        memcpy(record->bytes, change->key.data, change->key.size);
    }
    record->position = position;
    record->version = put ? change->record.version : (struct version){0};
    record->expire_ms = put ? change->record.expire_ms : 0;
    record->deleted = put && change->record.deleted;
    record->forgotten = !put;
    record->value_size = (uint32_t)value.size;
    if (value.size)
        memcpy(record->bytes + record->key_size, value.data, value.size);
    return record;
}

int memory_table_sample(size_t nth)
{
    if (nth < SAMPLES_FIRST)
        return 1;
    return nth % SAMPLE_EVERY == 0 ? SAMPLE_EVERY : 0;
}

void memory_table_cover(struct memory_table *t, struct bytes key, const struct store_record *below,
                        int times)
{
    record_counts_add(&t->covered, key, below, times);
}

static void count_record(struct memory_table *t, const struct memory_record *record, int times)
{
    struct store_record told = memory_record_told(record);

    if (!record->forgotten)
        record_counts_add(&t->held, memory_record_key(record), &told, times);
}

static void put_change(struct memory_table *t, uint64_t hash, const struct store_change *change,
                       uint64_t position)
{
    struct memory_slot *slot = find_slot(t, hash, change->key);
    struct memory_record *before = slot->record, *record;

    if (before)
        count_record(t, before, -1);
    else
        t->count++;
    record = record_write(t, before, change, position);
    count_record(t, record, 1);
    *slot = (struct memory_slot){hash, record};
    if (record != before) {
        if (before)
            before->replaced = true;
        key_order_add(&t->by_key, &t->arena, record);
    }
    if (record->expire_ms)
        ordered_index_insert(&t->by_expiry, &t->arena, expiry_rank(record->expire_ms), record);
}

/* Slots lie anywhere: one after the other, each put would wait for memory by itself. */
static void put_changes(struct memory_table *t, const struct store_change *changes, size_t count,
                        uint64_t position)
{
    uint64_t hashes[PUT_TOGETHER];

    for (size_t i = 0; i < count; i++) {
        hashes[i] = memory_table_hash(t, changes[i].key);
        memory_table_prefetch(t, hashes[i]);
    }
    for (size_t i = 0; i < count; i++)
        put_change(t, hashes[i], &changes[i], position);
}

static void put_state(struct memory_table *t, const struct store_batch *batch, uint64_t position)
{
    struct memory_state **at = &t->states[batch->partition];

    if (!*at) {
        *at = memory_arena_take(&t->arena, sizeof(struct memory_state));
        t->state_count++;
    }
    (*at)->position = position;
    (*at)->size = (uint8_t)batch->state.size;
    memcpy((*at)->bytes, batch->state.data, batch->state.size);
}

void memory_table_put(struct memory_table *t, const struct store_batch *batch, uint64_t position)
{
    assert(position >= t->last_position);
    t->last_position = position;
    for (size_t done = 0, count; done < batch->change_count; done += count) {
        count = batch->change_count - done;
        if (count > PUT_TOGETHER)
            count = PUT_TOGETHER;
        put_changes(t, batch->changes + done, count, position);
    }
    if (batch->state.size)
        put_state(t, batch, position);
}

const struct memory_state *memory_table_state(const struct memory_table *t, uint32_t partition)
{
    return partition < PARTITIONS_MAX ? t->states[partition] : NULL;
}

const struct memory_record *memory_table_expiring(const struct memory_table *t,
                                                  struct index_place place, uint64_t *rank)
{
    const struct memory_record *entry = ordered_index_at(place, rank);
    struct bytes key = memory_record_key(entry);
    const struct memory_record *record = memory_table_get(t, memory_table_hash(t, key), key);

    /* The entry may be of a record that another has replaced: then the index holds that one too, if
     * it expires. */
    if (record != entry || record->expire_ms == 0 || expiry_rank(record->expire_ms) != *rank)
        return NULL;
    return record;
}
