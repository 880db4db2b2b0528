/* What a run is like: everything that its seed draws first, and that a command line may set. */
#ifndef RINGKV_TESTS_SIM_SHAPE_H
#define RINGKV_TESTS_SIM_SHAPE_H

#include "tests/sim/random.h"
#include <stddef.h>
#include <stdint.h>

/* name, what it means. Fault weights: how often one comes in relation to the others; 0: never. */
#define SHAPE_FIELDS(X)                                                                     \
    X(nodes, "3..7")                                                                        \
    X(replicas, "1, 3 or 5")                                                                \
    X(shards, "of a node, 1 or 2; 3: some nodes one, some two")                             \
    X(bits, "2^bits partitions")                                                            \
    X(proxies, "")                                                                          \
    X(clients, "")                                                                          \
    X(ops, "operations in all")                                                             \
    X(keys, "of each hash tag, 1..4")                                                       \
    X(tags, "hash tags that are used")                                                      \
    X(pipeline, "commands that a client sends at once, at most")                            \
    X(old_reads, "thousandths of the reads that may be old (LEVELGET 0 and 1)")             \
    X(transactions, "thousandths of the operations that are EXEC or CAS")                   \
    X(ttl, "thousandths of the operations that are about expiry; if any, clocks are right") \
    X(think_us, "between a client's operations, at most")                                   \
    X(timeout_us, "of a request")                                                           \
    X(attempt_us, "of a node's answer, until another one is asked")                         \
    X(delay_us, "of a message, usually")                                                    \
    X(delay_rare_us, "of a message, at most")                                               \
    X(silence_us, "until a silent connection counts as down")                               \
    X(sync_us, "of a sync, usually")                                                        \
    X(hand_back_us, "until the preferred primary leads again")                              \
    X(tick_us, "")                                                                          \
    X(room, "bytes on a link, beyond which it is full")                                     \
    X(history_steps, "")                                                                    \
    X(chunk_records, "")                                                                    \
    X(fault_us, "between faults, usually; 0: there are none")                               \
    X(kill, "weight: a process dies")                                                       \
    X(power, "weight: a machine dies")                                                      \
    X(reset, "weight: a connection breaks")                                                 \
    X(silence, "weight: a connection carries nothing in one direction")                     \
    X(isolate, "weight: a node hears and is heard by nobody")                               \
    X(pause, "weight: a process stands still")                                              \
    X(full, "weight: a disk is full")                                                       \
    X(memory, "weight: a node's memory is full, until its disk has caught up")              \
    X(sync_fail, "weight: a sync fails")                                                    \
    X(slow, "weight: a disk is slow")                                                       \
    X(proxy_kill, "weight: a proxy dies")                                                   \
    X(proxy_pause, "weight: a proxy stands still")                                          \
    X(changes, "of the ring, at most")                                                      \
    X(wipe, "weight: a node loses its disk, and is replaced")

/* The same, with 64 bits. */
#define SHAPE_MASKS(X) X(mutants, "bits of the rules that are broken (node/mutant.h)")

struct shape {
#define X(name, text) uint32_t name;
    SHAPE_FIELDS(X)
#undef X
#define X(name, text) uint64_t name;
    SHAPE_MASKS(X)
#undef X
};

/* Draws a shape, then sets in it what `settings` says: "name=number,name=number" (may be NULL, and
 * was checked by shape_check). */
void shape_draw(struct shape *s, struct sim_random *r, const char *settings);

/* The same without chance: what scripts begin with, then what two settings say, one after the
 * other.
 */
void shape_of_script(struct shape *s, const char *script, const char *settings);

/* 0, or RK_INVALID with the reason. */
int shape_check(const char *settings, char *why, size_t why_size);

#endif
