/* The rings that were decided, how they come to nodes and proxies, and who changes them.
 *
 * That epochs are decided one after the other, by a majority of the members, is taken for granted
 * here (tests/unit/test_ring_propose tests it); who hears of them when, is not: rings are delivered
 * late, in any order, or never, and then fetched by whoever meets somebody who knows more, as in
 * the daemons. The driver does what ringctl does, with the same step function or hastier, from
 * reports that are a little old; now and then it pauses, or cancels. */
#ifndef RINGKV_TESTS_SIM_RINGS_H
#define RINGKV_TESTS_SIM_RINGS_H

#include "shared/ring.h"
#include <stdbool.h>
#include <stdint.h>

struct place;
struct world;

/* A rule that the driver keeps, and the switch that breaks it (node/mutant.h has the nodes' ones):
 * what moves on need not be ready. */
enum { SIM_MUTANT_UNREADY = 26 };

enum { EPOCHS_MAX = 400, PARTITIONS_OF_SIM_MAX = 16 };

struct rings {
    struct ring *all[EPOCHS_MAX]; /* by epoch - 1 */
    uint32_t count;
    uint32_t changes_left; /* that the driver may still begin */
    bool hasty;            /* it has no regard for how many partitions are joint */
    uint64_t decided_us, begun_us;
    /* The reports of the driver's last look, and the epoch they are of. */
    uint8_t known[PARTITIONS_OF_SIM_MAX];
    uint64_t known_epoch;
};

/* All nodes of the first ring know it. It belongs to the world from now on. */
void rings_start(struct world *w, struct ring *first);
void rings_free(struct world *w);

/* A script's steps: the change to a target, which the caller frees, its way to a phase, and back;
 * nobody hears of it by itself. */
void rings_begin_to(struct world *w, const struct ring *target);
void rings_go_on_to(struct world *w, enum ring_phase phase);
void rings_turn_back(struct world *w);

/* EVENT_DRIVE. */
void rings_drive(struct world *w);

/* EVENT_RING: a ring arrives at a node, or proxy. */
void rings_arrive(struct world *w, uint32_t who, bool is_proxy, uint64_t epoch);

/* Somebody noticed that there is a newer ring: gets it from whoever has one. */
void rings_fetch(struct world *w, uint32_t who, bool is_proxy);

/* Whether the ring that a place knows has a connection for it to the other one. */
bool rings_join(const struct place *p, const struct place *other);

/* Nothing is changed any more, and everybody knows it. */
bool rings_settled(const struct world *w);

#endif
