#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/tree_order.h"
#include "tests/unit/store_support.h"
#include <string.h>

/* Keys of which many pairs agree in their first 8 bytes, or in all of the shorter one. */
static const struct {
    const char *bytes;
    size_t size;
} keys[] = {
    {"", 0},
    {"\0", 1},
    {"\0\0\0\0\0\0\0", 7},
    {"\0\0\0\0\0\0\0\0", 8},
    {"\0\0\0\0\0\0\0\0\0", 9},
    {"\0\0\0\0\0\0\0\1", 8},
    {"\1\0\0\0\0\0\0\0", 8},
    {"\1\0\0\0\0\0\0\0a", 9},
    {"\1\0\0\0\0\0\0\0ab", 10},
    {"\1\0\0\0\0\0\0\0b", 9},
    {"\177\377\377\377\377\377\377\377", 8},
    {"\200\0\0\0\0\0\0", 7},
    {"\200\0\0\0\0\0\0\0", 8},
    {"\200\0\0\0\0\0\0\0\177", 9},
    {"\200\0\0\0\0\0\0\0\200", 9},
    {"\377\377\377\377\377\377\377\377", 8},
    {"\377\377\377\377\377\377\377\377\377", 9},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

/* LMDB's own function and ours agree about every pair, and with the list above. */
static void test_order(void **state)
{
    char *folder = test_folder_new();
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;

    (void)state;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, folder, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &table), 0);
    for (int i = 0; i < KEYS; i++)
        for (int j = 0; j < KEYS; j++) {
            MDB_val a = {keys[i].size, (void *)keys[i].bytes};
            MDB_val b = {keys[j].size, (void *)keys[j].bytes};

            assert_int_equal(sign(tree_order(&a, &b)), sign(i - j));
            assert_int_equal(sign(mdb_cmp(txn, table, &a, &b)), sign(i - j));
        }
    mdb_txn_abort(txn);
    mdb_env_close(env);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
