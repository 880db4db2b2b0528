/* When two replicas have proven the same. */
#include "shared/message.h"
#include "shared/proof.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { VIEW = 7, SIZE = PROOF_HEAD_SIZE + PROOF_VERSION_SIZE };

/* A proof of one key, and another one behind it that is the same in all. */
struct proof {
    uint8_t bytes[SIZE + PROOF_VERSION_SIZE];
};

static struct proof proof_of(uint64_t view, uint64_t op, uint64_t of_view, uint64_t of_op)
{
    struct proof p = {{0}};

    proof_put_head(p.bytes, view, op);
    proof_put_version(p.bytes + PROOF_HEAD_SIZE, of_view, of_op);
    proof_put_version(p.bytes + SIZE, 1, 1);
    return p;
}

static bool agree(const struct proof *a, const struct proof *b)
{
    struct bytes of_value = bytes_of(a->bytes, sizeof(a->bytes));
    struct bytes of_versions = bytes_of(b->bytes, sizeof(b->bytes));

    return proof_same_state(of_value, of_versions) && proof_same_records(of_value, of_versions);
}

static void test_views(void **state)
{
    struct proof a = proof_of(VIEW, 5, VIEW, 3), b = proof_of(VIEW - 1, 5, VIEW, 3);

    (void)state;
    assert_true(agree(&a, &a));
    assert_false(agree(&a, &b));
    for (size_t size = 0; size < sizeof(a.bytes); size++) {
        assert_int_equal(proof_same_state(bytes_of(a.bytes, size), bytes_of(a.bytes, size)),
                         size == PROOF_HEAD_SIZE || size == SIZE);
        assert_false(proof_same_state(bytes_of(a.bytes, sizeof(a.bytes)), bytes_of(a.bytes, size)));
    }
}

/* Versions are compared as they are. */
static void test_versions(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 5; at++)
        for (uint64_t version = 0; version < 4; version++) {
            struct proof a = proof_of(VIEW, at, VIEW, 2), b = proof_of(VIEW, 0, VIEW, version);

            assert_int_equal(agree(&a, &b), version == 2);
            b.bytes[SIZE]++;
            assert_false(agree(&a, &b));
        }
}

/* The record is not newer than what the other has not seen changed, and the value's state has all
 * that led there. */
static void test_unchanged(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 5; at++)
        for (uint64_t since = 0; since < 5; since++)
            for (uint64_t version = 0; version <= at; version++)
                for (uint64_t view = VIEW - 1; view <= VIEW + 1; view++) {
                    struct proof a = proof_of(VIEW, at, view, version);
                    struct proof b = proof_of(VIEW, since, PROOF_UNCHANGED, 0);
                    bool old = view < VIEW || (view == VIEW && version <= since);

                    assert_int_equal(agree(&a, &b), old && since <= at);
                }
}

/* Who gives the value has looked for it. */
static void test_value_unchanged(void **state)
{
    struct proof a = proof_of(VIEW, 5, PROOF_UNCHANGED, 0), b = proof_of(VIEW, 5, VIEW, 3);

    (void)state;
    assert_false(agree(&a, &b));
    assert_false(agree(&a, &a));
}

/* A replica that stands somewhere tells the same as one that has seen no key change since. */
static void test_within(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 5; at++)
        for (uint64_t since = 0; since < 5; since++)
            for (uint64_t version = 0; version <= at; version++)
                for (uint64_t view = VIEW - 1; view <= VIEW + 1; view++) {
                    struct proof a = proof_of(VIEW, at, view, version);
                    struct proof b = proof_of(VIEW, since, PROOF_UNCHANGED, 0);
                    struct bytes of_value = bytes_of(a.bytes, sizeof(a.bytes));

                    assert_int_equal(proof_is_within(of_value, VIEW, since), agree(&a, &b));
                    assert_false(proof_is_within(of_value, VIEW + 1, since));
                    assert_false(proof_is_within(of_value, VIEW - 1, since));
                    assert_false(proof_is_within(bytes_of(a.bytes, 8), VIEW, since));
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),     cmocka_unit_test(test_versions),
        cmocka_unit_test(test_unchanged), cmocka_unit_test(test_value_unchanged),
        cmocka_unit_test(test_within),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
