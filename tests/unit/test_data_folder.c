/* A node's data folder: whose it is, who uses it, and what a damaged one leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/data_folder.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/file.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char parent[64], folder[96], why[300];

/* A shell command; each %s stands for the parent folder. */
static void run(const char *format)
{
    char command[300];

    snprintf(command, sizeof(command), format, parent, parent, parent);
    assert_int_equal(system(command), 0);
}

static int start(void **state)
{
    (void)state;
    strcpy(parent, "/tmp/ringkv-test-folder-XXXXXX");
    assert_non_null(mkdtemp(parent));
    snprintf(folder, sizeof(folder), "%s/data", parent);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    run("rm -rf %s");
    return 0;
}

static int open_folder(struct data_folder *d, uint16_t shards)
{
    int error;

    memset(why, 0, sizeof(why));
    error = data_folder_open(d, folder, shards, why, sizeof(why));
    if (error) {
        /* Whatever it was, the text names the folder, and nothing is held. */
        assert_non_null(strstr(why, folder));
        assert_null(d->path);
        assert_int_equal(d->lock_fd, -1);
    }
    return error;
}

static void make(uint16_t shards, uint8_t identity[IDENTITY_SIZE])
{
    struct data_folder d;

    assert_int_equal(open_folder(&d, shards), 0);
    if (identity)
        memcpy(identity, d.identity, IDENTITY_SIZE);
    data_folder_close(&d);
}

static void read_name(const char *name, struct buf *out)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    *out = (struct buf){0};
    assert_int_equal(file_read(path, 1 << 20, out), 0);
}

static void write_name(const char *name, struct bytes content)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(file_replace(path, content, 0600), 0);
}

/* --- the identity --------------------------------------------------------------------------- */

