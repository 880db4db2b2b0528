#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/ring.h"
#include "shared/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d >> 16;
}

static void fill_member(struct ring_member *m, uint32_t i, uint32_t zones)
{
    wire_put_u32(m->identity, i + 1);
    m->number = (uint16_t)(2 * i + 1);
    m->port = 7000;
    m->shards = 2;
    m->weight = 100;
    snprintf(m->name, sizeof(m->name), "n%u", (unsigned)i);
    snprintf(m->host, sizeof(m->host), "10.0.%u.%u", (unsigned)(i / 256), (unsigned)(i % 256));
    if (zones)
        snprintf(m->zone, sizeof(m->zone), "z%u", (unsigned)(i % zones));
}

/* Filled in, not finished; member i owns the partitions i, i + members, ... */
static struct ring *make(uint32_t members, uint8_t bits, uint8_t replicas, uint32_t zones)
{
    struct ring *r = ring_new(members, bits);

    assert_non_null(r);
    r->cluster[3] = 7;
    r->epoch = 5;
    r->hash = POSITION_MD5;
    r->replicas = replicas;
    r->next_number = (uint16_t)(2 * members + 1);
    for (uint32_t i = 0; i < members; i++)
        fill_member(&r->members[i], i, zones);
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        r->owners[p] = (uint16_t)(p % members);
    return r;
}

static struct ring *make_finished(uint32_t members, uint8_t bits, uint8_t replicas, uint32_t zones)
{
    struct ring *r = make(members, bits, replicas, zones);
    char why[256] = "";

