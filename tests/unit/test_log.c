/* The log: what a line looks like, that lines of threads and processes stay whole over rotations,
 * and what becomes of lines that cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/log.h"
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, LINES = 2000, ROTATIONS = 20 };

static char folder[] = "/tmp/ringkv-test-log-XXXXXX";
static char path[128];

static void path_of(char out[160], const char *name)
{
    snprintf(out, 160, "%s/%s", folder, name);
}

static char *slurp(const char *name)
{
    FILE *from = fopen(name, "r");
    char *text = NULL;
    size_t room = 0;
    ssize_t size;

    assert_non_null(from);
    size = getdelim(&text, &room, EOF, from);
    fclose(from);
    if (size < 0) {
        free(text);
        text = strdup("");
    }
    assert_non_null(text);
    return text;
}

/* What stands in the log file behind the time. Freed by the next call. */
static const char *logged(void)
{
    static char *text;

    free(text);
    text = slurp(path);
    return strlen(text) > 25 ? text + 25 : text;
}

static int open_new(void **state)
{
    (void)state;
    unlink(path);
    return log_open("test", path, LOG_DEBUG);
}

static int close_it(void **state)
{
    (void)state;
    log_close();
    return unlink(path) && errno != ENOENT;
}

static void test_line(void **state)
{
    regex_t shape;
    char *text;

    (void)state;
    log_info("store: opened shard=%d", 3);
    text = slurp(path);
    assert_int_equal(regcomp(&shape,
                             "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                             "info  test store: opened shard=3\n$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    assert_int_equal(regexec(&shape, text, 0, NULL, 0), 0);
    regfree(&shape);
    free(text);
}

static int count_evaluated(int *count)
{
    return ++*count;
}

static void test_levels(void **state)
{
    int evaluated = 0;

    (void)state;
    assert_int_equal(log_open("test", path, LOG_WARN), 0);
    assert_true(log_enabled(LOG_ERROR) && log_enabled(LOG_WARN));
    assert_false(log_enabled(LOG_INFO) || log_enabled(LOG_DEBUG));
    log_error("a");
    log_warn("b");
    log_info("c");
    log_debug("d%d", count_evaluated(&evaluated));
    assert_int_equal(evaluated, 0);
    assert_int_equal(strncmp(logged(), "error test a\n", 13), 0);
    assert_non_null(strstr(logged(), "warn  test b\n"));
    assert_null(strstr(logged(), "info"));
    assert_int_equal(log_open("test", path, LOG_DEBUG), 0);
    log_debug("d%d", count_evaluated(&evaluated));
    assert_non_null(strstr(logged(), "debug test d1\n"));
}

static void test_level_names(void **state)
{
    (void)state;
    assert_string_equal(log_level_names[LOG_ERROR], "error");
    assert_string_equal(log_level_names[LOG_WARN], "warn");
    assert_string_equal(log_level_names[LOG_INFO], "info");
    assert_string_equal(log_level_names[LOG_DEBUG], "debug");
    assert_null(log_level_names[LOG_DEBUG + 1]);
}

static void test_escapes(void **state)
{
    (void)state;
    log_info("%s", "a\nb\r\t\\n \x1b[2J \x01\x7f\x80\xff \"%s\"");
    assert_string_equal(logged(),
                        "info  test a\\nb\\r\\t\\\\n \\x1b[2J \\x01\\x7f\\x80\\xff \"%s\"\n");
}

static void test_keeps_errno(void **state)
{
    (void)state;
    errno = EBUSY;
    log_info("%m");
    assert_int_equal(errno, EBUSY);
    assert_non_null(strstr(logged(), strerror(EBUSY)));
}

/* A long line: cut at LOG_LINE_MAX, marked as such, and never in the middle of an escape. */
static void check_long(const char *unit, size_t count, bool cut)
{
    char *message = calloc(count, strlen(unit) + 1);
    char *text;
    size_t size;

    assert_non_null(message);
    for (size_t i = 0; i < count; i++)
        strcat(message + i * strlen(unit), unit);
    unlink(path);
    log_reopen();
    log_info("%s", message);
    text = slurp(path);
    size = strlen(text);
    assert_true(size <= LOG_LINE_MAX);
    assert_int_equal(text[size - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    if (cut) {
        assert_true(size > LOG_LINE_MAX - 4);
        assert_string_equal(text + size - 1 - strlen(LOG_CUT_MARK), LOG_CUT_MARK "\n");
        if (unit[0] == '\n')
            assert_memory_equal(text + size - 1 - strlen(LOG_CUT_MARK) - 2, "\\n", 2);
    } else {
        assert_null(strstr(text, LOG_CUT_MARK));
    }
    free(text);
    free(message);
}

static void test_long_lines(void **state)
{
    size_t room = LOG_LINE_MAX - strlen("2026-11-21T10:59:48.123Z info  test " LOG_CUT_MARK "\n");

    (void)state;
    check_long("x", room - 1, false);
    check_long("x", room, false);
    check_long("x", room + 1, true);
    check_long("x", LOG_LINE_MAX - 1, true);
    check_long("x", LOG_LINE_MAX, true);
    check_long("x", 100000, true);
    check_long("\n", room / 2, false);
    check_long("\n", room / 2 + 1, true);
    check_long("\n", 100000, true);
}

static void test_long_program_name(void **state)
{
    char name[200];

    (void)state;
    memset(name, 'p', sizeof(name));
    name[199] = 0;
    assert_int_equal(log_open(name, path, LOG_INFO), 0);
    log_info("x");
    name[LOG_PROGRAM_MAX] = 0;
    assert_non_null(strstr(logged(), name));
    assert_non_null(strstr(logged(), "p x\n"));
}

static void test_rotation(void **state)
{
    char old[160];
    char *text;

    (void)state;
    path_of(old, "old");
    log_info("before");
    assert_int_equal(rename(path, old), 0);
    log_info("between");
    log_reopen();
    log_info("after");
    assert_string_equal(logged(), "info  test after\n");
    text = slurp(old);
    assert_non_null(strstr(text, "before\n"));
    assert_non_null(strstr(text, "between\n"));
    free(text);
    unlink(old);
}

static void test_failed_reopen_keeps_the_old(void **state)
{
    char old[160];
    char *text;

    (void)state;
    path_of(old, "old");
    assert_int_equal(rename(path, old), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    log_reopen();
    log_info("still here");
    assert_int_equal(rmdir(path), 0);
    text = slurp(old);
    assert_non_null(strstr(text, "error test log:"));
    assert_non_null(strstr(text, strerror(EISDIR)));
    assert_non_null(strstr(text, "still here\n"));
    free(text);
    unlink(old);
}

/* Runs `act` with standard error going to a file, and returns what was written there. */
static char *errors_of(void (*act)(void))
{
    char name[160];
    char *text;
    int kept = dup(STDERR_FILENO), file;

    path_of(name, "stderr");
    file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && file >= 0);
    dup2(file, STDERR_FILENO);
    act();
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(file);
    text = slurp(name);
    unlink(name);
    return text;
}

static void log_to_standard_error(void)
{
    assert_int_equal(log_open("test", "", LOG_INFO), 0);
    log_info("one");
    assert_int_equal(log_open("test", NULL, LOG_INFO), 0);
    log_info("two");
    assert_int_equal(log_open("test", path, LOG_INFO), 0);
    log_info("three");
    log_close();
    log_info("four");
    log_reopen();
    log_info("five");
}

static void test_standard_error(void **state)
{
    char *text = errors_of(log_to_standard_error);

    (void)state;
    assert_non_null(strstr(text, "test one\n"));
    assert_non_null(strstr(text, "test two\n"));
    assert_null(strstr(text, "three"));
    assert_non_null(strstr(text, "test four\n"));
    assert_non_null(strstr(text, "test five\n"));
    assert_string_equal(logged(), "info  test three\n");
    free(text);
}

static void log_to_nowhere(void)
{
    assert_int_equal(log_open("test", "/nonexistent/log", LOG_INFO), RK_IO);
    assert_int_equal(errno, ENOENT);
    log_info("here then");
}

static void test_failed_open(void **state)
{
    char *text = errors_of(log_to_nowhere);

    (void)state;
    assert_non_null(strstr(text, "here then\n"));
    free(text);
}

/* A FIFO that nobody reads must not hold the program up. */
static void test_fifo_without_reader(void **state)
{
    char fifo[160];

    (void)state;
    path_of(fifo, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(log_open("test", fifo, LOG_INFO), RK_IO);
    assert_int_equal(errno, ENXIO);
    unlink(fifo);
}

static atomic_bool writing;

static void *write_lines(void *arg)
{
    int thread = (int)(intptr_t)arg;

    for (int i = 0; i < LINES; i++)
        log_info("thread=%d line=%d %s", thread, i, "padding that makes a line worth tearing");
    return NULL;
}

/* Every line is whole, and in each thread's own order. Returns how many there were. */
static int check_lines(const char *name, int next[THREADS])
{
    char *text = slurp(name);
    int count = 0;

    for (char *line = text, *end; *line; line = end + 1, count++) {
        int thread, number, used = 0;

        end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        assert_int_equal(sscanf(line + 25,
                                "info test thread=%d line=%d padding that makes a line "
                                "worth tearing%n",
                                &thread, &number, &used),
                         2);
        assert_int_equal(strlen(line + 25), used);
        assert_int_equal(line[23], 'Z');
        assert_true(thread >= 0 && thread < THREADS);
        assert_int_equal(number, next[thread]++);
    }
    free(text);
    return count;
}

static void *rotate(void *arg)
{
    int *rotations = arg;

    while (writing) {
        char old[160], name[32];

        if (*rotations < ROTATIONS && access(path, F_OK) == 0) {
            snprintf(name, sizeof(name), "old.%d", *rotations);
            path_of(old, name);
            assert_int_equal(rename(path, old), 0);
            ++*rotations;
        }
        log_reopen();
    }
    return NULL;
}

static void test_threads_and_rotations(void **state)
{
    pthread_t writers[THREADS], rotator;
    int next[THREADS] = {0};
    int rotations = 0, count = 0;
    uint64_t lost = log_lost();

    (void)state;
    writing = true;
    assert_int_equal(pthread_create(&rotator, NULL, rotate, &rotations), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_lines, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    writing = false;
    pthread_join(rotator, NULL);
    assert_true(rotations > 0);
    for (int i = 0; i < rotations; i++) {
        char old[160], name[32];

        snprintf(name, sizeof(name), "old.%d", i);
        path_of(old, name);
        count += check_lines(old, next);
        unlink(old);
    }
    count += check_lines(path, next);
    assert_int_equal(count, THREADS * LINES);
    assert_int_equal(log_lost(), lost);
}

static void test_processes(void **state)
{
    int next[THREADS] = {0};

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            write_lines((void *)(intptr_t)i);
            _exit(0);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(check_lines(path, next), THREADS * LINES);
}

/* A full disk: lines are lost and counted, and the first that can be written again is followed by
 * the count. */
static void test_lost_lines(void **state)
{
    uint64_t lost = log_lost();
    const char *text;

    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/full", path), 0);
    log_reopen();
    log_info("a");
    log_info("b");
    assert_int_equal(log_lost(), lost + 2);
    assert_int_equal(unlink(path), 0);
    log_reopen();
    log_info("c");
    log_info("d");
    assert_int_equal(log_lost(), lost + 2);
    text = logged();
    assert_non_null(strstr(text, "info  test c\n"));
    text = strstr(text, "warn  test log: could not be written for a while lost_lines=2\n");
    assert_non_null(text);
    assert_null(strstr(text + 20, "test log:"));
}

/* What others cause is told some times in a minute, then how often it was not. */
static void test_few(void **state)
{
    struct log_quota quota = {0};
    const char *text;

    (void)state;
    assert_int_equal(log_open("test", path, LOG_INFO), 0);
    for (int i = 0; i < LOG_QUOTA_LINES + 3; i++)
        log_warn_few(&quota, 1000, "a%d", i);
    text = logged();
    assert_non_null(strstr(text, "warn  test a0\n"));
    assert_non_null(strstr(text, "test a9\n"));
    assert_null(strstr(text, "test a10"));
    log_warn_few(&quota, 1000 + LOG_QUOTA_MS, "b");
    assert_non_null(strstr(logged(), "test b (and 3 more since the last such line)\n"));
}

/* A file that may not grow stands for a disk that fills up in the middle of a line. */
static void test_torn_line(void **state)
{
    struct rlimit limit, tight;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    const char *text;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    tight = limit;
    tight.rlim_cur = 40;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    log_info("this line is torn");
    log_info("this line is lost");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, before);
    log_info("whole");
    text = logged();
    assert_int_equal(strncmp(text, "info  test this\n", 16), 0);
    assert_non_null(strstr(text, "Z info  test whole\n"));
    assert_non_null(strstr(text, "lost_lines=2\n"));
    assert_null(strstr(text, "\n\n"));
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/log", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

#define LOG_TEST(test) cmocka_unit_test_setup_teardown(test, open_new, close_it)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_line),
        LOG_TEST(test_levels),
        LOG_TEST(test_level_names),
        LOG_TEST(test_escapes),
        LOG_TEST(test_keeps_errno),
        LOG_TEST(test_long_lines),
        LOG_TEST(test_long_program_name),
        LOG_TEST(test_rotation),
        LOG_TEST(test_failed_reopen_keeps_the_old),
        LOG_TEST(test_standard_error),
        LOG_TEST(test_failed_open),
        LOG_TEST(test_fifo_without_reader),
        LOG_TEST(test_threads_and_rotations),
        LOG_TEST(test_processes),
        LOG_TEST(test_lost_lines),
        LOG_TEST(test_few),
        LOG_TEST(test_torn_line),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