static void test_new_and_again(void **state)
{
    uint8_t identity[IDENTITY_SIZE], zero[IDENTITY_SIZE] = {0};
    struct data_folder d;
    struct stat found;

    (void)state;
    make(3, identity);
    assert_memory_not_equal(identity, zero, IDENTITY_SIZE);
    assert_int_equal(stat(folder, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    for (uint16_t shards = 0; shards <= 3; shards += 3) {
        assert_int_equal(open_folder(&d, shards), 0);
        assert_int_equal(d.shards, 3);
        assert_memory_equal(d.identity, identity, IDENTITY_SIZE);
        assert_string_equal(d.path, folder);
        data_folder_close(&d);
        data_folder_close(&d);
    }
}

static void test_new_ones_differ(void **state)
{
    uint8_t one[IDENTITY_SIZE], two[IDENTITY_SIZE];

    (void)state;
    make(0, one);
    run("rm -r %s/data");
    make(0, two);
    assert_memory_not_equal(one, two, IDENTITY_SIZE);
}

static void test_shards(void **state)
{
    struct data_folder d;
    char *path, wanted[128];

    (void)state;
    assert_int_equal(open_folder(&d, 0), 0);
    assert_true(d.shards >= 1 && d.shards <= SHARDS_MAX);
    path = data_folder_shard(&d, 12);
    snprintf(wanted, sizeof(wanted), "%s/shard-12", folder);
    assert_string_equal(path, wanted);
    free(path);
    data_folder_close(&d);
    run("rm -r %s/data");

    make(4, NULL);
    assert_int_equal(open_folder(&d, 5), RK_INVALID);
    assert_non_null(strstr(why, "node.shards = 4"));
    make(4, NULL);
    run("rm -r %s/data");
    make(SHARDS_MAX, NULL);
    make(0, NULL);
}

static void check_damaged(struct bytes content)
{
    struct data_folder d;
    struct buf left;
    int error;

    write_name("identity", content);
    error = open_folder(&d, 0);
    if (error != RK_VERSION)
        assert_int_equal(error, RK_CORRUPT);
    /* What cannot be read is not replaced either. */
    read_name("identity", &left);
    assert_true(bytes_equal(buf_bytes(&left), content));
    buf_free(&left);
}

static void test_identity_cut(void **state)
{
    struct buf whole;
    struct data_folder d;

    (void)state;
    make(16, NULL);
    read_name("identity", &whole);
    for (size_t size = 0; size < buf_len(&whole); size++)
        check_damaged(bytes_of(buf_head(&whole), size));
    write_name("identity", buf_bytes(&whole));
    assert_int_equal(open_folder(&d, 16), 0);
    data_folder_close(&d);
    buf_free(&whole);
}

static void test_identity_flipped(void **state)
{
    struct buf whole;

    (void)state;
    make(16, NULL);
    read_name("identity", &whole);
    for (size_t bit = 0; bit < 8 * buf_len(&whole); bit++) {
        buf_head(&whole)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_damaged(buf_bytes(&whole));
        buf_head(&whole)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_free(&whole);
}

static void test_identity_longer(void **state)
{
    struct buf whole;
    char large[1000];
    struct data_folder d;

    (void)state;
    make(16, NULL);
    read_name("identity", &whole);
    assert_int_equal(buf_append(&whole, "\0", 1), 0);
    check_damaged(buf_bytes(&whole));
    buf_head(&whole)[buf_len(&whole) - 1] = '\n';
    check_damaged(buf_bytes(&whole));
    buf_free(&whole);
    memset(large, ' ', sizeof(large));
    write_name("identity", bytes_of(large, sizeof(large)));
    assert_int_equal(open_folder(&d, 0), RK_TOOBIG);
}

/* With a checksum that is right, so that the fields themselves are looked at. */
static int open_written(const char *text)
{
    struct data_folder d;
    char whole[300];
    int error;

    snprintf(whole, sizeof(whole), "%scrc32c %08x\n", text, crc32c(0, text, strlen(text)));
    write_name("identity", bytes_from(whole));
    error = open_folder(&d, 0);
    if (!error)
        data_folder_close(&d);
    return error;
}

#define HEX "00112233445566778899aabbccddeeff"

static void test_identity_fields(void **state)
{
    (void)state;
    make(1, NULL);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "\nshards 1\n"), 0);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "\nshards 64\n"), 0);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "\nshards 65\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "\nshards 0\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "\nshards -1\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "\nshards 65537\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "\nshards 4294967297\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1\nidentity " HEX "00\nshards 1\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1\nidentity 0011\nshards 1\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1 identity " HEX " shards 1\n"), RK_CORRUPT);
    assert_int_equal(open_written("ringnode 1\nshards 1\nidentity " HEX "\n"), RK_CORRUPT);
}

static void test_other_version(void **state)
{
    (void)state;
    make(1, NULL);
    assert_int_equal(open_written("ringnode 2\nidentity " HEX "\nshards 1\n"), RK_VERSION);
    assert_non_null(strstr(why, "format 2"));
    assert_non_null(strstr(why, "format 1"));
    assert_int_equal(open_written("ringnode 2\nwho knows what\n"), RK_VERSION);
    assert_int_equal(open_written("ringproxy 1\n"), RK_CORRUPT);
}

/* --- who uses it ---------------------------------------------------------------------------- */

static void test_in_use(void **state)
{
    struct data_folder one, two;

    (void)state;
    assert_int_equal(open_folder(&one, 2), 0);
    assert_int_equal(open_folder(&two, 2), RK_BUSY);
    assert_non_null(strstr(why, "in use"));
    assert_int_equal(open_folder(&two, 3), RK_BUSY);
    data_folder_close(&one);
    assert_int_equal(open_folder(&two, 2), 0);
    data_folder_close(&two);
}

static void test_unwritable(void **state)
{
    struct data_folder d;

    (void)state;
    /* A file stands there. */
    run("touch %s/data");
    assert_int_equal(open_folder(&d, 1), RK_IO);
    assert_non_null(strstr(why, "Not a directory"));
    /* A file stands in the way. */
    snprintf(folder, sizeof(folder), "%s/data/below", parent);
    assert_int_equal(open_folder(&d, 1), RK_IO);
    snprintf(folder, sizeof(folder), "%s/none/below", parent);
    assert_int_equal(open_folder(&d, 1), RK_IO);
    assert_non_null(strstr(why, "No such file"));
    /* There no file can be made, not even by root. */
    snprintf(folder, sizeof(folder), "/proc/self");
    assert_int_equal(open_folder(&d, 1), RK_IO);
    assert_non_null(strstr(why, "lock"));
}