    if (ring_finish(r, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return r;
}

static void owners_are(struct ring *r, const char *letters)
{
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        r->owners[p] = (uint16_t)(letters[p] - 'a');
}

static void replicas_are(const struct ring *r, uint32_t partition, const char *letters)
{
    const struct ring_replicas *set = ring_replicas(r, partition);

    assert_int_equal(set->count, strlen(letters));
    for (uint16_t i = 0; i < set->count; i++)
        assert_int_equal(set->member[i], letters[i] - 'a');
}

static void test_positions(void **state)
{
    struct ring *r = make_finished(3, 10, 3, 0);
    struct ring *one = make_finished(1, 0, 3, 0);
    struct ring *most = make_finished(1, PARTITION_BITS_MAX, 3, 0);

    (void)state;
    assert_true(ring_first_position(r, 0) == 0);
    assert_true(ring_last_position(r, 0) == 0x003fffffffffffff);
    assert_true(ring_first_position(r, 1) == 0x0040000000000000);
    assert_true(ring_last_position(r, 1023) == UINT64_MAX);
    for (uint32_t p = 0; p < 1024; p++) {
        assert_int_equal(ring_partition(r, ring_first_position(r, p)), p);
        assert_int_equal(ring_partition(r, ring_last_position(r, p)), p);
    }
    assert_true(ring_first_position(one, 0) == 0);
    assert_true(ring_last_position(one, 0) == UINT64_MAX);
    assert_int_equal(ring_partition(one, UINT64_MAX), 0);
    assert_int_equal(ring_partition(most, UINT64_MAX), 65535);
    assert_int_equal(ring_partition(most, 0x1234ffffffffffff), 0x1234);
    ring_free(r);
    ring_free(one);
    ring_free(most);
}

static void test_walk_without_zones(void **state)
{
    struct ring *r = make(4, 3, 3, 0);

    (void)state;
    owners_are(r, "aabacadb");
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    replicas_are(r, 0, "abc");
    replicas_are(r, 1, "abc");
    replicas_are(r, 2, "bac");
    replicas_are(r, 3, "acd");
    replicas_are(r, 4, "cad");
    replicas_are(r, 5, "adb");
    replicas_are(r, 6, "dba"); /* around the end */
    replicas_are(r, 7, "bac");
    ring_free(r);
}

/* a and d are in one zone, b in another, c in a third. */
static void test_walk_with_zones(void **state)
{
    struct ring *r = make(4, 3, 3, 3);

    (void)state;
    owners_are(r, "adbdcabd");
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    replicas_are(r, 0, "abc"); /* d's zone is taken, and there are others */
    replicas_are(r, 1, "dbc");
    replicas_are(r, 4, "cab");
    replicas_are(r, 7, "dbc");
    ring_free(r);

    /* Two zones, {a, c} and {b, d}: the third comes from where the walk passed over it. */
    r = make(4, 3, 3, 2);
    owners_are(r, "accabdbd");
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    replicas_are(r, 0, "abc");
    replicas_are(r, 1, "cba");
    replicas_are(r, 3, "abd");
    replicas_are(r, 4, "bad");
    replicas_are(r, 5, "dab");
    ring_free(r);
}

static void test_fewer_owners_than_replicas(void **state)
{
    struct ring *r = make(3, 2, 5, 0);

    (void)state;
    owners_are(r, "abab");
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    replicas_are(r, 0, "ab"); /* c owns nothing, so nobody meets it */
    replicas_are(r, 3, "ba");
    owners_are(r, "abca");
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    replicas_are(r, 1, "bca");
    ring_free(r);

    r = make_finished(2, 0, 3, 0);
    replicas_are(r, 0, "a");
    ring_free(r);
}

static bool naive_taken(const struct ring_replicas *set, uint16_t member)
{
    for (uint16_t i = 0; i < set->count; i++)
        if (set->member[i] == member)
            return true;
    return false;
}

static bool naive_zone_taken(const struct ring *r, const struct ring_replicas *set, uint16_t member)
{
    for (uint16_t i = 0; i < set->count; i++)
        if (strcmp(r->members[set->member[i]].zone, r->members[member].zone) == 0)
            return true;
    return false;
}

/* The definition in ring.h, word by word. */
static struct ring_replicas naive_replicas(const struct ring *r, uint32_t partition)
{
    uint32_t count = ring_partitions(r);
    struct ring_replicas set = {0};

    for (uint32_t i = 0; i < count && set.count < r->replicas; i++) {
        uint16_t member = r->owners[(partition + i) % count];

        if (!naive_zone_taken(r, &set, member))
            set.member[set.count++] = member;
    }
    for (uint32_t i = 0; i < count && set.count < r->replicas; i++) {
        uint16_t member = r->owners[(partition + i) % count];

        if (!naive_taken(&set, member))
            set.member[set.count++] = member;
    }
    return set;
}

static void test_walk_is_as_defined(void **state)
{
    uint64_t random = 88172645463325252;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        uint32_t members = 1 + (uint32_t)(random_next(&random) % 12);
        uint8_t bits = (uint8_t)(random_next(&random) % 7);
        uint8_t replicas = (uint8_t)(1 + random_next(&random) % REPLICAS_MAX);
        uint32_t zones = (uint32_t)(random_next(&random) % 6);
        struct ring *r = make(members, bits, replicas, zones);

        for (uint32_t p = 0; p < ring_partitions(r); p++) {
            uint64_t few = 1 + random_next(&random) % members;

            r->owners[p] = (uint16_t)(random_next(&random) % few);
        }
        assert_int_equal(ring_finish(r, NULL, 0), 0);
        for (uint32_t p = 0; p < ring_partitions(r); p++) {
            struct ring_replicas expected = naive_replicas(r, p);

            assert_int_equal(ring_replicas(r, p)->count, expected.count);
            assert_memory_equal(ring_replicas(r, p)->member, expected.member,
                                expected.count * sizeof(expected.member[0]));
        }
        ring_free(r);
    }
}

static void test_members(void **state)
{
    struct ring *r = make_finished(300, 10, 3, 0);
    uint8_t identity[IDENTITY_SIZE] = {0};

    (void)state;
    for (int i = 0; i < 300; i++) {
        assert_int_equal(ring_member_by_identity(r, r->members[i].identity), i);
        assert_int_equal(ring_member_by_name(r, r->members[i].name), i);
        assert_int_equal(ring_member_by_number(r, r->members[i].number), i);
        assert_int_equal(ring_member_by_number(r, (uint16_t)(r->members[i].number - 1)), -1);
    }
    assert_int_equal(ring_member_by_number(r, 601), -1);
    assert_int_equal(ring_member_by_name(r, "n300"), -1);
    assert_int_equal(ring_member_by_name(r, ""), -1);
    assert_int_equal(ring_member_by_identity(r, identity), -1);
    ring_free(r);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(ring_name_valid("a"));
    assert_true(ring_name_valid("rack-1_B.example"));
    assert_true(ring_name_valid("12345678901234567890123456789012"));
    assert_false(ring_name_valid("123456789012345678901234567890123"));
    assert_false(ring_name_valid(""));
    assert_false(ring_name_valid("a b"));
    assert_false(ring_name_valid("a/b"));
    assert_false(ring_name_valid("a\n"));
    assert_false(ring_name_valid("\xc3\xa9"));
}

/* One thing wrong with a ring of four members, each in its zone, and 16 partitions. */
#define FLAWS(X)                                                                                \
    X(no_cluster, memset(r->cluster, 0, IDENTITY_SIZE))                                         \
    X(no_epoch, r->epoch = 0)                                                                   \
    X(no_hash, r->hash = (enum position_hash)0)                                                 \
    X(other_hash, r->hash = (enum position_hash)3)                                              \
    X(no_replicas, r->replicas = 0)                                                             \
    X(many_replicas, r->replicas = REPLICAS_MAX + 1)                                            \
    X(no_members, r->member_count = 0)                                                          \
    X(number_0, r->members[0].number = 0)                                                       \
    X(number_twice, r->members[1].number = r->members[0].number)                                \
    X(number_descends, r->members[2].number = 2)                                                \
    X(number_not_below_next, r->next_number = r->members[3].number)                             \
    X(no_identity, memset(r->members[1].identity, 0, IDENTITY_SIZE))                            \
    X(identity_twice, memcpy(r->members[3].identity, r->members[0].identity, IDENTITY_SIZE))    \
    X(no_name, r->members[1].name[0] = '\0')                                                    \
    X(bad_name, strcpy(r->members[1].name, "a b"))                                              \
    X(endless_name, memset(r->members[1].name, 'a', NAME_SIZE_MAX + 1))                         \
    X(name_twice, strcpy(r->members[3].name, r->members[1].name))                               \
    X(bad_zone, strcpy(r->members[1].zone, "/"))                                                \
    X(endless_zone, memset(r->members[1].zone, 'a', NAME_SIZE_MAX + 1))                         \
    X(zone_missing, r->members[3].zone[0] = '\0')                                               \
    X(first_zone_missing, r->members[0].zone[0] = '\0')                                         \
    X(no_host, r->members[1].host[0] = '\0')                                                    \
    X(bad_host, strcpy(r->members[1].host, "a b"))                                              \
    X(endless_host, memset(r->members[1].host, 'a', HOST_SIZE_MAX + 1))                         \
    X(address_twice, strcpy(r->members[3].host, r->members[0].host))                            \
    X(address_twice_in_capitals,                                                                \
      (strcpy(r->members[3].host, "node.EXAMPLE"), strcpy(r->members[0].host, "Node.example"))) \
    X(port_0, r->members[2].port = 0)                                                           \
    X(no_shards, r->members[2].shards = 0)                                                      \
    X(many_shards, r->members[2].shards = SHARDS_MAX + 1)                                       \
    X(no_weight, r->members[2].weight = 0)                                                      \
    X(much_weight, r->members[2].weight = WEIGHT_MAX + 1)                                       \
    X(owner_outside, r->owners[15] = 4)

#define X(name, change)                     \
    static void flaw_##name(struct ring *r) \
    {                                       \
        (void)(change);                     \
    }
FLAWS(X)
#undef X

struct flaw {
    const char *name;
    void (*make)(struct ring *r);
};

static const struct flaw flaws[] = {
#define X(name, change) {#name, flaw_##name},
    FLAWS(X)
#undef X
};

static void test_flaws_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
        struct ring *r = make_finished(4, 4, 3, 4);
        char why[256] = "";

