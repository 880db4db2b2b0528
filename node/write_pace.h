/* Pure: how long the replies of writes are held back, so that memory lasts until the checkpoint
 * under way has ended.
 *
 * While a table is written down another one fills. If writers fill it sooner than the checkpoint
 * ends, they would run at full speed and then stand still. So the room that is left is shared out
 * over the time that the checkpoint still needs: each write's reply leaves later than the one
 * before it by its share. Writers that wait for replies slow down evenly; how many they are does
 * not matter. A burst of an eighth of the memory goes free.
 *
 * What a checkpoint needs is known from those before it, and from its own progress.
 */
#ifndef RINGKV_NODE_WRITE_PACE_H
#define RINGKV_NODE_WRITE_PACE_H

#include "node/store.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    WRITE_PACE_FREE_US = 1000,           /* a shorter delay is none */
    WRITE_PACE_FIRST_US_PER_MIB = 32000, /* what checkpoints take, before one was seen */
};

struct write_pace {
    uint64_t bound;      /* bytes of memory for the table that fills and the one that is written */
    uint64_t us_per_mib; /* that checkpoints took, for each MiB of memory; 0: none was seen */
    /* The checkpoint under way: */
    bool busy;
    uint64_t memory, logged;       /* bytes of its table, and of the same writes in the log */
    uint64_t begun_us, whole_us;   /* when it began; what it will take in all */
    uint64_t needed_us, looked_us; /* what it still needed when it was last looked at, and when */
    uint64_t leave_ns;             /* when the reply of the last write may leave */
};

/* A checkpoint begins. */
void write_pace_begin(struct write_pace *p, uint64_t now_us, uint64_t memory, uint64_t logged);

/* It has got so far: `done` parts of `all`. */
void write_pace_look(struct write_pace *p, uint64_t now_us, uint64_t done, uint64_t all);
void write_pace_end(struct write_pace *p, uint64_t now_us);

/* A write that takes so many bytes of the log was applied; `used` bytes of memory are now taken. */
void write_pace_take(struct write_pace *p, uint64_t now_us, uint64_t logged, uint64_t used);

/* By how much its reply is to be held back: at most STORE_DELAY_US_MAX. */
uint64_t write_pace_delay_us(const struct write_pace *p, uint64_t now_us);

#endif
