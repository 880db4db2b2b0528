/* Edge: gets the ring from the nodes and follows its epochs, on the main thread's loop.
 *
 * It asks one node at a time, first those of the configuration, later all members of the ring that
 * it knows, goes to the next when one fails, has no ring or is behind, and hands every newer ring
 * to all workers. With the ring it asks what the node says of its keys, for INFO keyspace.
 */
#ifndef RINGKV_PROXY_RING_WATCH_H
#define RINGKV_PROXY_RING_WATCH_H

struct proxy;
struct ring_watch;

/* Begins to ask. NULL: out of memory. */
struct ring_watch *ring_watch_new(struct proxy *p);
void ring_watch_free(struct ring_watch *w);

/* Asks at once: somebody met a node with another ring. Callable from every thread. */
void ring_watch_hurry(struct ring_watch *w);

#endif