        flaws[i].make(r);
        if (ring_finish(r, why, sizeof(why)) != RK_INVALID)
            fail_msg("not refused: %s", flaws[i].name);
        if (why[0] == '\0')
            fail_msg("no reason given: %s", flaws[i].name);
        assert_int_equal(ring_finish(r, NULL, 0), RK_INVALID);
        assert_int_equal(ring_finish(r, why, 5), RK_INVALID);
        assert_int_equal(strlen(why), 4);
        ring_free(r);
    }
}

/* What looks wrong and is not. */
static void test_allowed(void **state)
{
    struct ring *r = make(4, 4, REPLICAS_MAX, 4);

    (void)state;
    strcpy(r->members[3].host, r->members[0].host);
    r->members[3].port++;
    strcpy(r->members[3].zone, r->members[0].name);
    strcpy(r->members[2].host, "fe80::1%eth0");
    r->members[1].weight = WEIGHT_MAX;
    r->members[1].shards = SHARDS_MAX;
    r->next_number = UINT16_MAX;
    r->members[3].number = UINT16_MAX - 1;
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    ring_free(r);
}

static struct ring *decode(const struct buf *b)
{
    struct ring *r;
    char why[256] = "";

    if (ring_decode(buf_bytes(b), &r, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return r;
}

static void rings_equal(const struct ring *a, const struct ring *b)
{
    assert_memory_equal(a->cluster, b->cluster, IDENTITY_SIZE);
    assert_true(a->epoch == b->epoch);
    assert_int_equal(a->hash, b->hash);
    assert_int_equal(a->bits, b->bits);
    assert_int_equal(a->replicas, b->replicas);
    assert_int_equal(a->next_number, b->next_number);
    assert_int_equal(a->member_count, b->member_count);
    assert_memory_equal(a->members, b->members, a->member_count * sizeof(a->members[0]));
    assert_memory_equal(a->owners, b->owners, ring_partitions(a) * sizeof(a->owners[0]));
    assert_memory_equal(a->sets, b->sets, ring_partitions(a) * sizeof(a->sets[0]));
}

static void round_trip(struct ring *r)
{
    struct buf out = {0};
    struct ring *back;

    assert_int_equal(buf_append(&out, "before", 6), 0);
    assert_int_equal(ring_encode(r, &out), 0);
    assert_memory_equal(buf_head(&out), "before", 6);
    buf_consume(&out, 6);
    assert_true(buf_len(&out) <= RING_ENCODED_MAX);
    back = decode(&out);
    rings_equal(r, back);
    ring_free(back);
    ring_free(r);
    buf_free(&out);
}

static void test_round_trip(void **state)
{
    struct ring *r = make(3, 6, 3, 2);

    (void)state;
    round_trip(make_finished(1, 0, 1, 0));
    round_trip(make_finished(5, 10, 3, 3));
    round_trip(make_finished(MEMBERS_MAX, PARTITION_BITS_MAX, REPLICAS_MAX, 7));
    r->epoch = UINT64_MAX;
    r->hash = POSITION_SHA1;
    r->next_number = UINT16_MAX;
    memset(r->members[1].name, 'n', NAME_SIZE_MAX);
    memset(r->members[1].zone, 'z', NAME_SIZE_MAX);
    memset(r->members[1].host, 'h', HOST_SIZE_MAX);
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    round_trip(r);
}

/* The bytes themselves, so that a change of the format does not go unnoticed: a ring that one
 * version wrote is read by the next. */
static void test_golden_bytes(void **state)
{
    static const uint8_t golden[] = {
        'R', 'K', 'r',  'g',  2,   0,   0,   0,   0,   0,   0,   7,   0,   0,   0,    0,
        0,   0,   0,    0,    0,   0,   0,   0,   5,   0,   0,   0,   0,   0,   0,    0,
        1,   1,   3,    0,    5,   0,   2,   0,   17,  0,   0,   0,   0,   0,   0,    0,
        0,   0,   0,    0,    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0,
        1,   0,   0,    0,    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0,
        1,   0,   0x58, 0x1b, 2,   0,   0,   0,   100, 0,   0,   0,   2,   2,   8,    0,
        'n', '0', 'z',  '0',  '1', '0', '.', '0', '.', '0', '.', '0', 2,   0,   0,    0,
        0,   0,   0,    0,    0,   0,   0,   0,   0,   0,   0,   0,   3,   0,   0x58, 0x1b,
        2,   0,   0,    0,    100, 0,   0,   0,   2,   2,   8,   0,   'n', '1', 'z',  '1',
        '1', '0', '.',  '0',  '.', '0', '.', '1', 0,   0,   1,   0,   1,   0,   0,    0,
        0,   0,   0,    0,    1,   0,   0,   0,   0,   0,   0,   0,   0,
    };
    struct ring *r = make_finished(2, 1, 3, 2);
    struct buf out = {0};

    (void)state;
    assert_int_equal(ring_encode(r, &out), 0);
    assert_int_equal(buf_len(&out), sizeof(golden) + 4);
    assert_memory_equal(buf_head(&out), golden, sizeof(golden));
    assert_int_equal(wire_get_u32(buf_head(&out) + sizeof(golden)),
                     crc32c(0, golden, sizeof(golden)));
    ring_free(r);
    buf_free(&out);
}

static int decode_fails(struct bytes in)
{
    struct ring *r = (struct ring *)&r;
    char why[256] = "";
    int error = ring_decode(in, &r, why, sizeof(why));

    assert_null(r);
    assert_true(why[0]);
    assert_int_equal(ring_decode(in, &r, NULL, 0), error);
    return error;
}

static void test_damage_is_refused(void **state)
{
    struct ring *r = make_finished(3, 4, 3, 3);
    struct buf out = {0};
    uint8_t *copy;
    size_t size;

    (void)state;
    assert_int_equal(ring_encode(r, &out), 0);
    size = buf_len(&out);
    for (size_t cut = 0; cut < size; cut++) {
        /* A block of its own, so that a sanitizer sees any step beyond it. */
        copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, buf_head(&out), cut);
        assert_int_equal(decode_fails(bytes_of(copy, cut)), RK_CORRUPT);
        free(copy);
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        int error;

        buf_head(&out)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        error = decode_fails(buf_bytes(&out));
        assert_int_equal(error, bit / 8 == 4 || bit / 8 == 5 ? RK_VERSION : RK_CORRUPT);
        buf_head(&out)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_int_equal(decode_fails(buf_bytes(&out)), RK_CORRUPT);
    assert_int_equal(decode_fails(bytes_of(NULL, 0)), RK_CORRUPT);
    ring_free(r);
    buf_free(&out);
}

/* Offsets into the encoding of make(2, 4, 3, 2), as ring_format.c describes it. */
enum { FIRST_MEMBER = 64, FIRST_NAME = 96, SECOND_MEMBER = 108, OWNERS = 152 };

/* What a whole but hostile encoding gets: the byte replaced, and the checksum made right. */
static int decode_changed(size_t offset, uint8_t value)
{
    struct ring *r = make_finished(2, 4, 3, 2);
    struct buf out = {0};
    size_t body;
    int error;

    assert_int_equal(ring_encode(r, &out), 0);
    body = buf_len(&out) - 4;
    assert_int_equal(body, OWNERS + 32 + 16 * 8 + 1);
    assert_int_not_equal(buf_head(&out)[offset], value);
    buf_head(&out)[offset] = value;
    wire_put_u32(buf_head(&out) + body, crc32c(0, buf_head(&out), body));
    error = decode_fails(buf_bytes(&out));
    ring_free(r);
    buf_free(&out);
    return error;
}

static void test_hostile_fields_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_changed(0, 'X'), RK_CORRUPT);
    assert_int_equal(decode_changed(4, 1), RK_VERSION);
    assert_int_equal(decode_changed(4, 3), RK_VERSION);
    assert_int_equal(decode_changed(5, 1), RK_VERSION);
    assert_int_equal(decode_changed(6, 1), RK_CORRUPT); /* a change that is not there */
    assert_int_equal(decode_changed(6, 2), RK_VERSION);
    assert_int_equal(decode_changed(35, 1), RK_VERSION);
    for (size_t size = 40; size < 44; size++)
        assert_int_equal(decode_changed(size, 0x80), RK_CORRUPT);
    for (size_t spare = 44; spare < FIRST_MEMBER; spare++)
        assert_int_equal(decode_changed(spare, 0x80), RK_VERSION);
    assert_int_equal(decode_changed(FIRST_MEMBER + 22, 1), RK_VERSION);
    assert_int_equal(decode_changed(FIRST_MEMBER + 31, 1), RK_VERSION);

