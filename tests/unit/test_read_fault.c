/* A page of a tree that the disk cannot give: a file that was cut short under a process stands for
 * it, as the kernel sends the same signal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/read_fault.h"
#include "node/tree.h"
#include "shared/log.h"
#include "shared/wire.h"
#include "tests/unit/store_support.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 1000, KEY_SIZE = 16, PAGE_SIZE = 4096 };

static char folder[512], tree_path[600];

static struct bytes key_of(unsigned number, uint8_t key[KEY_SIZE])
{
    wire_put_position(key, number * (UINT64_MAX / KEYS));
    wire_put_position(key + 8, number);
    return bytes_of(key, KEY_SIZE);
}

static int start(void **state)
{
    char why[STORE_WHY_SIZE];
    struct store_disk_options options;
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    snprintf(tree_path, sizeof(tree_path), "%s/tree", folder);
    options = test_options(folder);
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t key[KEY_SIZE];
        struct store_change change = {STORE_PUT, key_of(i, key), {.value = bytes_from("value")}};
        struct store_batch batch = {.changes = &change, .change_count = 1};
        uint64_t position;

        assert_int_equal(store_apply(s, &batch, &position), 0);
    }
    test_write_down(s);
    store_close(s);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    test_folder_remove(folder);
    return 0;
}

/* Reads in a process of its own, which ends. */
static void read_after_the_end(void)
{
    char path[600], why[STORE_WHY_SIZE];
    struct store_record record;
    uint8_t key[KEY_SIZE];
    struct tree tree;

    snprintf(path, sizeof(path), "%s/said", folder);
    log_open("test", path, LOG_ERROR);
    read_fault_catch();
    if (tree_open(&tree, folder, 1 << 20, &store_files_real, why, sizeof(why)) != 0 ||
        tree_get(&tree, key_of(0, key), &record) != 0 || truncate(tree_path, 2 * PAGE_SIZE) != 0)
        _exit(3);
    for (unsigned i = 0; i < KEYS; i++)
        (void)tree_get(&tree, key_of(i, key), &record);
    _exit(4);
}

static void read_elsewhere(void)
{
    int fd = fileno(tmpfile());
    volatile const uint8_t *map;

    read_fault_catch();
    if (ftruncate(fd, PAGE_SIZE) != 0)
        _exit(3);
    map = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED || ftruncate(fd, 0) != 0)
        _exit(3);
    _exit(map[0] ? 4 : 5);
}

static int status_of(void (*run)(void))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0)
        run();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_the_log_says_which_file(void **state)
{
    int status = status_of(read_after_the_end);
    char path[600];
    uint8_t *said;
    size_t size;

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    snprintf(path, sizeof(path), "%s/said", folder);
    said = test_file_read(path, &size);
    said[size] = 0;
    assert_non_null(strstr((char *)said, tree_path));
    assert_non_null(strstr((char *)said, "ringctl replace"));
    free(said);
}

static void test_other_memory_is_not_taken_for_it(void **state)
{
    int status = status_of(read_elsewhere);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_log_says_which_file, start, finish),
        cmocka_unit_test_setup_teardown(test_other_memory_is_not_taken_for_it, start, finish),
    };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 77; /* they have the signal for themselves */
#endif
    if (!tree_pages_known())
        return 77; /* where the map lies is not known */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
