/* Edge: figures about the whole process, for INFO. */
#ifndef RINGKV_PROXY_PROCESS_H
#define RINGKV_PROXY_PROCESS_H

#include "proxy/facts.h"

struct command_stats;
struct proxy;
struct rates;

/* Fills in what does not change: system, run_id, started_ms. 0 or RK_IO. */
int process_init(struct proxy *p);

/* Everything as of now; callable from every thread. */
void process_facts(struct proxy *p, struct facts *out);

/* Adds those of all threads. */
void process_command_stats(struct proxy *p, struct command_stats *sum);

/* Lets the counters and the command_stats begin anew. */
void process_reset(struct proxy *p);

/* Microseconds since 1970. */
uint64_t process_unix_us(void);

/* Measures rates once a second on the main loop. NULL: out of memory. */
struct rates *rates_new(struct proxy *p);
void rates_free(struct rates *r);

#endif