    assert_int_equal(decode_changed(24, 0), RK_INVALID);    /* epoch */
    assert_int_equal(decode_changed(32, 9), RK_INVALID);    /* hash */
    assert_int_equal(decode_changed(33, 17), RK_INVALID);   /* bits */
    assert_int_equal(decode_changed(33, 0xff), RK_INVALID); /* bits */
    assert_int_equal(decode_changed(33, 16), RK_CORRUPT);   /* more than there is */
    assert_int_equal(decode_changed(33, 3), RK_CORRUPT);    /* less than there is */
    assert_int_equal(decode_changed(34, 0), RK_INVALID);    /* replicas */
    assert_int_equal(decode_changed(34, 8), RK_INVALID);
    assert_int_equal(decode_changed(38, 3), RK_CORRUPT); /* members */
    assert_int_equal(decode_changed(38, 1), RK_CORRUPT);
    assert_int_equal(decode_changed(39, 0xff), RK_INVALID);
    assert_int_equal(decode_changed(FIRST_MEMBER, 0), RK_INVALID);       /* identity 0 */
    assert_int_equal(decode_changed(FIRST_MEMBER, 2), RK_INVALID);       /* identity twice */
    assert_int_equal(decode_changed(FIRST_MEMBER + 16, 3), RK_INVALID);  /* number twice */
    assert_int_equal(decode_changed(FIRST_MEMBER + 24, 0), RK_INVALID);  /* weight */
    assert_int_equal(decode_changed(SECOND_MEMBER + 28, 0), RK_CORRUPT); /* name size */
    assert_int_equal(decode_changed(FIRST_MEMBER + 28, 33), RK_CORRUPT);
    assert_int_equal(decode_changed(FIRST_MEMBER + 29, 0xff), RK_CORRUPT);  /* zone size */
    assert_int_equal(decode_changed(SECOND_MEMBER + 30, 0xff), RK_CORRUPT); /* host size */
    assert_int_equal(decode_changed(FIRST_NAME, 0), RK_CORRUPT);
    assert_int_equal(decode_changed(FIRST_NAME, ' '), RK_INVALID);
    assert_int_equal(decode_changed(FIRST_NAME + 1, '1'), RK_INVALID); /* name twice */
    assert_int_equal(decode_changed(OWNERS, 2), RK_INVALID);
    assert_int_equal(decode_changed(OWNERS + 31, 1), RK_INVALID);
    assert_int_equal(decode_changed(OWNERS + 32, 6), RK_INVALID); /* changed after this epoch */
    assert_int_equal(decode_changed(OWNERS + 32, 0), RK_CORRUPT);
    assert_int_equal(decode_changed(OWNERS + 32 + 128, 1),
                     RK_CORRUPT); /* a log that is not there */
    assert_int_equal(decode_changed(OWNERS + 32 + 128, RING_LOG_MAX + 1), RK_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_walk_without_zones),
        cmocka_unit_test(test_walk_with_zones),
        cmocka_unit_test(test_fewer_owners_than_replicas),
        cmocka_unit_test(test_walk_is_as_defined),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_flaws_are_refused),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_hostile_fields_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
