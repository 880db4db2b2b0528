/* What a proxy thread counts. Each thread adds to its own, any thread may read them. */
#ifndef RINGKV_PROXY_COUNTERS_H
#define RINGKV_PROXY_COUNTERS_H

#include "proxy/error_codes.h"
#include <stdatomic.h>
#include <stdint.h>

/* name, what it counts (shown by the documentation, named "ringkv_NAME" in INFO) */
#define PROXY_COUNTERS(X)                                                       \
    X(connections, "client connections accepted")                               \
    X(rejected_connections, "client connections refused over max_clients")      \
    X(accept_pauses, "times new connections had to wait for file descriptors")  \
    X(commands, "commands read from clients")                                   \
    X(reads, "commands that read keys")                                         \
    X(writes, "commands that write keys")                                       \
    X(hits, "keys read by GET and MGET that were there")                        \
    X(misses, "keys read by GET and MGET that were not there")                  \
    X(transactions, "EXEC of what could be queued")                             \
    X(transactions_unequal, "EXEC that did nothing: a watched key had changed") \
    X(transactions_refused, "commands that a transaction could not take")       \
    X(error_replies, "error replies to clients")                                \
    X(bytes_in, "bytes of commands read from clients")                          \
    X(bytes_out, "bytes of replies given to clients")                           \
    X(requests, "requests sent to nodes, retries included")                     \
    X(retries, "requests sent once more after a refusal or a lost connection")  \
    X(majority_reads, "reads answered by a majority's equal versions")          \
    X(shared_proofs, "proofs of majority reads that needed no request")         \
    X(primary_reads, "reads that a primary had to answer")                      \
    X(leads, "requests that asked a replica to relay or to lead")               \
    X(node_timeouts, "requests that a node did not answer in node_timeout")     \
    X(reads_moved, "reads asked of others because a node had gone silent")      \
    X(waits, "times a node said that a request waits there")                    \
    X(late_replies, "replies of nodes that nobody waited for any more")         \
    X(kept_replies, "replies kept aside until earlier ones were there")         \
    X(timeouts, "commands that ended at request_timeout")                       \
    X(protocol_errors, "client connections closed after a protocol violation")  \
    X(login_failures, "passwords that were wrong")                              \
    X(closed_for_logins, "client connections closed after too many of them")    \
    X(denied_connections, "client connections refused by protected_mode")       \
    X(killed, "client connections closed by CLIENT KILL")                       \
    X(pauses, "times a client was not read because too much was unanswered")    \
    X(closed_for_output, "client connections closed over client_output")        \
    X(closed_idle, "client connections closed after client_idle_timeout")       \
    X(links_opened, "connections to nodes opened")                              \
    X(links_lost, "connections to nodes lost")

struct counters {
#define X(name, text) _Atomic uint64_t name;
    PROXY_COUNTERS(X)
#undef X
    _Atomic uint64_t errors[ERROR_CODE_COUNT]; /* of error_replies, by their codes */
    _Atomic uint64_t clients;                  /* connected now */
    _Atomic uint64_t pending;                  /* commands waiting for nodes now */
    _Atomic uint64_t links;                    /* connections to nodes that are up now */
};

/* Only the owning thread writes, so a plain addition is enough. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* An error reply that a client is given: once in all, and once under its code. */
static inline void error_count(struct counters *c, struct bytes text)
{
    counter_add(&c->error_replies, 1);
    counter_add(&c->errors[error_code_of(text)], 1);
}

#endif
