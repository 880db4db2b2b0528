/* Edge: figures about the whole process, for INFO. */
#ifndef RINGKV_PROXY_PROCESS_H
#define RINGKV_PROXY_PROCESS_H

#include "proxy/facts.h"

struct proxy;
struct rates;

/* Fills in what does not change: system, run_id, started_ms. 0 or RK_IO. */
int process_init(struct proxy *p);

/* Everything as of now; callable from every thread. */
void process_facts(struct proxy *p, struct facts *out);

/* Lets the counters begin anew. */
void process_reset(struct proxy *p);

/* Microseconds since 1970. */
uint64_t process_unix_us(void);

/* Measures rates once a second on the main loop. NULL: out of memory. */
struct rates *rates_new(struct proxy *p);
void rates_free(struct rates *r);

#endif
