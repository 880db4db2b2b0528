#include "shared/log.h"
#include "shared/error.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a line into a pipe is not mixed with others");

const char *const log_level_names[] = {"error", "warn", "info", "debug", NULL};

/* The log's own descriptor. Once it is open its number never changes and is never closed: another
 * file is put behind it with dup3, so a thread that is about to write to it can only meet the old
 * or the new file, never a stranger's that got the number in between. */
static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_level_max = LOG_INFO;
static atomic_uint_fast64_t lost_total, lost_untold;
static atomic_bool log_torn; /* the file ends in the middle of a line */
static char log_program[LOG_PROGRAM_MAX + 1];
/* Guards log_path, and changes of log_fd. */
static pthread_mutex_t path_lock = PTHREAD_MUTEX_INITIALIZER;
static char *log_path; /* NULL: standard error */

/* Puts `fd` behind the log's descriptor; takes `fd` over unless it is standard error. */
static int redirect(int fd)
{
    int log = log_fd;
    int got;

    if (log == STDERR_FILENO) {
        if (fd != STDERR_FILENO)
            log_fd = fd;
        return 0;
    }
    do
        got = dup3(fd, log, O_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (fd != STDERR_FILENO) {
        int error = errno;

        close(fd);
        errno = error;
    }
    return got < 0 ? RK_IO : 0;
}

/* O_NONBLOCK: a FIFO without a reader must be refused, and one that is full must not stop the
 * program; to a regular file it means nothing. */
static int redirect_to_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

    /* A closed standard descriptor is not ours to fill: somebody may yet print to it. */
    if (fd >= 0 && fd <= STDERR_FILENO) {
        int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        int error = errno;

        close(fd);
        errno = error;
        fd = high;
    }
    return fd < 0 ? RK_IO : redirect(fd);
}

int log_open(const char *program, const char *path, enum log_level level)
{
    bool to_file = path && path[0];
    int failed = 0, error = 0;
    char *copy = NULL;

    pthread_mutex_lock(&path_lock);
    snprintf(log_program, sizeof(log_program), "%s", program);
    log_level_max = level;
    if (to_file) {
        copy = strdup(path);
        failed = copy ? redirect_to_file(path) : RK_IO;
        error = errno;
    }
    if (!to_file || failed) {
        free(copy);
        copy = NULL;
        redirect(STDERR_FILENO);
    }
    free(log_path);
    log_path = copy;
    pthread_mutex_unlock(&path_lock);
    errno = error;
    return failed;
}

void log_reopen(void)
{
    int failed = 0, error = 0;

    pthread_mutex_lock(&path_lock);
    if (log_path) {
        failed = redirect_to_file(log_path);
        error = errno;
    }
    pthread_mutex_unlock(&path_lock);
    if (failed)
        log_error("log: the file could not be opened anew, going on with the old one error=\"%s\"",
                  strerror(error));
}

void log_close(void)
{
    pthread_mutex_lock(&path_lock);
    redirect(STDERR_FILENO);
    free(log_path);
    log_path = NULL;
    pthread_mutex_unlock(&path_lock);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level_max, memory_order_relaxed);
}

uint64_t log_lost(void)
{
    return lost_total;
}

static bool bytes_write(int fd, const char *data, size_t size)
{
    size_t left = size;

    while (left) {
        ssize_t wrote = write(fd, data + (size - left), left);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            if (left < size)
                log_torn = true;
            return false;
        }
        left -= (size_t)wrote;
    }
    return true;
}

/* One write; a second one only when a disk filled up in the middle of the line. What then stays of
 * it gets its newline before the next line. */
static bool line_write(const char *line, size_t size)
{
    int fd = log_fd;

    if (log_torn && atomic_exchange(&log_torn, false) && !bytes_write(fd, "\n", 1)) {
        log_torn = true;
        return false;
    }
    return bytes_write(fd, line, size);
}

static size_t prefix_print(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    int used;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    used = snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %-5s %s ", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                    (int)(now.tv_nsec / 1000000), log_level_names[level],
                    log_program[0] ? log_program : "ringkv");
    return (size_t)used;
}

/* How one byte is shown: its 1 to 4 bytes. */
static size_t byte_print(unsigned char byte, char shown[4])
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[] = "abtnvfr"; /* of the bytes from 7 on */

    shown[0] = (char)byte;
    if (byte >= 0x20 && byte < 0x7f && byte != '\\')
        return 1;
    shown[0] = '\\';
    shown[1] = byte == '\\' ? '\\' : 'x';
    if (byte >= 7 && byte <= 13)
        shown[1] = letters[byte - 7];
    if (shown[1] != 'x')
        return 2;
    shown[2] = digits[byte >> 4];
    shown[3] = digits[byte & 15];
    return 4;
}

/* Appends the message to the prefix of `used` bytes and ends the line. An escape is never cut in
 * two. */
static size_t message_print(char line[LOG_LINE_MAX], size_t used, const char *message, bool cut)
{
    const size_t end =
        LOG_LINE_MAX - sizeof(LOG_CUT_MARK); /* the mark, and the newline for its NUL */

    for (; *message; message++) {
        char shown[4];
        size_t size = byte_print((unsigned char)*message, shown);

        if (used + size > end) {
            cut = true;
            break;
        }
        memcpy(line + used, shown, size);
        used += size;
    }
    if (cut) {
        memcpy(line + used, LOG_CUT_MARK, sizeof(LOG_CUT_MARK) - 1);
        used += sizeof(LOG_CUT_MARK) - 1;
    }
    line[used++] = '\n';
    return used;
}

static void line_send(const char *line, size_t size)
{
    uint64_t lost;
    char note[LOG_LINE_MAX];
    size_t used;

    if (!line_write(line, size)) {
        lost_total++;
        lost_untold++;
        return;
    }
    if (lost_untold == 0)
        return;
    lost = atomic_exchange(&lost_untold, 0);
    used = prefix_print(note, sizeof(note), LOG_WARN);
    snprintf(note + used, sizeof(note) - used,
             "log: could not be written for a while lost_lines=%ju\n", (uintmax_t)lost);
    if (lost && !line_write(note, strlen(note)))
        lost_untold += lost;
}

void log_line(enum log_level level, const char *format, ...)
{
    char message[LOG_LINE_MAX], line[LOG_LINE_MAX];
    int saved = errno; /* %m, and the caller's own use of it afterwards */
    va_list arguments;
    int size;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    size = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (size < 0)
        snprintf(message, sizeof(message), "log: a message could not be formatted: %s", format);
    line_send(line, message_print(line, prefix_print(line, sizeof(line), level), message,
                                  size >= (int)sizeof(message)));
    errno = saved;
}

void log_warn_few(struct log_quota *q, uint64_t now_ms, const char *format, ...)
{
    char message[LOG_LINE_MAX];
    va_list arguments;
    uint64_t unsaid;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (!log_quota_take(q, now_ms, &unsaid))
        log_debug("%s", message);
    else if (unsaid)
        log_warn("%s (and %ju more since the last such line)", message, (uintmax_t)unsaid);
    else
        log_warn("%s", message);
}
