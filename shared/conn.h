/* Edge: a non-blocking stream connection with bounded buffers.
 *
 * Output gathers in one contiguous buffer and leaves with one write at the end of the loop turn.
 * Input is read into the loop's scratch room and handed over from there; only an incomplete rest is
 * kept. Two bounds: when output passes `out_max`, on_data is not called any more (the peer is not
 * read) until it has drained to half; what to do about a peer that never drains is the owner's
 * decision (conn_out_len, conn_stalled_ms).
 */
#ifndef RINGKV_SHARED_CONN_H
#define RINGKV_SHARED_CONN_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/loop.h"
#include <stdint.h>

struct conn;

struct conn_handler {
    /* All input not yet consumed. Returns how much was consumed. Called again only after more
     * arrives or conn_resume. The connection may be closed inside. */
    size_t (*on_data)(void *owner, struct conn *c, struct bytes in);
    /* Error 0: the input has ended, or, after conn_close_after_flush, all output has left; so it
     * may be called twice unless the owner closes the first time. Else an errno: nothing comes or
     * goes any more. The owner calls conn_close, at the latest then. Never called from inside
     * another call into conn.h, never after conn_close. on_data is not called after it. */
    void (*on_end)(void *owner, struct conn *c, int error);
    /* A conn_connect succeeded. May be NULL. */
    void (*on_open)(void *owner, struct conn *c);
    /* Output fell to half of out_max after having passed it. May be NULL. */
    void (*on_drain)(void *owner, struct conn *c);
};

/* A peer that goes without a word (its machine lost its power, a firewall forgot the connection) is
 * asked for a sign of life by the kernel, and then ends as one that failed: else it would count
 * among the connections for ever. Also keeps firewalls from forgetting those that are idle. */
enum { CONN_ALIVE_IDLE_S = 120, CONN_ALIVE_AGAIN_S = 20, CONN_ALIVE_TIMES = 3 };

/* Takes over an open socket; sets it non-blocking, TCP_NODELAY, close-on-exec, and the above. NULL:
 * out of memory (the socket is closed). */
struct conn *conn_new(struct loop *l, int fd, const struct conn_handler *handler, void *owner);

/* Starts to connect to a numeric address or a name. A name that was never looked up is first
 * (shared/names.h), without a bound in time: the owner gives up by closing, as with a host that
 * does not answer. NULL: it failed at once, errno says why; EHOSTUNREACH: the name could not be
 * looked up. Else the outcome arrives as on_open or on_end. */
struct conn *conn_connect(struct loop *l, const char *host, uint16_t port,
                          const struct conn_handler *handler, void *owner);

/* Closes at once and frees, now or when the stack has unwound; no call comes after it. */
void conn_close(struct conn *c);

/* Closes once all output has left; input is no longer read; on_end is still called. */
void conn_close_after_flush(struct conn *c);

/* To be called when on_end has told that all output has left: the other side sees the end of the
 * stream behind it, and what it still sends is read and thrown away. Where a socket is closed with
 * input that was not read, the kernel breaks the connection off, and what had not arrived yet does
 * not. on_end comes once more when the other side has ended as well; the owner bounds the time. */
void conn_part(struct conn *c);

/* How large a buffer may be that is kept when it is empty, rather than given back; default 4 KiB,
 * for connections of which there may be very many. CONN_KEEP_BUSY is for those between the
 * programs: what is sent in one turn should not make its buffer grow from nothing each time. */
enum { CONN_KEEP_BUSY = 256 << 10 };
void conn_keep(struct conn *c, size_t size);

/* The output buffer. Append to it, then conn_flush_later. */
struct buf *conn_out(struct conn *c);
void conn_flush_later(struct conn *c);
static inline size_t conn_out_len(struct conn *c)
{
    return buf_len(conn_out(c));
}

void conn_set_out_max(struct conn *c, size_t out_max); /* default 1 MiB */
/* How often the output of a connection of this loop has passed its bound. */
uint64_t conn_throttles(struct loop *l);
/* Goes on reading when the output is full: for two sides that both send much, and would otherwise
 * wait for each other. The owner has to bound what it answers itself. */
void conn_read_always(struct conn *c);

/* Stop and go on reading, e.g. while too many requests are in flight. conn_resume hands over at
 * once (at the end of the turn) what was kept. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* Milliseconds since the peer last took a byte while output was waiting; 0 when none is. */
uint64_t conn_stalled_ms(const struct conn *c);

/* "127.0.0.1:4711" of the other side, "" if unknown; valid as long as the connection. */
const char *conn_peer(const struct conn *c);

/* Takes the socket out of a connection, so that another loop can go on with it: the connection is
 * freed, the descriptor returned. Output must have been flushed or is lost, and so is the input
 * that was not consumed: to be called from inside on_data, which has it. */
int conn_detach(struct conn *c);

/* conn_new with input that was read elsewhere already; it is handed over first. */
struct conn *conn_attach(struct loop *l, int fd, struct bytes rest,
                         const struct conn_handler *handler, void *owner);

/* Likewise of this side. */
const char *conn_local(const struct conn *c);

/* Bytes of input that arrived and were not consumed. */
size_t conn_in_len(const struct conn *c);

#endif
