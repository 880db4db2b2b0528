/* Edge: the log. One line an event: time (UTC, milliseconds), level, program, event and its facts.
 *
 *   2026-11-21T10:59:48.123Z info  ringnode[n1] store: opened shard=0 keys=1200 took_ms=12
 *
 * Never a value, and a key only at level debug (operators send logs to strangers). Any thread. A
 * line leaves with one write(2), so lines of several threads and processes do not mix. What is not
 * printable ASCII is escaped (\n, \\, \xff), so an event stays one line and cannot steer a
 * terminal. A line that cannot be written (disk full, reader gone) is lost; the next one that can
 * be is followed by the number of those that were. A program must ignore SIGPIPE, or a reader that
 * goes away ends it.
 */
#ifndef RINGKV_SHARED_LOG_H
#define RINGKV_SHARED_LOG_H

#include "shared/log_quota.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    LOG_LINE_MAX =
        2048, /* bytes with the newline; a longer line is cut and ends with LOG_CUT_MARK */
    LOG_PROGRAM_MAX = 63, /* bytes of the program's name; the rest is cut */
};

#define LOG_CUT_MARK " [cut]"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* In the order of the levels, with NULL behind them: the choices of a setting. */
extern const char *const log_level_names[];

/* `program` stands in each line; path NULL or "" is standard error. 0, or RK_IO (errno says why;
 * lines go to standard error). To be called before there are other threads. Before the first call,
 * lines of level info and above go to standard error. */
int log_open(const char *program, const char *path, enum log_level level);

/* Opens the file anew after a rotation; on failure keeps the old one and says so in it. */
void log_reopen(void);

/* Lines go to standard error again. */
void log_close(void);

bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A warning of what others can cause as often as they like: within a quota, and what is over it at
 * level debug. The first one after that tells how many there were. */
void log_warn_few(struct log_quota *q, uint64_t now_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines that could not be written since the start. */
uint64_t log_lost(void);

/* The arguments are always compiled, and evaluated only when the level is on. */
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)

#endif
