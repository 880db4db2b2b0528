/* SCAN's cursor against a model of partitions: whatever comes and goes between the calls, what is
 * there all the time is given, and a call gives little more than it is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/scan.h"
#include "shared/limits.h"
#include "shared/operation.h"

enum { BITS = 4, KEYS_MAX = 8000 };

struct key {
    uint64_t position;
    int bucket;
    bool there, stays, given;
    bool dead; /* a record that is no key */
};

static struct key keys[KEYS_MAX];
static int key_count;
static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

static void add(uint64_t position, bool dead)
{
    keys[key_count++] = (struct key){position, (int)draw(SCAN_BUCKETS), !dead, !dead, false, dead};
}

static uint64_t any_position(void)
{
    return (uint64_t)draw(1 << 24) << 40 | (uint64_t)draw(1 << 24) << 16 | draw(1 << 16);
}

static int by_position(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    return (x->position > y->position) - (x->position < y->position);
}

static void begin(uint32_t with)
{
    key_count = 0;
    seed = with;
}

static void sort(void)
{
    qsort(keys, (size_t)key_count, sizeof(*keys), by_position);
}

/* What a node does: looks at some records from index *at on. Returns whether there are more in this
 * partition. */
static bool read_piece(struct scan *s, struct scan_found *found, int *at, uint32_t partition)
{
    int64_t left = scan_records(s);
    int bucket = s->bucket;

    if (left > MESSAGE_ARGS_MAX - 1)
        left = MESSAGE_ARGS_MAX - 1;
    assert_true(left >= 1);
    for (; *at < key_count && keys[*at].position >> (64 - BITS) == partition; ++*at) {
        struct key *k = &keys[*at];

        if (left-- == 0)
            return true;
        if (!k->there || (bucket >= 0 && k->bucket != bucket) || !scan_key(s, k->position, found))
            continue;
        assert_int_equal(buf_append(&found->keys, &(int){*at}, sizeof(int)), 0);
        found->count++;
    }
    return false;
}

static int first_at(uint64_t position)
{
    int at = 0;

    while (at < key_count && keys[at].position < position)
        at++;
    return at;
}

/* One call of SCAN; marks what it gives, and returns how many that are. */
static int call(uint64_t *cursor, int64_t wanted)
{
    struct scan s;
    struct scan_found found = {0};
    enum scan_step step = SCAN_MORE;
    int at, given;

    assert_true(scan_begin(&s, *cursor, wanted));
    at = first_at(scan_position(&s));
    for (uint32_t p = (uint32_t)(scan_position(&s) >> (64 - BITS)); step != SCAN_DONE;) {
        bool more = read_piece(&s, &found, &at, p);
        uint64_t behind = p + 1 < 1 << BITS ? (uint64_t)(p + 1) << (64 - BITS) : 0;

        step = scan_end(&s, more ? &keys[at].position : NULL, behind, &found);
        if (step == SCAN_OVER)
            p++;
        if (step == SCAN_OVER || step == SCAN_AGAIN)
            at = first_at(scan_position(&s));
    }
    given = (int)found.count;
    assert_int_equal(buf_len(&found.keys), found.count * sizeof(int));
    for (int i = 0; i < given; i++) {
        int index;

        memcpy(&index, buf_head(&found.keys) + (size_t)i * sizeof(int), sizeof(int));
        keys[index].given = true;
    }
    buf_free(&found.keys);
    assert_true(s.cursor < UINT64_C(1) << 53);
    *cursor = s.cursor;
    return given;
}

static void come_and_go(void)
{
    for (int i = 0; i < 20 && key_count; i++) {
        struct key *k = &keys[draw((uint32_t)key_count)];

        if (!k->stays)
            k->there = !k->there;
    }
}

/* A whole scan. Returns its calls. */
static int scan_all(int64_t wanted, int given_max)
{
    uint64_t cursor = 0;
    int calls = 0;

    for (int i = 0; i < key_count; i++) {
        keys[i].given = false;
        keys[i].stays = keys[i].there && draw(4) != 0;
    }
    do {
        int given = call(&cursor, wanted);

        assert_true(given <= given_max);
        come_and_go();
        assert_true(++calls < 100000);
    } while (cursor);
    for (int i = 0; i < key_count; i++)
        assert_true(!keys[i].stays || keys[i].given);
    return calls;
}

static void test_spread(void **state)
{
    (void)state;
    for (int64_t wanted = 1; wanted <= 3000; wanted = wanted * 3 + 1) {
        begin(7);
        for (int i = 0; i < 2000; i++)
            add(any_position(), draw(3) == 0);
        sort();
        /* Up to one partition's worth more. */
        assert_true(scan_all(wanted, (int)wanted * 2 + 32) <= 2000);
    }
}

/* Groups of all sizes, next to each other, at the ends of partitions and of everything. */
static void test_groups(void **state)
{
    static const int sizes[] = {1, 2, 300, SCAN_GROUP_MAX, SCAN_GROUP_MAX + 1, 3000, 1, 1500};

    (void)state;
    for (int64_t wanted = 1; wanted <= 3000; wanted = wanted * 7 + 1) {
        uint64_t position = 0;

        begin(8);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            for (int j = 0; j < sizes[i]; j++)
                add(position, false);
            position = i == 3   ? UINT64_MAX >> 4
                       : i == 6 ? UINT64_MAX
                                : position + (UINT64_C(1) << 18);
        }
        sort();
        scan_all(wanted, (int)wanted + SCAN_GROUP_MAX + 512);
    }
}

/* Many groups of which none ends with a piece. */
static void test_middling_groups(void **state)
{
    (void)state;
    begin(5);
    for (uint64_t group = 1; group <= 20; group++)
        for (int i = 0; i < 300; i++)
            add(group << 18, false);
    assert_true(scan_all(10, 300) == 21);
    scan_all(400, 900);
}

/* Where everything was deleted, a call ends all the same, and gets on. */
static void test_deleted(void **state)
{
    (void)state;
    begin(9);
    for (int i = 0; i < KEYS_MAX; i++)
        add(any_position(), true);
    sort();
    assert_true(scan_all(1, 0) < 100);
    begin(9);
    for (int i = 0; i < KEYS_MAX; i++)
        add(4711, i % 1000 != 999);
    scan_all(1, 8);
}

static void test_empty(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(scan_all(10, 0), 1);
}

/* A cursor that was never given: any other does no harm. */
static void test_cursors(void **state)
{
    struct scan s;

    (void)state;
    assert_false(scan_begin(&s, UINT64_C(1) << 52, 10));
    assert_false(scan_begin(&s, UINT64_MAX, 10));
    begin(3);
    for (int i = 0; i < 500; i++)
        add(any_position(), false);
    sort();
    for (int i = 0; i < 1000; i++) {
        uint64_t cursor = any_position() >> 12;

        call(&cursor, 5);
    }
    for (int bucket = 0; bucket < SCAN_BUCKETS; bucket++) {
        uint64_t cursor = (UINT64_C(1) << 52) - SCAN_BUCKETS + (uint64_t)bucket;

        call(&cursor, 5);
        assert_true(cursor == 0 || bucket + 1 < SCAN_BUCKETS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread),          cmocka_unit_test(test_groups),
        cmocka_unit_test(test_middling_groups), cmocka_unit_test(test_deleted),
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_cursors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
