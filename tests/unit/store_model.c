#include "tests/unit/store_model.h"
#include "node/expiry_rank.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint64_t model_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

size_t model_key_write(size_t index, uint8_t to[STORE_KEY_SIZE_MAX])
{
    uint64_t random = index / 4, position;
    size_t size;

    /* Four keys share a position; the last few are as long as keys can be, one is shorter than a
     * position. */
    position = model_random(&random);
    wire_put_position(to, position);
    if (index == 0) {
        to[0] = 7;
        return 1;
    }
    size = index >= MODEL_KEYS - 4 ? STORE_KEY_SIZE_MAX : 9 + index % 23;
    memset(to + 8, 'k', size - 8);
    to[8] = (uint8_t)index;
    return size;
}

void model_init(struct model *m, uint64_t seed, bool large_values)
{
    memset(m, 0, sizeof(*m));
    m->seed = seed;
    m->large_values = large_values;
}

static void fill_value(uint8_t *to, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(i % 8 ? seed >> (8 * (i % 8)) : model_random(&seed));
}

static int64_t random_expiry(uint64_t *random)
{
    switch (model_random(random) % 12) {
    case 0:
        return INT64_MAX;
    case 1:
        return -5;
    case 2:
    case 3:
    case 4:
        return (int64_t)(model_random(random) % 50 + 1) * 1000;
    default:
        return 0;
    }
}

/* The batch's changes as the model keeps them: index and content, key_index[i] of change i. */
static size_t make_changes(const struct model *m, struct model_key changes[MODEL_CHANGES_MAX],
                           size_t key_index[MODEL_CHANGES_MAX])
{
    uint64_t number = m->applied + 1, random = m->seed ^ number * UINT64_C(0x2545f4914f6cdd1d);
    size_t count = model_random(&random) % MODEL_CHANGES_MAX;

    for (size_t i = 0; i < count; i++) {
        uint64_t kind = model_random(&random) % 10;
        struct model_key *change = &changes[i];

        key_index[i] = model_random(&random) % MODEL_KEYS;
        memset(change, 0, sizeof(*change));
        change->written = number;
        if (kind < 2)
            continue; /* forgotten */
        change->there = true;
        change->version = (struct version){number, i};
        change->expire_ms = random_expiry(&random);
        change->deleted = kind < 4;
        change->value_seed = model_random(&random);
        if (!change->deleted)
            change->value_size =
                model_random(&random) % (kind == 9 && m->large_values ? MODEL_VALUE_MAX : 60);
    }
    return count;
}

void model_next(const struct model *m, struct model_batch *out)
{
    struct model_key changes[MODEL_CHANGES_MAX];
    size_t key_index[MODEL_CHANGES_MAX], count = make_changes(m, changes, key_index);
    uint64_t number = m->applied + 1;

    memset(&out->batch, 0, sizeof(out->batch));
    for (size_t i = 0; i < count; i++) {
        const struct model_key *from = &changes[i];
        struct store_change *to = &out->changes[i];

        fill_value(out->values[i], from->value_size, from->value_seed);
        *to = (struct store_change){.kind = from->there ? STORE_PUT : STORE_FORGET};
        to->key = bytes_of(out->keys[i], model_key_write(key_index[i], out->keys[i]));
        if (from->there)
            to->record = (struct store_record){from->version, from->expire_ms, from->deleted,
                                               bytes_of(out->values[i], from->value_size)};
    }
    wire_put_u64(out->state, number);
    out->batch = (struct store_batch){.partition = (uint32_t)(number % MODEL_PARTITIONS),
                                      .state = bytes_of(out->state, 8),
                                      .changes = out->changes,
                                      .change_count = count};
}

void model_advance(struct model *m)
{
    struct model_key changes[MODEL_CHANGES_MAX];
    size_t key_index[MODEL_CHANGES_MAX], count = make_changes(m, changes, key_index);

    for (size_t i = 0; i < count; i++)
        m->keys[key_index[i]] = changes[i];
    m->applied++;
    m->states[m->applied % MODEL_PARTITIONS] = m->applied;
}

