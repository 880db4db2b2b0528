/* One proxy thread's routing: client commands in, requests to nodes out, replies back in the
 * client's order.
 *
 * No socket and no clock: the edge hands over what arrives and the time, and afterwards looks at
 * two lists, the lanes whose output has grown and the sessions that have something to send or may
 * go on.
 */
#ifndef RINGKV_PROXY_ROUTER_H
#define RINGKV_PROXY_ROUTER_H

#include "proxy/command.h"
#include "proxy/counters.h"
#include "proxy/failure.h"
#include "proxy/lane.h"
#include "proxy/request.h"
#include "proxy/session.h"
#include "proxy/stands.h"
#include "shared/message.h"
#include "shared/position.h"
#include "shared/ring.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    ROUTER_RETRY_MS = 10,         /* between attempts of a refused request */
    ROUTER_BYTES_MAX = 256 << 20, /* of arguments in flight; beyond it -BUSY */
};

struct client_facts;
struct command_stats;
struct errand;
struct facts;
struct logins;
struct records;
struct tunables;

/* What is known of who leads a partition. */
struct route {
    uint64_t view;               /* the newest heard of; 0: none */
    uint64_t base_view, base_op; /* the newest operation heard of */
};

/* What commands about the proxy itself ask of the edge. */
struct router_ports {
    void *arg;
    void (*facts)(void *arg, struct facts *out);
    /* Microseconds since 1970. */
    uint64_t (*unix_us)(void *arg);
    /* What is known of a client. */
    void (*client)(void *arg, struct session *s, struct client_facts *out);
    /* What the threads write down together, for this thread alone until records_done. */
    struct records *(*records)(void *arg);
    void (*records_done)(void *arg);
    /* Adds the command_stats of all threads. */
    void (*command_stats)(void *arg, struct command_stats *sum);
    /* Lets the counters among the facts, and the command_stats, begin anew. */
    void (*reset_facts)(void *arg);
    /* Begins an errand for the session's command: 0, RK_FULL, RK_NOMEM. */
    int (*errand)(void *arg, struct session *s, const struct errand *errand);
};

struct router {
    struct router_ports ports;
    struct counters *counters;
    uint64_t request_timeout_ms;
    uint64_t node_timeout_ms; /* a request not answered in that time is tried elsewhere */
    size_t reply_max;         /* bytes of a reply that is gathered from many nodes */
    size_t lane_output_max;   /* bytes waiting on a lane; beyond it requests wait here */
    uint64_t session;         /* random, names this thread's writes */
    uint64_t now_ms;          /* as of the last call that brought the time */
    uint64_t now_us;          /* finer, of another clock, for figures alone; set by the edge */
    struct command_index commands;
    struct logins *logins;       /* NULL: nobody has to log in */
    struct command_stats *stats; /* NULL: not counted */
    struct tunables *tunables;   /* NULL: nothing is written down about slow commands */

    const struct ring *ring; /* NULL: none yet */
    struct positioner *positioner;
    struct lane **lanes; /* of member m and shard s: lanes[lane_first[m] + s] */
    uint32_t *lane_first;
    uint32_t lane_count;
    uint32_t rings;           /* taken so far */
    struct route *routes;     /* per partition */
    struct stands stands;     /* where their replicas stand */
    uint64_t views_learned;   /* how often one of them changed its view, or the ring all replicas */
    struct call **open_calls; /* per partition: while a command is split, its last call there */
    uint32_t spin;            /* spreads reads of any replica */
    bool ring_wanted;         /* a node refused by its ring: fetch it. The edge clears it */

    struct requests requests;
    size_t queued_bytes;    /* of arguments that clients have queued behind MULTI */
    bool collecting;        /* a command's calls are not sent, but become part of a transaction: */
    struct slot *collected; /* those of the command that was run last */
    uint64_t randoms;       /* drawn, with `session` as their seed */
    uint64_t last_number;   /* of this session's writes */
    struct slot *oldest, *newest;
    struct call_list waiting; /* calls, in the order of their numbers */
    uint64_t retry_ms;        /* when all of those are tried again */
    bool hurry;               /* and at once some of them (calls_retry_in_hurry) */
    uint64_t retry_pass;      /* of retries so far, of all or of some */
#ifdef RINGKV_MUTANTS
    uint64_t mutants; /* proxy/mutant.h */
#endif
    struct lane *dirty;    /* the edge empties it, with router_next_dirty */
    struct session *ready; /* likewise, with router_next_ready */
};

