/* The longest common subsequence: its length against a search through all subsequences, its text
 * and its matches against each other, and Redis's own examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/lcs.h"
#include "tests/unit/execute_rig.h"

struct matches {
    struct lcs_match match[16];
    size_t count;
    size_t stop_after;
};

static int add_match(void *arg, const struct lcs_match *match)
{
    struct matches *m = arg;

    assert_true(m->count < 16);
    m->match[m->count++] = *match;
    return m->count == m->stop_after ? 5 : 0;
}

static bool contains(struct bytes in, uint32_t chosen, struct bytes from)
{
    size_t at = 0;

    for (size_t i = 0; i < from.size; i++) {
        if (!(chosen >> i & 1))
            continue;
        while (at < in.size && in.data[at] != from.data[i])
            at++;
        if (at++ == in.size)
            return false;
    }
    return true;
}

static uint32_t length_slowly(struct bytes a, struct bytes b)
{
    uint32_t longest = 0;

    for (uint32_t chosen = 0; chosen < 1u << a.size; chosen++) {
        uint32_t size = (uint32_t)__builtin_popcount(chosen);

        if (size > longest && contains(b, chosen, a))
            longest = size;
    }
    return longest;
}

/* The matches put together are the text. */
static void check(struct bytes a, struct bytes b)
{
    struct matches m = {0};
    uint8_t text[16], joined[16];
    struct lcs l;
    size_t at;

    assert_int_equal(lcs_begin(&l, a, b), 0);
    at = lcs_length(&l);
    assert_int_equal(at, length_slowly(a, b));
    lcs_text(&l, text);
    assert_int_equal(lcs_matches(&l, 0, add_match, &m), 0);
    for (size_t i = 0; i < m.count; i++) {
        const struct lcs_match *match = &m.match[i];
        size_t size = match->a_last - match->a_first + 1;

        assert_int_equal(match->b_last - match->b_first + 1, size);
        assert_memory_equal(a.data + match->a_first, b.data + match->b_first, size);
        assert_true(i == 0 || match->a_last < match[-1].a_first);
        assert_true(i == 0 || match->b_last < match[-1].b_first);
        at -= size;
        memcpy(joined + at, a.data + match->a_first, size);
    }
    assert_int_equal(at, 0);
    if (lcs_length(&l))
        assert_memory_equal(joined, text, lcs_length(&l));
    lcs_free(&l);
}

static void test_all_short_values(void **state)
{
    uint8_t a[6], b[6];
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t a_size, b_size;

        for (int i = 0; i < 6; i++) {
            random = random * 1664525 + 1013904223;
            a[i] = (uint8_t)('a' + (random >> 24) % 3);
            b[i] = (uint8_t)('a' + (random >> 16) % 3);
        }
        a_size = (random >> 8) % 7;
        b_size = (random >> 11) % 7;
        check(bytes_of(a, a_size), bytes_of(b, b_size));
    }
}

static void test_matches(void **state)
{
    struct bytes a = bytes_from("ohmytext"), b = bytes_from("mynewtext");
    struct matches m = {0}, long_ones = {0}, one = {.stop_after = 1};
    uint8_t text[6];
    struct lcs l;

    (void)state;
    assert_int_equal(lcs_begin(&l, a, b), 0);
    assert_int_equal(lcs_length(&l), 6);
    lcs_text(&l, text);
    assert_memory_equal(text, "mytext", 6);
    assert_int_equal(lcs_matches(&l, 0, add_match, &m), 0);
    assert_int_equal(m.count, 2);
    assert_memory_equal(&m.match[0], (&(struct lcs_match){4, 7, 5, 8}), sizeof(struct lcs_match));
    assert_memory_equal(&m.match[1], (&(struct lcs_match){2, 3, 0, 1}), sizeof(struct lcs_match));
    assert_int_equal(lcs_matches(&l, 4, add_match, &long_ones), 0);
    assert_int_equal(long_ones.count, 1);
    assert_int_equal(lcs_matches(&l, 0, add_match, &one), 5);
    assert_int_equal(one.count, 1);
    lcs_free(&l);
}

static void test_too_large(void **state)
{
    static const uint8_t large[1 << 13];
    struct lcs l;

    (void)state;
    assert_int_equal(lcs_begin(&l, bytes_of(large, sizeof(large)), bytes_of(large, sizeof(large))),
                     RK_TOOBIG);
    lcs_free(&l);
    assert_int_equal(lcs_begin(&l, bytes_of(large, SIZE_MAX), bytes_of(large, 1)), RK_TOOBIG);
    lcs_free(&l);
}

/* --- the operation -------------------------------------------------------------------------- */

static struct reply ask(int64_t flags, int64_t shortest)
{
    begin();
    add_key("a");
    add_key("b");
    add_integer(flags);
    add_integer(shortest);
    return read_op(OP_LCS);
}

static void test_operation(void **state)
{
    struct reply reply;

    (void)state;
    assert_int_equal(ask(LCS_LENGTH, 0).integer, 0);
    assert_int_equal(ask(0, 0).data.size, 0);
    assert_int_equal(ask(LCS_RANGES, 0).data.size, 4);
    plant("a", "ohmytext", 0, false);
    plant("b", "mynewtext", 0, false);
    assert_true(bytes_equal(ask(0, 0).data, bytes_from("mytext")));
    assert_int_equal(ask(LCS_LENGTH, 0).integer, 6);
    reply = ask(LCS_RANGES, 4);
    assert_int_equal(reply.data.size, 4 + 16);
    assert_int_equal(wire_get_u32(reply.data.data), 6);
    assert_int_equal(wire_get_u32(reply.data.data + 4), 4);
    assert_int_equal(wire_get_u32(reply.data.data + 16), 8);
    level = LEVEL_VERSION;
    assert_int_equal(ask(0, 0).proof.size, PROOF_HEAD_SIZE + 2 * PROOF_VERSION_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_short_values),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test_setup_teardown(test_operation, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
