/* Comparing all replicas of the partitions that this shard leads with its own records, while they
 * serve (ringctl verify). Differences are named; with `repair` the replica gets what the primary
 * has.
 *
 * It walks the partitions, a few at a time, with the digests of node/transfer.h. Each comparison
 * travels in order with the live steps, so a replica is compared with the very state that it should
 * have.
 */
#ifndef RINGKV_NODE_VERIFY_H
#define RINGKV_NODE_VERIFY_H

#include "node/peer_message.h"
#include "shared/buf.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;

enum { VERIFY_FINDINGS_MAX = 1000 }; /* differences of a shard that are named; all are counted */

struct verify {
    uint64_t run; /* its number; 0: none was asked for yet */
    bool runs, repair;
    uint32_t next;      /* group to begin with */
    uint32_t under_way; /* comparisons */
    uint32_t compared;  /* replicas of partitions */
    uint32_t left_out;  /* likewise, that did not follow, or stopped to */
    uint64_t differ;    /* records */
    uint32_t named;
    struct buf findings; /* lines: difference=PARTITION MEMBER found|repaired KEY-IN-HEX */
};

/* Begins anew, also when one runs. */
void verify_begin(struct shard *s, uint64_t run, bool repair);
/* Goes on; with every tick and turn. */
void verify_continue(struct shard *s);
/* A replica tells keys that differ. */
void verify_found(struct shard *s, uint16_t member, const struct difference *d);
/* A comparison has ended; `whole`: all was compared. */
void verify_ended(struct shard *s, bool whole);

/* Appends the state as lines name=value. 0 or RK_NOMEM. */
int verify_report(const struct shard *s, struct buf *out);

#endif
