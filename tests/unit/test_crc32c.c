/* The module is compiled into this file, to reach both of its ways. */
#include "shared/crc32c.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One bit at a time, as the polynomial division is defined. */
static uint32_t crc32c_reference(uint32_t crc, const uint8_t *at, size_t size)
{
    crc = ~crc;
    for (; size; size--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* RFC 3720, appendix B.4, and the check value that catalogues of CRCs give. */
static void test_vectors(void **state)
{
    static const uint8_t read_10[48] = {
        [0] = 0x01,  [1] = 0xc0,  [16] = 0x14, [22] = 0x04,
        [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
    };
    uint8_t block[32];

    (void)state;
    memset(block, 0, sizeof(block));
    assert_int_equal(crc32c(0, block, sizeof(block)), 0x8a9136aa);
    memset(block, 0xff, sizeof(block));
    assert_int_equal(crc32c(0, block, sizeof(block)), 0x62a8ab43);
    for (uint8_t i = 0; i < sizeof(block); i++)
        block[i] = i;
    assert_int_equal(crc32c(0, block, sizeof(block)), 0x46dd794e);
    for (uint8_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, block, sizeof(block)), 0x113fdb5c);
    assert_int_equal(crc32c(0, read_10, sizeof(read_10)), 0xd9963a56);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0xe3069283, "", 0), 0xe3069283);
}

static void bytes_fill(uint8_t *to, size_t size)
{
    uint32_t x = 12345;

    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        to[i] = (uint8_t)(x >> 24);
    }
}

enum { SIZE_MOST = 300, OFFSETS = 8 };

static void test_table(void **state)
{
    uint8_t data[SIZE_MOST + OFFSETS];

    (void)state;
    bytes_fill(data, sizeof(data));
    for (size_t offset = 0; offset < OFFSETS; offset++)
        for (size_t size = 0; size <= SIZE_MOST; size++)
            assert_int_equal((uint32_t)~crc32c_table(0xffffffff, data + offset, size),
                             crc32c_reference(0, data + offset, size));
}

static void test_instruction(void **state)
{
    (void)state;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        uint8_t data[SIZE_MOST + OFFSETS];

        bytes_fill(data, sizeof(data));
        for (size_t offset = 0; offset < OFFSETS; offset++)
            for (size_t size = 0; size <= SIZE_MOST; size++)
                assert_int_equal((uint32_t)~crc32c_sse42(0xffffffff, data + offset, size),
                                 crc32c_reference(0, data + offset, size));
        return;
    }
#endif
    skip();
}

static void test_continues(void **state)
{
    uint8_t data[SIZE_MOST];

    (void)state;
    bytes_fill(data, sizeof(data));

    uint32_t whole = crc32c_reference(0, data, sizeof(data));

    for (size_t cut = 0; cut <= sizeof(data); cut++)
        assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, sizeof(data) - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_instruction),
        cmocka_unit_test(test_continues),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
