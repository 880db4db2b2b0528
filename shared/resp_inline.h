/* The words of an inline command: a line that a person typed into nc or telnet.
 *
 * Quoting is Redis's: "..." with \n \r \t \b \a \xHH and a backslash before any other byte for that
 * byte; '...' with \' only. A closing quote must be followed by a blank or the end of the line.
 */
#ifndef RINGKV_SHARED_RESP_INLINE_H
#define RINGKV_SHARED_RESP_INLINE_H

#include "shared/bytes.h"

/* Takes the next argument off the front of `line`.
 *
 *  0            *arg is set: to a part of the line or, when the word has quotes, to what was
 * written at *spare, which is moved past it. All words of a line together need at most as much room
 * there as the line is long. A line without quotes needs none (spare unused). RK_NOTFOUND  no more
 * words. RK_INVALID   unbalanced quotes. */
int resp_inline_next(struct bytes *line, uint8_t **spare, struct bytes *arg);

#endif
