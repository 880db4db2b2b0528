/* Pure: how many records there are, as struct store_stats tells it. A difference may be below 0:
 * the words wrap. */
#ifndef RINGKV_NODE_RECORD_COUNTS_H
#define RINGKV_NODE_RECORD_COUNTS_H

#include "node/store.h"

struct record_counts {
    uint64_t keys, tombstones, live_bytes, expiring;
};

/* A record comes (times > 0) or goes (below 0), as often as that. */
static inline void record_counts_add(struct record_counts *c, struct bytes key,
                                     const struct store_record *record, int times)
{
    uint64_t by = (uint64_t)(int64_t)times;

    if (record->expire_ms)
        c->expiring += by;
    if (record->deleted) {
        c->tombstones += by;
        return;
    }
    c->keys += by;
    c->live_bytes += by * (key.size + record->value.size);
}

#endif