static void test_not_allowed(void **state)
{
    struct data_folder d;

    (void)state;
    if (geteuid() == 0) {
        skip();
        return;
    }
    assert_int_equal(mkdir(folder, 0500), 0);
    assert_int_equal(open_folder(&d, 1), RK_IO);
    assert_non_null(strstr(why, "Permission denied"));
}

static void test_symlinks(void **state)
{
    struct data_folder d;

    (void)state;
    make(1, NULL);
    /* A lock that stands elsewhere would lock something else. */
    run("rm %s/data/lock && ln -s /tmp/none %s/data/lock");
    assert_int_equal(open_folder(&d, 1), RK_IO);
    assert_non_null(strstr(why, "lock"));
    run("rm %s/data/lock");
    /* The folder itself may be a link, to another disk. */
    run("mv %s/data %s/elsewhere && ln -s elsewhere %s/data");
    assert_int_equal(open_folder(&d, 1), 0);
    data_folder_close(&d);
}

/* Something that is no file bears a name of ours. */
static void test_folders_for_files(void **state)
{
    struct data_folder d;
    struct ring *ring = NULL;

    (void)state;
    assert_int_equal(mkdir(folder, 0700), 0);
    run("mkdir %s/data/identity");
    assert_int_equal(open_folder(&d, 1), RK_IO);
    run("rmdir %s/data/identity && mkdir %s/data/ring");
    assert_int_equal(open_folder(&d, 1), 0);
    assert_int_equal(data_folder_load_ring(&d, &ring, why, sizeof(why)), RK_IO);
    assert_null(ring);
    data_folder_close(&d);
}

/* --- the ring ------------------------------------------------------------------------------- */

static struct ring *new_ring(uint64_t epoch)
{
    struct ring *r = ring_new(1, 2);

    assert_non_null(r);
    r->epoch = epoch;
    r->hash = POSITION_MD5;
    r->replicas = 1;
    r->next_number = 2;
    r->cluster[0] = 1;
    r->members[0] = (struct ring_member){.number = 1, .port = 1, .shards = 1, .weight = 1};
    strcpy(r->members[0].name, "n1");
    strcpy(r->members[0].host, "h");
    r->members[0].identity[0] = 1;
    assert_int_equal(ring_finish(r, why, sizeof(why)), 0);
    return r;
}

static void save_ring(const struct data_folder *d, uint64_t epoch)
{
    struct ring *r = new_ring(epoch);

    assert_int_equal(data_folder_save_ring(d, r), 0);
    ring_free(r);
}

static void test_ring(void **state)
{
    struct data_folder d;
    struct ring *r = NULL;

    (void)state;
    assert_int_equal(open_folder(&d, 1), 0);
    assert_int_equal(data_folder_load_ring(&d, &r, why, sizeof(why)), RK_NOTFOUND);
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        save_ring(&d, epoch);
        assert_int_equal(data_folder_load_ring(&d, &r, why, sizeof(why)), 0);
        assert_int_equal(r->epoch, epoch);
        ring_free(r);
    }
    data_folder_close(&d);
}

static void check_ring_damaged(const struct data_folder *d, struct bytes content)
{
    struct ring *r = NULL;
    int error;

    write_name("ring", content);
    memset(why, 0, sizeof(why));
    error = data_folder_load_ring(d, &r, why, sizeof(why));
    if (error != RK_VERSION)
        assert_int_equal(error, RK_CORRUPT);
    assert_null(r);
    assert_non_null(strstr(why, folder));
}

