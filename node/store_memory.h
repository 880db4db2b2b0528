/* Pure: the store's twin in memory, for the simulator and for tests. It forgets what was not
 * synced.
 *
 * The functions take the store that store_memory_new made. Unless told otherwise nothing is synced
 * by itself: the simulator decides when, up to where, and whether a crash comes first.
 */
#ifndef RINGKV_NODE_STORE_MEMORY_H
#define RINGKV_NODE_STORE_MEMORY_H

#include "node/store.h"

/* 0 or RK_NOMEM. `seed` shapes the inner tables only: nothing that is seen depends on it. */
int store_memory_new(uint64_t seed, struct store **out);

/* From now on store_submit syncs at once and calls wake (NULL: nothing to call). */
void store_memory_auto(struct store *s, void (*wake)(void *arg), void *arg);

/* Up to where was applied, and handed over by store_submit. */
uint64_t store_memory_applied(const struct store *s);
uint64_t store_memory_submitted(const struct store *s);

/* What was submitted, up to this position, is on stable storage: store_poll tells of it. Nothing
 * happens for a position already synced, or after a failed sync. */
void store_memory_sync(struct store *s, uint64_t up_to);

/* The process dies and starts again: what was not synced is gone, a failed sync is forgotten, the
 * other switches stay. Pointers that the store gave out are dead. */
void store_memory_crash(struct store *s);

/* Switches. nospace: writes get RK_NOSPACE. full: RK_FULL. */
void store_memory_set_nospace(struct store *s, bool nospace);
void store_memory_set_full(struct store *s, bool full);

/* The next sync fails: store_poll gives RK_IO until the next crash, and nothing more is synced. */
void store_memory_fail_sync(struct store *s);

/* Damages a record where it lies, as a flipped bit would: gets and scans give RK_CORRUPT until it
 * is written anew, and store_damaged names it. 0 or RK_NOTFOUND. */
int store_memory_damage(struct store *s, struct bytes key);

#endif
