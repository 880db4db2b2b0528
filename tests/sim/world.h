/* A cluster with its proxies and clients in one thread, from one seed.
 *
 * The nodes' replication code is the daemon's (node/shard.h and what stands behind it) over the
 * store's forgetful twin; what is around it is simulated: loop turns, the sync thread, links,
 * clocks, death. The files beside this one each hold one of those concepts; this header has what
 * they share.
 */
#ifndef RINGKV_TESTS_SIM_WORLD_H
#define RINGKV_TESTS_SIM_WORLD_H

#include "node/shard.h"
#include "tests/sim/events.h"
#include "tests/sim/keys.h"
#include "tests/sim/linear.h"
#include "tests/sim/net.h"
#include "tests/sim/proxy.h"
#include "tests/sim/random.h"
#include "tests/sim/rings.h"
#include "tests/sim/script.h"
#include "tests/sim/shape.h"
#include <stdio.h>

enum { NODES_MAX = 9, SHARDS_OF_NODE_MAX = 2, PLACES_MAX = 22, CLIENTS_MAX = 16, PROXIES_MAX = 4 };

/* Something with connections: a shard of a node, or a proxy. */
struct place {
    uint32_t index;
    bool is_proxy;
    uint32_t owner; /* node or proxy */
    uint16_t shard_index;
    uint64_t life; /* shard: tells events of this process from those of its predecessors; proxy: 0:
                      the process is dead */
    uint64_t paused_until_us; /* proxy: its process stands still */
    const struct ring *ring;  /* that it goes by; NULL: none yet */

    /* Of a node's shard. */
    struct store *store;
    struct shard *shard; /* NULL: the process is dead */
    bool turn_open, syncing;
    bool sync_fails; /* the next one */
    uint64_t sync_to;

    uint16_t dirty[PLACES_MAX * 2]; /* pipes with output of this turn */
    uint32_t dirty_count;
    struct world *world;
};

struct sim_node {
    bool up, doomed;         /* doomed: a restart is scheduled */
    bool wiped;              /* its disk is lost: it is nobody any more, and stays down */
    const struct ring *ring; /* on its disk; NULL: none yet */
    uint64_t fetched_us;     /* when it last asked for a newer one */
    uint64_t paused_until_us;
    uint32_t rate;      /* of its clock, thousandths */
    uint64_t offset_us; /* of its monotonic clock */
    int64_t wall_offset_ms;
    uint32_t sync_factor; /* how slow the disk is */
    uint16_t shards;
    uint32_t first_place;
};

/* A client's operation. */
/* Which commands an operation is. */
enum sim_style {
    STYLE_ONE,   /* the one that it is called after */
    STYLE_EXEC,  /* MULTI, a GETSET of each key, EXEC: in one piece */
    STYLE_WATCH, /* WATCH, GET, MULTI, SET, EXEC: done, it is a GETSET of what the GET gave */
};

struct sim_op {
    uint32_t client, partition;
    uint8_t style;
    uint8_t asked, answered; /* of its commands */
    bool watched, seen;      /* STYLE_WATCH: WATCH and GET had an answer */
    bool dropped;            /* refused: must not have had an effect */
    bool must;               /* of the last phase: has to succeed */
    bool again;              /* likewise, for the second time */
    uint8_t level; /* of a read: enum request_level; what it promises decides how it is checked */
    struct linear_op linear;
};

/* A client's operations on their way are w->ops[first..end), asked in one go and answered in their
 * order. */
struct sim_client {
    uint32_t proxy;
    size_t first, end;
    bool must_again; /* the operation before `first`, in its last phase, was answered UNCERTAIN */
    size_t asking;   /* the operation of which commands are still to be asked; end: none */
    uint64_t losses; /* of the proxy, when it asked */
};

struct world {
    uint64_t seed;
    struct shape shape;
    const struct sim_keys *keys;
    FILE *trace; /* NULL: none */
    struct sim_random random;
    struct events events;
    uint64_t now_us;
    uint64_t event_count;
    const struct ring *ring; /* the newest */
    struct rings rings;
    uint32_t node_count; /* with those that are in no ring yet */
    struct sim_node nodes[NODES_MAX];
    struct place places[PLACES_MAX];
    uint32_t place_count;
    struct pipe *pipes;
    uint32_t pipe_count;
    uint16_t pipe_of[PLACES_MAX][PLACES_MAX]; /* 1 + index; 0: these two have none */
    uint32_t next_connection;
    size_t messages; /* on the way */

