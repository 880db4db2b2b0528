/* Names are looked up without anybody waiting. The resolver is made up: names that begin with
 * "slow" hang until they are let go, "gone" stands for nothing, what the others stand for is set
 * here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/names.h"
#include <arpa/inet.h>
#include <cmocka.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, PORT = 7400 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static bool hangs = true;
static const char *stands_for = "10.0.0.1";
static unsigned asked;    /* names, not numeric addresses */
static uint64_t later_ms; /* how far the clock was put forward */

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    const char *address;

    if (hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, service, hints, found);
    pthread_mutex_lock(&lock);
    asked++;
    while (hangs && strncmp(host, "slow", 4) == 0)
        pthread_cond_wait(&let_go, &lock);
    address = stands_for;
    pthread_mutex_unlock(&lock);
    return strcmp(host, "gone") == 0 || !address
               ? EAI_NONAME
               : __real_getaddrinfo(address, service, hints, found);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    int result = __real_clock_gettime(clock, t);
    uint64_t later = __atomic_load_n(&later_ms, __ATOMIC_RELAXED);

    if (clock == CLOCK_MONOTONIC_COARSE)
        t->tv_sec += (time_t)(later / 1000);
    return result;
}

static void pass_time(uint64_t ms)
{
    __atomic_add_fetch(&later_ms, ms, __ATOMIC_RELAXED);
}

static void set_resolver(bool hang, const char *address)
{
    pthread_mutex_lock(&lock);
    hangs = hang;
    stands_for = address;
    pthread_cond_broadcast(&let_go);
    pthread_mutex_unlock(&lock);
}

static unsigned times_asked(void)
{
    unsigned times;

    pthread_mutex_lock(&lock);
    times = asked;
    pthread_mutex_unlock(&lock);
    return times;
}

static void rest(void)
{
    static const struct timespec ms = {0, 1000000};

    nanosleep(&ms, NULL);
}

/* Asks until there is an answer. */
static int find(const char *host, struct name_addresses *out)
{
    int error = RK_MORE;

    for (int i = 0; i < PATIENCE_MS && error == RK_MORE; i++) {
        error = names_find(host, PORT, out);
        if (error == RK_MORE)
            rest();
    }
    return error;
}

static bool is_at(const struct name_addresses *found, const char *address)
{
    char text[INET6_ADDRSTRLEN];
    const struct name_address *a = &found->all[0];

    assert_int_equal(found->count, 1);
    assert_int_equal(
        ntohs(a->at.any.sa_family == AF_INET6 ? a->at.v6.sin6_port : a->at.v4.sin_port), PORT);
    inet_ntop(a->at.any.sa_family,
              a->at.any.sa_family == AF_INET6 ? (const void *)&a->at.v6.sin6_addr
                                              : (const void *)&a->at.v4.sin_addr,
              text, sizeof(text));
    return strcmp(text, address) == 0;
}

/* Asks, again and again as time passes, until the name stands for this. */
static void wait_for_address(const char *host, const char *address)
{
    struct name_addresses found;

    for (int i = 0; i < PATIENCE_MS; i++) {
        assert_int_equal(find(host, &found), 0);
        if (is_at(&found, address))
            return;
        pass_time(NAMES_AGE_MS);
        rest();
    }
    fail();
}

static int start(void **state)
{
    (void)state;
    set_resolver(true, "10.0.0.1");
    return 0;
}

/* No hanging thread is left for the next test. */
static int finish(void **state)
{
    (void)state;
    set_resolver(false, "10.0.0.1");
    return 0;
}

static void test_numeric(void **state)
{
    struct name_addresses found;
    unsigned before = times_asked();

    (void)state;
    assert_int_equal(names_find("127.0.0.1", PORT, &found), 0);
    assert_true(is_at(&found, "127.0.0.1"));
    assert_int_equal(names_find("::1", PORT, &found), 0);
    assert_true(is_at(&found, "::1"));
    assert_int_equal(times_asked(), before);
}