/* `counters` must outlive the router. */
void router_init(struct router *r, const struct router_ports *ports, struct counters *counters);
void router_destroy(struct router *r);

/* Routes by another ring from now on, and sends what waited for it. What is in flight to members
 * that it does not have any more is given up and asked for elsewhere. The ring and the lanes must
 * live until the next call. `lanes` and `lane_first` are malloced and belong to the router
 * afterwards. 0, or RK_NOMEM: as before, both arrays freed. */
int router_set_ring(struct router *r, const struct ring *ring, struct lane **lanes,
                    uint32_t *lane_first, uint64_t now_ms);

/* Runs one command; args[0] is its name. The reply is appended to the session's output, now or
 * later. When the session is suspended afterwards, nothing else may be run for it until its errand
 * is done, and then the same command. */
void router_execute(struct router *r, struct session *s, const struct bytes *args, uint32_t count);

/* Replies an error that is no command's, in its turn. */
void router_complain(struct router *r, struct session *s, const char *error);

/* Forgets a session; replies still to come are dropped. */
void router_leave(struct router *r, struct session *s);

/* Takes a reply off a lane: 0, or RK_CORRUPT: the lane cannot be trusted any more. */
int router_reply(struct router *r, struct lane *lane, struct bytes body);

/* Takes a WAITS off a lane, likewise. */
int router_waits(struct router *r, struct lane *lane, struct bytes body);

/* Takes a TOUCHED off a lane, likewise. */
int router_touched(struct router *r, struct lane *lane, struct bytes body);

/* What happened to a lane. When one is lost that was up, what was in flight on it is asked for
 * elsewhere: reads anew, writes as those that may have been done (REQUEST_RETRY). */
void router_lane_up(struct router *r, struct lane *lane, struct buf *out);
void router_lane_lost(struct router *r, struct lane *lane);
void router_lane_failed(struct router *r, struct lane *lane);

/* Ends what has timed out and sends what is due. Returns after how many milliseconds it wants to be
 * called again, UINT64_MAX: nothing is in flight. */
uint64_t router_tick(struct router *r, uint64_t now_ms);

/* The same without doing anything. */
uint64_t router_next_ms(const struct router *r);

/* Removes and returns the first lane whose output has grown; NULL: none. What it still lacks is put
 * behind: the output may leave now. */
struct lane *router_next_dirty(struct router *r);

/* Removes and returns the first session that has output or may go on; NULL: none. */
struct session *router_next_ready(struct router *r);
void router_mark_ready(struct router *r, struct session *s);

/* --- for the command functions --------------------------------------------------------------- */

/* Where the reply of a command that needs no node goes; the session is broken when NULL. To be
 * called for one whole reply at a time, followed by router_reply_end with what it returned and set
 * *before to. */
struct buf *router_reply_begin(struct router *r, struct session *s, size_t *before);
void router_reply_end(struct router *r, struct session *s, struct buf *out, size_t before);

/* No later command of the client is begun before the slot, which router_begin gave, is answered. */
void router_hold(struct slot *slot);

/* A slot at the end of the session's order, without calls; NULL: the client was answered -BUSY. */
struct slot *router_begin(struct router *r, struct session *s, bool writes, enum gather gather);

/* The call for a key's partition in a slot that is being filled: a new one when there is none or
 * the last is full. NULL: out of memory or of calls. */
struct call *router_call_for(struct router *r, struct slot *slot, uint8_t op, uint64_t position,
                             size_t size);

/* Sends all calls of a slot that router_begin gave. */
void router_send(struct router *r, struct slot *slot);

/* The time of a slot that was sent counts from now on, or no more. */
void router_restart_time(struct router *r, struct slot *slot);
void router_stop_time(struct router *r, struct slot *slot);

/* Gives up a slot whose calls were not sent. */
void router_abandon(struct router *r, struct slot *slot, enum failure why);

#endif
