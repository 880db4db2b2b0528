/* The commands that took long, the newest first: SLOWLOG. */
#ifndef RINGKV_PROXY_SLOW_LOG_H
#define RINGKV_PROXY_SLOW_LOG_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdint.h>

/* What Redis shows of a command. */
enum {
    SLOW_ARGS_MAX = 32,
    SLOW_ARG_SIZE_MAX = 128,
    SLOW_ENTRIES_MAX = 100000, /* whatever is asked for; each takes up to some KiB */
};

struct slow_entry;

struct slow_log {
    struct slow_entry *newest, *oldest;
    uint64_t count;
    uint64_t last_id;
};

/* What an entry tells. The texts are copied. */
struct slow_command {
    const struct bytes *args; /* the first ones */
    uint32_t arg_count;       /* at most SLOW_ARGS_MAX of them are looked at */
    uint64_t args_all;        /* how many there were */
    const char *address, *name;
    uint64_t unix_s, took_us;
};

/* Adds an entry, and drops the oldest ones beyond `entries_max`. Without memory it is not there. */
void slow_log_add(struct slow_log *l, const struct slow_command *c, uint64_t entries_max);

/* Appends the newest `count` entries as a RESP array. 0 or RK_NOMEM. */
int slow_log_put(const struct slow_log *l, struct buf *out, uint64_t count);

/* The bytes of these entries. */
size_t slow_log_size(const struct slow_log *l, uint64_t count);
void slow_log_reset(struct slow_log *l); /* the numbers of entries go on */

#endif
