/* The estimate of INFO keyspace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/keyspace.h"
#include <cmocka.h>

static const struct keyspace nothing = {7, 3};

static struct keyspace estimate(const char *status, uint64_t partitions)
{
    struct keyspace k = nothing;

    assert_true(keyspace_estimate(bytes_from(status), partitions, &k));
    return k;
}

static void refused(const char *status, uint64_t partitions)
{
    struct keyspace k = nothing;

    assert_false(keyspace_estimate(bytes_from(status), partitions, &k));
    assert_int_equal(k.keys, nothing.keys);
    assert_int_equal(k.expiring, nothing.expiring);
}

static void test_a_node_that_has_everything(void **state)
{
    struct keyspace k = estimate("keys=5\nexpiring=2\npartitions_primary=86\n"
                                 "partitions_backup=170\npartitions_behind=0\n",
                                 256);

    (void)state;
    assert_int_equal(k.keys, 5);
    assert_int_equal(k.expiring, 2);
}

static void test_a_node_that_has_a_part(void **state)
{
    /* 64 of 256, each counted once whatever its state. */
    struct keyspace k = estimate("keys=1001\nexpiring=10\npartitions_primary=20\n"
                                 "partitions_backup=20\npartitions_behind=20\n"
                                 "partitions_transfer=3\npartitions_idle=1\n"
                                 "partitions_learning=100\n",
                                 256);

    (void)state;
    assert_int_equal(k.keys, 4004);
    assert_int_equal(k.expiring, 40);
    k = estimate("keys=1\npartitions_primary=3\n", 16);
    assert_int_equal(k.keys, 5); /* 5.33 */
    k = estimate("keys=2\npartitions_primary=3\n", 16);
    assert_int_equal(k.keys, 11); /* 10.67 */
    k = estimate("keys=0\npartitions_primary=3\n", 16);
    assert_int_equal(k.keys, 0);
}

static void test_nonsense(void **state)
{
    (void)state;
    refused("", 256);
    refused("keys=5\n", 256);                         /* it has no partitions */
    refused("keys=5\npartitions_primary=257\n", 256); /* more than there are */
    refused("keys=5\npartitions_primary=200\npartitions_backup=57\n", 256);
    refused("keys=18446744073709551615\npartitions_primary=1\n", 256);
    refused("keys=5\nexpiring=6\npartitions_primary=1\n", 256);
    refused("partitions_primary=18446744073709551615\npartitions_backup=2\n", 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_that_has_everything),
        cmocka_unit_test(test_a_node_that_has_a_part),
        cmocka_unit_test(test_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