static void test_name(void **state)
{
    struct name_addresses found;
    unsigned before = times_asked();

    (void)state;
    assert_int_equal(find("plain", &found), 0);
    assert_true(is_at(&found, "10.0.0.1"));
    for (int i = 0; i < 100; i++)
        assert_int_equal(names_find("plain", PORT, &found), 0);
    assert_int_equal(times_asked(), before + 1);
}

static void test_unknown(void **state)
{
    struct name_addresses found;

    (void)state;
    assert_int_equal(names_find("gone", PORT, &found), RK_MORE);
    assert_int_equal(find("gone", &found), RK_NOTFOUND);
    pass_time(NAMES_AGE_MS + 1000);
    assert_int_equal(names_find("gone", PORT, &found), RK_MORE);
    assert_int_equal(find("gone", &found), RK_NOTFOUND);
}

/* Nobody waits, neither for that name nor for others. */
static void test_resolver_hangs(void **state)
{
    struct name_addresses found;

    (void)state;
    assert_int_equal(names_find("slow1", PORT, &found), RK_MORE);
    assert_int_equal(names_find("slow2", PORT, &found), RK_MORE);
    assert_int_equal(find("other", &found), 0);
    pass_time(NAMES_SLOW_MS + 1000);
    assert_int_equal(names_find("slow1", PORT, &found), RK_MORE);
    set_resolver(false, "10.0.0.2");
    assert_int_equal(find("slow1", &found), 0);
    assert_true(is_at(&found, "10.0.0.2"));
    assert_int_equal(find("slow2", &found), 0);
}

static void test_moves(void **state)
{
    (void)state;
    wait_for_address("moves", "10.0.0.1");
    set_resolver(true, "10.0.0.3");
    wait_for_address("moves", "10.0.0.3");
}

/* What it stood for last is used for as long as nothing else can be found. */
static void test_goes(void **state)
{
    struct name_addresses found;
    unsigned before;

    (void)state;
    wait_for_address("goes", "10.0.0.1");
    set_resolver(true, NULL);
    before = times_asked();
    for (int i = 0; i < PATIENCE_MS && times_asked() < before + 3; i++) {
        pass_time(NAMES_AGE_MS + 1000);
        assert_int_equal(names_find("goes", PORT, &found), 0);
        assert_true(is_at(&found, "10.0.0.1"));
        rest();
    }
    assert_true(times_asked() >= before + 3);
    set_resolver(true, "10.0.0.4");
    wait_for_address("goes", "10.0.0.4");
}

static void test_hangs_later(void **state)
{
    struct name_addresses found;

    (void)state;
    set_resolver(false, "10.0.0.1");
    assert_int_equal(find("slow later", &found), 0);
    set_resolver(true, "10.0.0.2");
    for (int i = 0; i < 10; i++) {
        pass_time(NAMES_SLOW_MS + 1000);
        assert_int_equal(names_find("slow later", PORT, &found), 0);
        assert_true(is_at(&found, "10.0.0.1"));
    }
    set_resolver(false, "10.0.0.2");
    wait_for_address("slow later", "10.0.0.2");
}

/* More names than there is room for: those that were not asked for the longest make room. */
static void test_many(void **state)
{
    struct name_addresses found;
    unsigned before;
    char host[32];

    (void)state;
    for (int i = 0; i < NAMES_MAX + 100; i++) {
        snprintf(host, sizeof(host), "host%d", i);
        assert_int_equal(find(host, &found), 0);
    }
    before = times_asked();
    assert_int_equal(find(host, &found), 0);
    assert_int_equal(times_asked(), before);
    assert_int_equal(find("host0", &found), 0);
    assert_int_equal(times_asked(), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numeric, start, finish),
        cmocka_unit_test_setup_teardown(test_name, start, finish),
        cmocka_unit_test_setup_teardown(test_unknown, start, finish),
        cmocka_unit_test_setup_teardown(test_resolver_hangs, start, finish),
        cmocka_unit_test_setup_teardown(test_moves, start, finish),
        cmocka_unit_test_setup_teardown(test_goes, start, finish),
        cmocka_unit_test_setup_teardown(test_hangs_later, start, finish),
        cmocka_unit_test_setup_teardown(test_many, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