uint64_t model_remembered(struct store *s)
{
    uint64_t remembered = 0;

    for (uint32_t partition = 0; partition < MODEL_PARTITIONS; partition++) {
        uint8_t state[STORE_STATE_MAX];
        size_t size;
        int error = store_state(s, partition, state, &size);

        if (error == RK_NOTFOUND) {
            assert_int_equal(size, 0);
            continue;
        }
        assert_int_equal(error, 0);
        assert_int_equal(size, 8);
        if (wire_get_u64(state) > remembered)
            remembered = wire_get_u64(state);
    }
    return remembered;
}

static void check_record(const struct model_key *expected, const struct store_record *record)
{
    uint8_t value[MODEL_VALUE_MAX];

    fill_value(value, expected->value_size, expected->value_seed);
    assert_int_equal(version_compare(record->version, expected->version), 0);
    assert_int_equal(record->expire_ms, expected->expire_ms);
    assert_int_equal(record->deleted, expected->deleted);
    assert_true(bytes_equal(record->value, bytes_of(value, expected->value_size)));
}

/* What was written behind the settled position is found, and nothing else is said to be recent. */
static void check_recent(const struct model_key *expected, struct store *s, struct bytes key)
{
    struct store_record record;
    uint64_t position;
    int error = store_get_recent(s, key, &record, &position);

    if (error == RK_UNCHANGED) {
        assert_true(expected->written <= store_settled(s));
        return;
    }
    assert_true(expected->written > 0);
    assert_int_equal(error, expected->there ? 0 : RK_NOTFOUND);
    if (!error)
        check_record(expected, &record);
}

static void check_keys(const struct model *m, struct store *s)
{
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        uint8_t key[STORE_KEY_SIZE_MAX];
        struct store_record record;
        uint64_t position;
        int error = store_get(s, bytes_of(key, model_key_write(i, key)), &record, &position);

        assert_int_equal(error, m->keys[i].there ? 0 : RK_NOTFOUND);
        assert_true(position <= m->applied);
        if (!error)
            check_record(&m->keys[i], &record);
        check_recent(&m->keys[i], s, bytes_of(key, model_key_write(i, key)));
    }
}

/* What a scan must give: the indices in order. */
struct expected {
    const struct model *model;
    size_t order[MODEL_KEYS], count, seen, stop;
};

static struct bytes key_of(size_t index, uint8_t key[STORE_KEY_SIZE_MAX])
{
    return bytes_of(key, model_key_write(index, key));
}

static int compare_index(size_t left, size_t right)
{
    uint8_t a[STORE_KEY_SIZE_MAX], b[STORE_KEY_SIZE_MAX];

    return bytes_compare(key_of(left, a), key_of(right, b));
}

static int scan_each(void *arg, struct bytes key, const struct store_record *record)
{
    struct expected *e = arg;
    uint8_t bytes[STORE_KEY_SIZE_MAX];
    size_t index;

    assert_true(e->seen < e->count);
    index = e->order[e->seen++];
    assert_true(bytes_equal(key, key_of(index, bytes)));
    assert_non_null(record);
    check_record(&e->model->keys[index], record);
    return e->seen == e->stop ? -1234 : 0;
}

/* Inserts in order; few enough for that. */
static void expect(struct expected *e, size_t index, bool by_expiry)
{
    const struct model_key *keys = e->model->keys;
    size_t at = e->count++;

    for (; at > 0; at--) {
        uint64_t left = by_expiry ? expiry_rank(keys[e->order[at - 1]].expire_ms) : 0;
        uint64_t right = by_expiry ? expiry_rank(keys[index].expire_ms) : 0;

        if (left < right || (left == right && compare_index(e->order[at - 1], index) < 0))
            break;
        e->order[at] = e->order[at - 1];
    }
    e->order[at] = index;
}