    struct sim_proxy *proxies[PROXIES_MAX];
    struct sim_client clients[CLIENTS_MAX];
    struct sim_op *ops;
    size_t op_count, op_size, ops_wanted, ops_open;
    uint16_t tags[KEYS_TAGS];   /* those in use come first */
    size_t must_next, must_end; /* what the last phase still asks: keys; see workload.c */
    uint64_t clock;             /* counts invocations and answers */
    void **kept;                /* memory that lives as long as the world */
    size_t kept_count, kept_size;
    const struct script *script; /* NULL: chance decides */
    bool scripted;               /* the script runs */
    bool faults_over;
    uint32_t undecided;  /* histories that the checker gave up on */
    char violation[512]; /* "": none */
};

/* `script` (may be NULL) must outlive it. */
struct world *world_new(uint64_t seed, const char *settings, const struct script *script,
                        const struct sim_keys *keys, FILE *trace);
void world_free(struct world *w);

/* Runs it all: what was violated is in w->violation afterwards. */
void world_run(struct world *w);

/* Handles events until the given time or until something is violated. */
void world_run_until(struct world *w, uint64_t until_us);

/* Unix time where clocks are right: in runs with expiry. */
enum { WALL_BASE_MS = 1000000 };
static inline int64_t world_wall_ms(const struct world *w)
{
    return WALL_BASE_MS + (int64_t)(w->now_us / 1000);
}

/* The first one counts. */
void world_violated(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A copy that lives as long as the world. */
struct bytes world_keep(struct world *w, struct bytes bytes);

void world_trace(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define TRACE(w, ...) ((w)->trace ? world_trace(w, __VA_ARGS__) : (void)0)

/* "n2/0", "proxy1"; in `name`. */
const char *place_name(const struct place *p, char name[16]);

/* --- node.c --------------------------------------------------------------------------------- */

void node_start(struct world *w, uint32_t node);
/* power: the machine dies, nobody is told. */
void node_kill(struct world *w, uint32_t node, bool power);
/* The disk has room and its usual speed again. */
void node_disk_free(struct world *w, uint32_t node);
/* It keeps a newer ring; its shards go by it a little later. */
void node_use_ring(struct world *w, uint32_t node, const struct ring *ring);
void node_ring_shard(struct place *p);
void node_link_up(struct place *p, struct place *other);
void node_link_down(struct place *p, struct place *other);
void node_room(struct place *p, struct place *other);
void node_frames(struct place *p, struct pipe *pipe, struct place *from, struct bytes frames);
/* What is due with time; and the timer that does it, except while a script runs. */
void node_tick(struct place *p);
void node_timer(struct place *p);
void node_turn_end(struct place *p);
void node_sync(struct place *p);
void node_sync_told(struct place *p);

/* --- workload.c ----------------------------------------------------------------------------- */

void workload_start(struct world *w);
/* A script's client asks: an operation's name, its keys as TAG.KEY, each with its value if it has
 * one. 0 or RK_INVALID. */
int workload_ask(struct world *w, uint32_t client, const char *name, const char *const *words,
                 uint32_t count);
/* A client has nothing to do: what comes next. */
void workload_client(struct world *w, uint32_t client);
/* A moment at which a key may expire has come. */
void workload_expiry(struct world *w, uint32_t key, int64_t when_ms);
/* A proxy's output for a client: takes the first reply. Its size; 0: it is not whole yet, or was
 * refused as a violation. */
size_t workload_reply(struct world *w, uint32_t client, struct bytes in);
/* The proxy died: what its clients had in flight gets no answer. */
void workload_proxy_died(struct world *w, uint32_t proxy);
/* Asks for every key, and writes one of every partition, until all have been answered. */
void workload_final(struct world *w);

/* --- faults.c ------------------------------------------------------------------------------- */

void faults_start(struct world *w);
void faults_next(struct world *w);
void faults_heal(struct world *w);

/* --- verify.c ------------------------------------------------------------------------------- */

/* After the end: the replicas are equal, and nothing is held or unbounded. */
void verify_replicas(struct world *w);
void verify_history(struct world *w);

/* --- trace.c -------------------------------------------------------------------------------- */

void trace_frames(struct world *w, const struct place *from, const struct place *to,
                  struct bytes frames, const char *verb);
void trace_groups(struct world *w);
/* What the clients asked of a partition, and saw. */
void trace_history(struct world *w, uint32_t partition);

#endif
