/* What the main thread hands to a shard's thread: also while there is no memory for it, or when
 * there were very many connections before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/worker_parts.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include "tests/unit/lone_ring.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, BITS = 2 };

static __thread bool no_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return no_memory ? NULL : __real_malloc(size);
}

static char folder[] = "/tmp/ringkv-worker-XXXXXX";
static struct node node;
static struct worker *worker;

static int start(void **state)
{
    char path[sizeof(folder) + 8], why[512];

    (void)state;
    snprintf(path, sizeof(path), "%s/data", folder);
    node = (struct node){.options = {.max_value = 1 << 20,
                                     .connection_output = 1 << 20,
                                     .memory_table = 2 << 20,
                                     .log_segment = 1 << 20,
                                     .map_size = 1 << 20,
                                     .checkpoint_ms = 1000,
                                     .node_timeout_ms = 300,
                                     .window = 16,
                                     .history = 1 << 20}};
    assert_int_equal(data_folder_open(&node.folder, path, 1, why, sizeof(why)), 0);
    worker = worker_new(&node, 0, why, sizeof(why));
    assert_non_null(worker);
    assert_int_equal(worker_start(worker), 0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    data_folder_close(&node.folder);
    return 0;
}

static struct ring_ref *make_ring(uint64_t epoch)
{
    struct ring_member m = {
        .number = 1, .port = 1, .shards = 1, .weight = 1, .name = "n1", .host = "h1"};
    struct ring_ref *ref;

    memcpy(m.identity, node.folder.identity, IDENTITY_SIZE);
    ref = lone_ring(epoch, BITS, &m);
    assert_non_null(ref);
    return ref;
}

static uint64_t epoch_of_worker(void)
{
    uint64_t epoch;

    pthread_mutex_lock(&worker->report_lock);
    epoch = worker->progress.epoch;
    pthread_mutex_unlock(&worker->report_lock);
    return epoch;
}

static void wait_for_epoch(uint64_t epoch)
{
    static const struct timespec ms = {0, 1000000};

    for (int i = 0; i < PATIENCE_MS && epoch_of_worker() != epoch; i++)
        nanosleep(&ms, NULL);
    assert_int_equal(epoch_of_worker(), epoch);
}

/* Frames until one of this type. */
static bool hears(int fd, struct buf *in, uint8_t type)
{
    for (;;) {
        struct frame f;
        int64_t size = frame_read(buf_bytes(in), FRAME_BODY_MAX, &f);
        uint8_t *at;
        ssize_t got;

        assert_true(size > 0 || size == RK_MORE);
        if (size > 0) {
            uint8_t found = f.type;

            buf_consume(in, (size_t)size);
            if (found == type)
                return true;
            continue;
        }
        at = buf_reserve(in, 4096);
        assert_non_null(at);
        got = recv(fd, at, 4096, 0);
        if (got <= 0)
            return false;
        buf_commit(in, (size_t)got);
    }
}

static void put_request(struct buf *out)
{
    struct bytes key = bytes_from("00000000key");
    struct buf args = {0};
    struct request m = {.id = 1, .epoch = 1, .op = OP_GET, .arg_count = 1};
    uint8_t size[4];

    wire_put_u32(size, (uint32_t)key.size);
    assert_int_equal(buf_append(&args, size, 4) || buf_append(&args, key.data, key.size), 0);
    m.args = buf_bytes(&args);
    assert_int_equal(message_put_request(out, &m), 0);
    buf_free(&args);
}

/* Whatever was connected before, a proxy gets its answers. */
static void check_answered(void)
{
    static const struct hello hello = {.role = ROLE_PROXY};
    static const struct welcome welcome = {.shards = 1};
    static const struct timeval patience = {PATIENCE_MS / 1000, 0};
    struct buf in = {0}, out = {0};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    worker_adopt(worker, fds[0], &hello, &welcome, (struct bytes){0});
    assert_true(hears(fds[1], &in, MESSAGE_WELCOME));
    put_request(&out);
    assert_int_equal(write(fds[1], buf_head(&out), buf_len(&out)), buf_len(&out));
    assert_true(hears(fds[1], &in, MESSAGE_REPLY));
    close(fds[1]);
    buf_free(&in);
    buf_free(&out);
}

static void test_many_clients(void **state)
{
    (void)state;
    worker_set_ring(worker, make_ring(1));
    wait_for_epoch(1);
    check_answered();
    worker->next_generation = INT32_MAX - 1;
    check_answered();
    check_answered();
    check_answered();
    worker_stop(worker, 0);
    worker_free(worker);
}

static void test_no_memory(void **state)
{
    struct ring_ref *ring = make_ring(1);

    (void)state;
    no_memory = true;
    worker_set_ring(worker, ring);
    no_memory = false;
    wait_for_epoch(1);
    worker_set_ring(worker, make_ring(2));
    wait_for_epoch(2);
    no_memory = true;
    worker_stop(worker, 0);
    no_memory = false;
    alarm(PATIENCE_MS / 1000); /* it must not be waited for in vain */
    worker_free(worker);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_clients, start, finish),
        cmocka_unit_test_setup_teardown(test_no_memory, start, finish),
    };
    int failed;
    char command[64];

    if (!mkdtemp(folder))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) != 0 || failed;
}
