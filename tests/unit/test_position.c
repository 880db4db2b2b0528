/* Positions: golden vectors, so that no later change moves a key that somebody has stored. They
 * were computed with another implementation of the digests (Python's hashlib). */
#include "shared/error.h"
#include "shared/position.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct vector {
    struct bytes key;
    struct bytes tag;
    uint64_t md5, sha1;
};

#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static const struct vector vectors[] = {
    {BYTES(""), BYTES(""), 0xd41d8cd98f00b204, 0xda39a3ee5e6b4b0d},
    {BYTES("a"), BYTES("a"), 0x0cc175b9c0f1b6a8, 0x86f7e437faa5a7fc},
    {BYTES("foo"), BYTES("foo"), 0xacbd18db4cc2f85c, 0x0beec7b5ea3f0fdb},
    {BYTES("user1000"), BYTES("user1000"), 0xe1d3b2fc3a15d9a9, 0x712493cbe45532c7},
    {BYTES("{user1000}.following"), BYTES("user1000"), 0xe1d3b2fc3a15d9a9, 0x712493cbe45532c7},
    {BYTES("{}x"), BYTES("{}x"), 0x43e819cfbef2c8fc, 0x3ea645da8b9c23cf},
    {BYTES("{}{a}"), BYTES("{}{a}"), 0xc086691f4de73051, 0x90ab75725fdfb8eb},
    {BYTES("{a}b"), BYTES("a"), 0x0cc175b9c0f1b6a8, 0x86f7e437faa5a7fc},
    {BYTES("a{b}c{d}"), BYTES("b"), 0x92eb5ffee6ae2fec, 0xe9d71f5ee7c92d6d},
    {BYTES("{"), BYTES("{"), 0xf95b70fdc3088560, 0x60ba4b2daa4ed4d0},
    {BYTES("}{"), BYTES("}{"), 0x19b5cde94df70d5d, 0x4e83359096bfb154},
    {BYTES("{{a}}"), BYTES("{a"), 0xbc119e029e13a93f, 0x18e3835752c18652},
    {BYTES("{a"), BYTES("{a"), 0xbc119e029e13a93f, 0x18e3835752c18652},
    {BYTES("a}"), BYTES("a}"), 0x98dee97a4a4b0384, 0xf9ea4e5ae089ce51},
    {BYTES("a\0b"), BYTES("a\0b"), 0x70350f6027bce371, 0x4a3dec2d1f824528},
    {BYTES("\0{\0}\0"), BYTES("\0"), 0x93b885adfe0da089, 0x5ba93c9db0cff93f},
};

enum { VECTOR_COUNT = sizeof(vectors) / sizeof(vectors[0]) };

static void test_vectors(void **state)
{
    struct positioner *md5 = positioner_new(POSITION_MD5);
    struct positioner *sha1 = positioner_new(POSITION_SHA1);

    (void)state;
    assert_non_null(md5);
    assert_non_null(sha1);
    for (int i = 0; i < VECTOR_COUNT; i++) {
        assert_true(position_of(md5, vectors[i].key) == vectors[i].md5);
        assert_true(position_of(sha1, vectors[i].key) == vectors[i].sha1);
    }
    positioner_free(md5);
    positioner_free(sha1);
}

static void test_long_key(void **state)
{
    struct positioner *md5 = positioner_new(POSITION_MD5);
    struct positioner *sha1 = positioner_new(POSITION_SHA1);
    uint8_t key[496];

    (void)state;
    assert_non_null(md5);
    assert_non_null(sha1);
    memset(key, 'x', sizeof(key));
    assert_true(position_of(md5, bytes_of(key, sizeof(key))) == 0x6c677d2e85387b27);
    assert_true(position_of(sha1, bytes_of(key, sizeof(key))) == 0x70be3967cac4f338);
    positioner_free(md5);
    positioner_free(sha1);
}

/* The tag must be cut by size, as keys are not terminated. */
static void test_tags(void **state)
{
    (void)state;
    for (int i = 0; i < VECTOR_COUNT; i++)
        assert_true(bytes_equal(position_tag(vectors[i].key), vectors[i].tag));
    assert_true(bytes_equal(position_tag(bytes_of("{a}", 2)), bytes_of("{a", 2)));
    assert_true(bytes_equal(position_tag(bytes_of("x{a}", 1)), bytes_of("x", 1)));
    assert_int_equal(position_tag(bytes_of(NULL, 0)).size, 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(position_hash_name(POSITION_MD5), "md5");
    assert_string_equal(position_hash_name(POSITION_SHA1), "sha1");
    assert_null(position_hash_name((enum position_hash)0));
    assert_null(position_hash_name((enum position_hash)3));
    assert_null(position_hash_name((enum position_hash) - 1));
    assert_int_equal(position_hash_from_name("md5"), POSITION_MD5);
    assert_int_equal(position_hash_from_name("sha1"), POSITION_SHA1);
    assert_int_equal(position_hash_from_name("MD5"), RK_INVALID);
    assert_int_equal(position_hash_from_name(""), RK_INVALID);
    assert_null(positioner_new((enum position_hash)0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_long_key),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
