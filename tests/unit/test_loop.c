/* The event loop: turns, hooks, timers, and what other threads hand in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/loop.h"
#include "shared/ring_ref.h"
#include <cmocka.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, POSTS = 2000 };

static struct loop *loop;

static bool failing; /* the event loop does */

int __real_event_base_loop(struct event_base *base, int flags);
int __wrap_event_base_loop(struct event_base *base, int flags);

int __wrap_event_base_loop(struct event_base *base, int flags)
{
    return failing ? -1 : __real_event_base_loop(base, flags);
}

static int start(void **state)
{
    (void)state;
    loop = loop_new();
    assert_non_null(loop);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

/* --- turns ---------------------------------------------------------------------------------- */

static char trace[64];

static void note(void *arg)
{
    strcat(trace, arg);
}

static void note_and_stop(void *arg)
{
    note(arg);
    loop_stop(loop);
}

static void test_turn(void **state)
{
    (void)state;
    trace[0] = '\0';
    assert_int_equal(loop_at_turn_end(loop, note, "1"), 0);
    assert_int_equal(loop_at_turn_end(loop, note, "2"), 0);
    assert_int_equal(loop_at_turn_end(loop, note, "3"), 0);
    assert_int_equal(loop_post(loop, note, "a"), 0);
    assert_int_equal(loop_post(loop, note_and_stop, "b"), 0);
    /* What is handed in behind the stop is still of this turn. */
    assert_int_equal(loop_post(loop, note, "c"), 0);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "abc123");
    /* A stopped loop stays stopped. */
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "abc123");
}

static void test_hooks_full(void **state)
{
    int count = 0;

    (void)state;
    trace[0] = '\0';
    while (loop_at_turn_end(loop, note, "h") == 0)
        count++;
    assert_int_equal(count, 8);
    assert_int_equal(loop_at_turn_end(loop, note, "h"), RK_FULL);
    assert_int_equal(loop_post(loop, stop, NULL), 0);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "hhhhhhhh");
}

static int turns, posted;

static void count_turn(void *arg)
{
    (void)arg;
    turns++;
}

static void post_again(void *arg)
{
    /* Each runs in a turn of its own, or the loop would never get to anything else. */
    assert_int_equal(turns, posted);
    if (++posted == 100)
        loop_stop(loop);
    else
        assert_int_equal(loop_post(loop, post_again, arg), 0);
}

static void test_post_from_posted(void **state)
{
    (void)state;
    turns = posted = 0;
    assert_int_equal(loop_at_turn_end(loop, count_turn, NULL), 0);
    assert_int_equal(loop_post(loop, post_again, NULL), 0);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(posted, 100);
}

static int calls_this_turn, hook_calls;

static void always_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    if (++calls_this_turn > 1000)
        event_base_loopbreak(loop_base(loop));
}

static void end_busy_turn(void *arg)
{
    (void)arg;
    assert_true(calls_this_turn <= 1);
    calls_this_turn = 0;
    loop_work(loop)->again = 1;
    if (++hook_calls == 50)
        loop_stop(loop);
}

/* A turn that must not sleep ends all the same, however much there is to read. */
static void test_turn_ends_when_busy(void **state)
{
    int fd = eventfd(1, EFD_NONBLOCK);
    struct event *event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, always_ready, NULL);

    (void)state;
    assert_non_null(event);
    calls_this_turn = hook_calls = 0;
    assert_int_equal(event_add(event, NULL), 0);
    assert_int_equal(loop_at_turn_end(loop, end_busy_turn, NULL), 0);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(hook_calls, 50);
    event_free(event);
    close(fd);
}

/* --- timers --------------------------------------------------------------------------------- */

static struct loop_timer *timers[3];
static int fired[3];
static uint64_t set_at_ms;

static void fire(void *arg)
{
    int i = *(int *)arg;

    fired[i]++;
    if (i == 0 && fired[0] == 1) {
        /* Set again from inside; the others have not come yet. */
        assert_int_equal(fired[1] + fired[2], 0);
        loop_timer_set(timers[0], 1);
        loop_timer_cancel(timers[1]);
    } else if (i == 2) {
        assert_true(loop_now_ms(loop) + 5 >= set_at_ms + 60);
        loop_timer_free(timers[2]);
        timers[2] = NULL;
        loop_stop(loop);
    }
}

static void test_timers(void **state)
{
    static int numbers[] = {0, 1, 2};

    (void)state;
    memset(fired, 0, sizeof(fired));
    for (int i = 0; i < 3; i++) {
        timers[i] = loop_timer_new(loop, fire, &numbers[i]);
        assert_non_null(timers[i]);
    }
    set_at_ms = loop_now_ms(loop);
    loop_timer_set(timers[2], 10000);
    loop_timer_set(timers[2], 60);
    loop_timer_set(timers[1], 30);
    loop_timer_set(timers[0], 0);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(fired[0], 2);
    assert_int_equal(fired[1], 0);
    assert_int_equal(fired[2], 1);
    for (int i = 0; i < 3; i++)
        loop_timer_free(timers[i]);
    loop_timer_free(NULL);
}

