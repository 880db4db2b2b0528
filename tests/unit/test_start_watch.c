/* TERM and INT during a start end the process at once, whatever it waits for; afterwards they are
 * its own again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/start_watch.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t taken;

static void take(int number)
{
    taken = number;
}

/* A process that is told of by a byte when its start has begun; `ended`: and is over. */
static pid_t start_one(bool ended)
{
    int ends[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct start_watch watch;

        signal(SIGTERM, take);
        signal(SIGINT, take);
        if (start_watch_begin(&watch) != 0)
            _exit(3);
        if (ended)
            start_watch_end(&watch);
        if (write(ends[1], "", 1) != 1)
            _exit(4);
        for (int i = 0; i < 1000 && !taken; i++)
            usleep(10000);
        _exit(taken ? 7 : 5);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static int status_after(pid_t pid, int number)
{
    int status;

    assert_int_equal(kill(pid, number), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_it_ends_during_the_start(void **state)
{
    (void)state;
    assert_int_equal(status_after(start_one(false), SIGTERM), 0);
    assert_int_equal(status_after(start_one(false), SIGINT), 0);
}

static void test_the_signals_are_its_own_afterwards(void **state)
{
    (void)state;
    assert_int_equal(status_after(start_one(true), SIGTERM), 7);
    assert_int_equal(status_after(start_one(true), SIGINT), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_ends_during_the_start),
        cmocka_unit_test(test_the_signals_are_its_own_afterwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
