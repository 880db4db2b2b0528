/* The cluster's secret: both ends of a connection, and the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/config.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/secret.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct secret none, ours = {true, "ours"}, theirs = {true, "theirs"};
static char why[CONFIG_WHY_SIZE];

static struct bytes body_of(struct buf *out, uint8_t type)
{
    struct frame frame;

    assert_int_equal(frame_read(buf_bytes(out), 1024, &frame), buf_len(out));
    assert_int_equal(frame.type, type);
    return frame.body;
}

/* A whole handshake: 0 when both trust each other, else what went wrong. */
static int shake(const struct secret *connects, const struct secret *answers)
{
    struct handshake one = {.challenged = false}, two = {.challenged = false};
    struct welcome welcome = {.shards = 1}, read;
    struct buf challenge = {0}, proof = {0}, greeting = {0};
    int error = 0;

    if (answers->set) {
        assert_int_equal(handshake_challenge(&two, &challenge), 0);
        error = handshake_answer(&one, connects, body_of(&challenge, MESSAGE_CHALLENGE), &proof);
        if (!error && !handshake_proven(&two, answers, body_of(&proof, MESSAGE_PROOF), &welcome))
            error = RK_INVALID;
    }
    if (!error) {
        assert_int_equal(message_put_welcome(&greeting, &welcome), 0);
        assert_int_equal(message_get_welcome(body_of(&greeting, MESSAGE_WELCOME), &read), 0);
        if (!handshake_trusts(&one, connects, &read))
            error = RK_MEMBER;
    }
    buf_free(&challenge);
    buf_free(&proof);
    buf_free(&greeting);
    return error;
}

static void test_handshakes(void **state)
{
    (void)state;
    assert_int_equal(shake(&ours, &ours), 0);
    assert_int_equal(shake(&none, &none), 0);
    assert_int_equal(shake(&theirs, &ours), RK_INVALID);
    assert_int_equal(shake(&none, &ours), RK_REFUSED);
    assert_int_equal(shake(&ours, &none), RK_MEMBER);
}

/* No two connections have the same numbers; a proof is good for one of them. */
static void test_replay(void **state)
{
    struct handshake one = {.challenged = false}, two = {.challenged = false},
                     other = {.challenged = false};
    struct welcome welcome = {.shards = 1};
    struct buf challenge = {0}, again = {0}, proof = {0};

    (void)state;
    assert_int_equal(handshake_challenge(&two, &challenge), 0);
    assert_int_equal(handshake_challenge(&other, &again), 0);
    assert_memory_not_equal(two.challenge, other.challenge, HANDSHAKE_NONCE_SIZE);
    assert_int_equal(handshake_answer(&one, &ours, body_of(&challenge, MESSAGE_CHALLENGE), &proof),
                     0);
    assert_false(handshake_proven(&other, &ours, body_of(&proof, MESSAGE_PROOF), &welcome));
    assert_false(welcome.proven);
    assert_true(handshake_proven(&two, &ours, body_of(&proof, MESSAGE_PROOF), &welcome));
    /* Who connects gets its own proof back as if it were the other's. */
    memcpy(welcome.proof, body_of(&proof, MESSAGE_PROOF).data + HANDSHAKE_NONCE_SIZE,
           HANDSHAKE_PROOF_SIZE);
    assert_false(handshake_trusts(&one, &ours, &welcome));
    /* A second challenge on one connection. */
    buf_truncate(&proof, 0);
    assert_int_equal(handshake_answer(&one, &ours, body_of(&again, MESSAGE_CHALLENGE), &proof),
                     RK_CORRUPT);
    buf_free(&challenge);
    buf_free(&again);
    buf_free(&proof);
}

static void test_bodies(void **state)
{
    uint8_t body[HANDSHAKE_NONCE_SIZE + HANDSHAKE_PROOF_SIZE + 1] = {0};
    struct handshake h = {.challenged = false};
    struct welcome welcome = {.shards = 1};
    struct buf out = {0};

    (void)state;
    for (size_t size = 0; size <= sizeof(body); size++) {
        assert_false(handshake_proven(&h, &ours, bytes_of(body, size), &welcome));
        if (size != HANDSHAKE_NONCE_SIZE)
            assert_int_equal(handshake_answer(&h, &ours, bytes_of(body, size), &out), RK_CORRUPT);
    }
    assert_int_equal(buf_len(&out), 0);
}

static int load(const char *text, mode_t mode, struct secret *s)
{
    char path[] = "/tmp/ringkv-test-secret-XXXXXX";
    int fd = mkstemp(path), failed;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    failed = secret_load(s, path, why, sizeof(why));
    unlink(path);
    return failed;
}

static void test_file(void **state)
{
    struct secret one, two;

    (void)state;
    assert_int_equal(secret_load(&one, "", why, sizeof(why)), 0);
    assert_false(one.set);
    assert_int_equal(load("0123456789abcdef\n", 0600, &one), 0);
    assert_int_equal(load("0123456789abcdef\r\n\n", 0640, &two), 0);
    assert_true(one.set && two.set);
    assert_memory_equal(one.key, two.key, SECRET_KEY_SIZE);
    assert_int_equal(load("0123456789abcdeF\n", 0600, &two), 0);
    assert_memory_not_equal(one.key, two.key, SECRET_KEY_SIZE);
    assert_int_equal(load("0123456789abcde\n", 0600, &one), RK_INVALID);
    assert_non_null(strstr(why, "16 bytes"));
    assert_int_equal(load("0123456789abcdef\n", 0604, &one), RK_INVALID);
    assert_non_null(strstr(why, "chmod o-rwx"));
    assert_false(one.set);
    assert_int_equal(secret_load(&one, "/nonexistent", why, sizeof(why)), RK_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