static void check_range(const struct model *m, struct store *s, struct bytes from, struct bytes to,
                        size_t stop)
{
    struct expected e = {.model = m, .stop = stop};
    uint8_t key[STORE_KEY_SIZE_MAX];
    int result;

    for (size_t i = 0; i < MODEL_KEYS; i++)
        if (m->keys[i].there && bytes_compare(key_of(i, key), from) >= 0 &&
            bytes_compare(key_of(i, key), to) <= 0)
            expect(&e, i, false);
    result = store_scan(s, from, to, scan_each, &e);
    if (stop && stop <= e.count)
        assert_int_equal(result, -1234);
    else
        assert_int_equal(result, 0);
    assert_int_equal(e.seen, stop && stop < e.count ? stop : e.count);
}

/* Walks in steps of so many looks, and of one record in between. */
static void check_expiring(const struct model *m, struct store *s, uint32_t looks_max)
{
    struct expected e = {.model = m};
    struct expiry_place place = {0};
    int result;

    for (size_t i = 0; i < MODEL_KEYS; i++)
        if (m->keys[i].there && m->keys[i].expire_ms)
            expect(&e, i, true);
    do {
        e.stop = looks_max == 7 ? e.seen + 1 : 0;
        result = store_expiring(s, &place, looks_max, scan_each, &e);
    } while (result == RK_MORE || result == -1234);
    assert_int_equal(result, 0);
    assert_int_equal(e.seen, e.count);
}

static void check_scans(const struct model *m, struct store *s)
{
    uint8_t first[STORE_KEY_SIZE_MAX], last[STORE_KEY_SIZE_MAX];
    uint64_t random = m->applied;

    memset(last, 0xff, sizeof(last));
    check_range(m, s, bytes_of(NULL, 0), bytes_of(last, sizeof(last)), 0);
    check_range(m, s, bytes_of(NULL, 0), bytes_of(last, sizeof(last)), 5);
    for (int i = 0; i < 4; i++) {
        struct bytes from = key_of(model_random(&random) % MODEL_KEYS, first);
        struct bytes to = key_of(model_random(&random) % MODEL_KEYS, last);

        check_range(m, s, from, to, i);
        check_range(m, s, bytes_of(first, 8), bytes_of(last, 9), 0);
    }
    for (uint32_t looks_max = 0; looks_max < 50; looks_max += 7)
        check_expiring(m, s, looks_max ? looks_max : UINT32_MAX);
}

void model_check(const struct model *m, struct store *s)
{
    check_keys(m, s);
    check_scans(m, s);
    for (uint32_t partition = 0; partition < MODEL_PARTITIONS; partition++) {
        uint8_t state[STORE_STATE_MAX];
        size_t size;
        int error = store_state(s, partition, state, &size);

        assert_int_equal(error, m->states[partition] ? 0 : RK_NOTFOUND);
        if (!error)
            assert_int_equal(wire_get_u64(state), m->states[partition]);
    }
}

void model_check_counts(const struct model *m, struct store *s)
{
    uint64_t keys = 0, tombstones = 0, bytes = 0, expiring = 0;
    uint8_t key[STORE_KEY_SIZE_MAX];
    struct store_stats stats;

    for (size_t i = 0; i < MODEL_KEYS; i++) {
        if (!m->keys[i].there)
            continue;
        expiring += m->keys[i].expire_ms != 0;
        if (m->keys[i].deleted) {
            tombstones++;
            continue;
        }
        keys++;
        bytes += key_of(i, key).size + m->keys[i].value_size;
    }
    store_stats(s, &stats);
    assert_int_equal(stats.keys, keys);
    assert_int_equal(stats.tombstones, tombstones);
    assert_int_equal(stats.live_bytes, bytes);
    assert_int_equal(stats.expiring, expiring);
}