static void test_ring_damaged(void **state)
{
    struct data_folder d;
    struct buf whole;

    (void)state;
    assert_int_equal(open_folder(&d, 1), 0);
    save_ring(&d, 5);
    read_name("ring", &whole);
    for (size_t i = 0; i < buf_len(&whole); i++) {
        check_ring_damaged(&d, bytes_of(buf_head(&whole), i));
        buf_head(&whole)[i] ^= (uint8_t)(1 << i % 8);
        check_ring_damaged(&d, buf_bytes(&whole));
        buf_head(&whole)[i] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(buf_append(&whole, "", 1), 0);
    check_ring_damaged(&d, buf_bytes(&whole));
    buf_free(&whole);
    data_folder_close(&d);
}

/* Not opened again, whatever was said; with a new one in its place all is well. */
static void test_condemned(void **state)
{
    static const uint8_t long_text[2000] = {'x'};
    const struct bytes texts[] = {bytes_from("the log is at 5"), bytes_from(""),
                                  bytes_of(long_text, sizeof(long_text))};
    struct data_folder d;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(open_folder(&d, 1), 0);
        data_folder_condemn(&d, texts[i]);
        data_folder_close(&d);
        assert_int_equal(open_folder(&d, 1), RK_STALE);
        assert_non_null(strstr(why, "is an old copy"));
        assert_true(i != 0 || strstr(why, "the log is at 5") != NULL);
        run("rm -r %s/data");
    }
    make(1, NULL);
}

/* What cannot be read is no reason to think that the folder was not condemned, nor a lack of
 * memory.
 */
static void test_a_mark_of_an_old_copy_that_cannot_be_read(void **state)
{
    struct data_folder d;

    (void)state;
    make(1, NULL);
    run("mkdir %s/data/stale");
    assert_int_equal(open_folder(&d, 1), RK_IO);
    assert_non_null(strstr(why, "cannot read 'stale'"));
    assert_non_null(strstr(why, "Is a directory"));
}

/* A member's shard that is gone is not made anew; in a node that was in no ring yet it may be. */
static void test_shard_that_is_gone(void **state)
{
    struct data_folder d;

    (void)state;
    assert_int_equal(open_folder(&d, 2), 0);
    run("mkdir %s/data/shard-0");
    run("touch %s/data/shard-0/tree");
    assert_int_equal(data_folder_check_shards(&d, why, sizeof(why)), 0);
    save_ring(&d, 1);
    assert_int_equal(data_folder_check_shards(&d, why, sizeof(why)), RK_CORRUPT);
    assert_non_null(strstr(why, "/data/shard-1/tree is missing"));
    assert_non_null(strstr(why, "ringctl replace"));
    run("mkdir %s/data/shard-1");
    assert_int_equal(data_folder_check_shards(&d, why, sizeof(why)), RK_CORRUPT);
    run("touch %s/data/shard-1/tree");
    assert_int_equal(data_folder_check_shards(&d, why, sizeof(why)), 0);
    data_folder_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_and_again, start, finish),
        cmocka_unit_test_setup_teardown(test_new_ones_differ, start, finish),
        cmocka_unit_test_setup_teardown(test_shards, start, finish),
        cmocka_unit_test_setup_teardown(test_identity_cut, start, finish),
        cmocka_unit_test_setup_teardown(test_identity_flipped, start, finish),
        cmocka_unit_test_setup_teardown(test_identity_longer, start, finish),
        cmocka_unit_test_setup_teardown(test_identity_fields, start, finish),
        cmocka_unit_test_setup_teardown(test_other_version, start, finish),
        cmocka_unit_test_setup_teardown(test_condemned, start, finish),
        cmocka_unit_test_setup_teardown(test_a_mark_of_an_old_copy_that_cannot_be_read, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_shard_that_is_gone, start, finish),
        cmocka_unit_test_setup_teardown(test_in_use, start, finish),
        cmocka_unit_test_setup_teardown(test_unwritable, start, finish),
        cmocka_unit_test_setup_teardown(test_not_allowed, start, finish),
        cmocka_unit_test_setup_teardown(test_symlinks, start, finish),
        cmocka_unit_test_setup_teardown(test_folders_for_files, start, finish),
        cmocka_unit_test_setup_teardown(test_ring, start, finish),
        cmocka_unit_test_setup_teardown(test_ring_damaged, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
