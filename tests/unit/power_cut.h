/* A file layer that records what is done to a folder, and makes the states in which a power cut
 * could leave it.
 *
 * What was synced is there. Of what was not, any subset may be there: writes whole, torn at any
 * byte or not at all; names as before or after. LMDB keeps its own promises here: the tree is as
 * its last commit left it.
 */
#ifndef RINGKV_TESTS_UNIT_POWER_CUT_H
#define RINGKV_TESTS_UNIT_POWER_CUT_H

#include "node/store_files.h"
#include <stddef.h>
#include <stdint.h>

struct power_cut;

/* Records what is done in this folder from now on; its files are taken as they are. */
struct power_cut *power_cut_new(const char *folder);
void power_cut_free(struct power_cut *p);

/* The process was killed after the first `events` events: makes in `to` what the next one finds,
 * and a record that goes on there. What was written and not synced is found, and not safe. */
struct power_cut *power_cut_killed(const struct power_cut *p, size_t events, const char *to);

const struct store_files *power_cut_files(struct power_cut *p);

/* Puts a number into the record: what the store told at that moment. Numbers must not descend. */
void power_cut_note(struct power_cut *p, uint64_t told);

/* How many events were recorded since power_cut_new or power_cut_killed. */
size_t power_cut_count(const struct power_cut *p);

/* How what was not synced is treated. */
enum power_cut_loss { LOSE_NOTHING, LOSE_EVERYTHING, LOSE_AT_RANDOM, LOSS_KINDS };

/* Makes in `to` the state after the first `events` events and a power cut. Returns the last number
 * that was noted before it. */
uint64_t power_cut_make(const struct power_cut *p, size_t events, enum power_cut_loss loss,
                        uint64_t seed, const char *to);

#endif
