/* Frames: how messages travel between proxies, nodes and ringctl.
 *
 *   0  u32  body size, 1..FRAME_BODY_MAX
 *   4  u32  CRC-32C of bytes 8.. to the end of the body
 *   8  u8   FRAME_VERSION
 *   9  u8   message type (shared/message.h)
 *  10  u16  0
 *  12       body
 *
 * Numbers are little-endian. Many frames may be in flight on a connection, in both directions.
 */
#ifndef RINGKV_SHARED_FRAME_H
#define RINGKV_SHARED_FRAME_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/limits.h"
#include <stdint.h>

enum { FRAME_VERSION = 2 };

struct frame {
    uint8_t type;
    struct bytes body; /* points into the input */
};

/* Reads the frame at the start of `in`. Returns the bytes it took (> 0), RK_MORE (incomplete; a bad
 * header is refused before its body arrives), RK_VERSION, or RK_CORRUPT. After an error the
 * connection cannot be followed any further. `body_max` bounds what this side accepts, e.g. little
 * before the handshake: RK_TOOBIG. */
int64_t frame_read(struct bytes in, size_t body_max, struct frame *out);

/* Begins a frame at the end of `out` and returns where, for frame_end; SIZE_MAX: out of memory.
 * The offset is relative to buf_head, so it stays right while the buffer grows. */
size_t frame_begin(struct buf *out, uint8_t type);

/* Fills in size and checksum once the body has been appended. RK_TOOBIG if the body is larger than
 * FRAME_BODY_MAX, or empty (RK_INVALID): the frame is then removed again. */
int frame_end(struct buf *out, size_t begun);

/* Appends a whole frame, whose body is a head and what follows it. 0, RK_NOMEM, RK_TOOBIG,
 * RK_INVALID (an empty body); on failure `out` is unchanged. */
int frame_put(struct buf *out, uint8_t type, struct bytes head, struct bytes rest);

/* Replaces 8 bytes of a finished frame's body and mends the checksum. */
void frame_restamp(uint8_t *frame, size_t body_offset, uint64_t value);

#endif
