/* A proxy: the daemon's own routing (proxy/router.h) between simulated clients and simulated
 * connections, as proxy/worker.c and proxy/link.c drive it in truth. Its process can stand still,
 * die and begin anew. */
#ifndef RINGKV_TESTS_SIM_PROXY_H
#define RINGKV_TESTS_SIM_PROXY_H

#include "shared/bytes.h"
#include "shared/ring.h"
#include "tests/sim/net.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_proxy;
struct world;

struct sim_proxy *proxy_new(struct world *w, struct place *place);
void proxy_free(struct sim_proxy *x);

/* The process begins, and ends. What its clients had in flight gets no answer then. */
void proxy_start(struct sim_proxy *x);
void proxy_kill(struct sim_proxy *x);

/* Whether the client's next command must wait for an answer. */
bool proxy_holds(const struct sim_proxy *x, uint32_t client);

/* Runs one command of a client; its reply comes to workload_reply. After the last one of a turn
 * proxy_turn_end. */
void proxy_command(struct sim_proxy *x, uint32_t client, const struct bytes *args, uint32_t count);
void proxy_turn_end(struct sim_proxy *x);

/* Routes by another ring from now on. */
void proxy_use_ring(struct sim_proxy *x, const struct ring *ring);

/* How often an answer did not come, for a node's silence or a lost connection. */
uint64_t proxy_losses(const struct sim_proxy *x);

/* A connection of this proxy's (the pipe's opening side) has come up, is lost, or did not come up.
 */
enum lane_news { LANE_NEWS_UP, LANE_NEWS_LOST, LANE_NEWS_FAILED };
void proxy_lane(struct sim_proxy *x, struct pipe *pipe, enum lane_news news);
void proxy_frames(struct sim_proxy *x, struct pipe *pipe, struct bytes frames);

/* EVENT_PROXY with its number. */
void proxy_timer(struct sim_proxy *x, uint64_t number);

/* The last phase: nobody hurries. */
void proxy_be_patient(struct sim_proxy *x);

#endif