/* --- other threads -------------------------------------------------------------------------- */

static struct poster {
    pthread_t thread;
    int received;
    struct post {
        struct poster *from;
        int number;
    } posts[POSTS];
} posters[THREADS];
static int all_received;

static void receive(void *arg)
{
    struct post *p = arg;

    assert_int_equal(p->number, p->from->received);
    p->from->received++;
    if (++all_received == THREADS * POSTS)
        loop_stop(loop);
}

static void *post_many(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < POSTS; i++) {
        p->posts[i] = (struct post){p, i};
        if (loop_post(loop, receive, &p->posts[i]) != 0)
            abort();
    }
    return NULL;
}

/* Everything arrives, on the loop's thread, each thread's in its order. */
static void test_post_from_threads(void **state)
{
    (void)state;
    all_received = 0;
    memset(posters, 0, sizeof(posters));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    assert_int_equal(loop_run(loop), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_int_equal(posters[i].received, POSTS);
    }
}

static void *run_loop(void *arg)
{
    (void)arg;
    loop_run(loop);
    return NULL;
}

/* A sleeping loop wakes up. */
static void test_post_wakes(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, run_loop, NULL), 0);
    usleep(2000);
    assert_int_equal(loop_post(loop, stop, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* What was never run is freed with the loop. */
static void test_post_without_run(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(loop_post(loop, stop, NULL), 0);
    loop_stop(loop);
    assert_int_equal(loop_run(loop), 0);
}

static struct loop_note stop_note, count_note;
static int noted;

static void count_and_post_again(void *arg)
{
    (void)arg;
    /* Not on its way any more, so it may be posted from its own function. */
    if (++noted < 3)
        loop_post_note(loop, &count_note, count_and_post_again, NULL);
    else
        loop_post_note(loop, &stop_note, stop, NULL);
}

static void *post_note(void *arg)
{
    (void)arg;
    loop_post_note(loop, &count_note, count_and_post_again, NULL);
    return NULL;
}

/* A message of the caller's memory is on its way once at a time, whoever posts it. */
static void test_notes(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    noted = 0;
    count_note = stop_note = (struct loop_note){0};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_note, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(noted, 3);
    assert_false(count_note.on_its_way);
}

/* It stays its owner's when the loop ends without it. */
static void test_note_without_run(void **state)
{
    struct loop_note *note = calloc(1, sizeof(*note));

    (void)state;
    assert_non_null(note);
    loop_post_note(loop, note, stop, NULL);
    loop_free(loop);
    assert_false(note->on_its_way);
    free(note);
    loop = loop_new();
    assert_non_null(loop);
}

/* A process whose event loop fails ends, rather than one of its threads. */
static void test_failed_loop(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        failing = true;
        loop_serve(loop, "test");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void test_now(void **state)
{
    uint64_t before = loop_now_ms(loop);

    (void)state;
    while (loop_now_ms(loop) == before)
        ;
    assert_true(loop_now_ms(loop) > before);
    assert_true(loop_now_ms(loop) < before + 1000);
}

/* --- a ring shared by threads --------------------------------------------------------------- */

static struct ring_ref *shared_ring;

static void *use_ring(void *arg)
{
    for (int i = 0; i < POSTS; i++) {
        struct ring_ref *mine = ring_ref_get(arg);

        if (mine->ring->epoch != 7)
            abort();
        ring_ref_put(mine);
    }
    ring_ref_put(arg);
    return NULL;
}

/* The last one frees it, whichever that is: a sanitizer sees one too few or too many. */
static void test_ring_ref(void **state)
{
    struct ring *ring = ring_new(1, 0);
    pthread_t threads[THREADS];

    (void)state;
    assert_non_null(ring);
    ring->epoch = 7;
    shared_ring = ring_ref_new(ring);
    assert_non_null(shared_ring);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_ring, ring_ref_get(shared_ring)), 0);
    ring_ref_put(shared_ring);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ring_ref_put(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_turn, start, finish),
        cmocka_unit_test_setup_teardown(test_hooks_full, start, finish),
        cmocka_unit_test_setup_teardown(test_post_from_posted, start, finish),
        cmocka_unit_test_setup_teardown(test_turn_ends_when_busy, start, finish),
        cmocka_unit_test_setup_teardown(test_timers, start, finish),
        cmocka_unit_test_setup_teardown(test_post_from_threads, start, finish),
        cmocka_unit_test_setup_teardown(test_post_wakes, start, finish),
        cmocka_unit_test_setup_teardown(test_post_without_run, start, finish),
        cmocka_unit_test_setup_teardown(test_notes, start, finish),
        cmocka_unit_test_setup_teardown(test_note_without_run, start, finish),
        cmocka_unit_test_setup_teardown(test_failed_loop, start, finish),
        cmocka_unit_test_setup_teardown(test_now, start, finish),
        cmocka_unit_test(test_ring_ref),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
