/* The Redis protocol, from the server's side: commands in, replies out. RESP2 and RESP3.
 *
 * References: https://redis.io/docs/reference/protocol-spec/; Redis 7.0's own behaviour decides
 * where the text is silent.
 */
#ifndef RINGKV_SHARED_RESP_H
#define RINGKV_SHARED_RESP_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

/* Bounds for one connection's commands; the proxy fills them from its configuration and shrinks
 * them before AUTH. */
struct resp_limits {
    uint32_t args_max;   /* arguments in one command */
    uint32_t bulk_max;   /* bytes in one argument */
    uint32_t inline_max; /* bytes in one inline line or (then at least 32) one header line */
    uint64_t total_max;  /* bytes in one whole command */
    bool stranger;       /* the bounds are small because it has not logged in, as errors say */
};

/* A parser's state between calls. Zero-initialise; resp_parser_free at the end. It remembers how
 * far an incomplete command was read, so that a large command arriving in small pieces is not
 * parsed again from its beginning each time. What is marked internal is resp_parse.c's own. */
struct resp_parser {
    struct bytes *args;     /* of the complete command; point into the caller's input */
    uint32_t arg_count;     /* while a command is incomplete: arguments read so far */
    uint32_t arg_size;      /* entries allocated in args and in offsets (internal) */
    uint32_t args_expected; /* of the array being read, 0 between commands (internal) */
    size_t scanned;         /* bytes of the pending command already parsed (internal) */
    size_t line_scanned;    /* bytes after these already searched for the line's end (internal) */
    size_t *offsets;        /* of the arguments so far, relative to the command (internal) */
    struct buf unquoted;    /* storage of the arguments of an inline command with quotes */
    char error[160];        /* after RK_PROTOCOL: Redis's own text, without "-ERR " and CRLF */
};

/* Reads one command from `in`, which starts at the first byte not yet consumed and holds all that
 * has arrived.
 *
 *  > 0          the number of bytes to consume; args[0..arg_count) are set and valid until the next
 *               call or until the input moves. arg_count 0: an empty line or *0 or *-1, no command.
 *  RK_MORE      the command is not complete; call again with the same bytes and more.
 *  RK_PROTOCOL  the stream cannot be followed any further; `error` says why ("Protocol error: ...",
 *               Redis 7's wording, printable). Reply with it, then close.
 *  RK_NOMEM     nothing was read; the same call may be made again.
 *
 * An announced count or length never allocates anything by itself: memory grows with bytes that
 * arrived. The caller never has to hold more than total_max and one line for one command. How
 * the bytes were cut into calls makes no difference to commands and errors.
 *
 * Stricter than Redis where Redis would lose or swallow bytes: header lines end in CRLF and nothing
 * else, an argument is followed by CRLF, and an inline line holds no NUL. */
int64_t resp_parse(struct resp_parser *p, struct bytes in, const struct resp_limits *limits);

/* Gives back memory beyond a small table; call when the connection goes idle. args are gone then. A
 * command that has arrived in part is kept. */
void resp_parser_trim(struct resp_parser *p);
void resp_parser_free(struct resp_parser *p);

/* Writers. `version` is 2 or 3. All return 0 or RK_NOMEM with the buffer unchanged. In simple
 * strings and errors CR and LF become spaces, so that no text can begin another reply. */
int resp_put_simple(struct buf *out, const char *text); /* +text */
int resp_put_error(struct buf *out, const char *text);  /* -text */
int resp_put_errorf(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int resp_put_integer(struct buf *out, int64_t value);                   /* :value */
int resp_put_bulk(struct buf *out, struct bytes value);                 /* $size value */
int resp_put_null(struct buf *out, int version);                        /* $-1 or _ */
int resp_put_null_array(struct buf *out, int version);                  /* *-1 or _ */
int resp_put_array(struct buf *out, size_t count);                      /* *count */
int resp_put_map(struct buf *out, size_t pairs, int version);           /* *2*pairs or %pairs */
int resp_put_set(struct buf *out, size_t count, int version);           /* *count or ~count */
int resp_put_verbatim(struct buf *out, struct bytes text, int version); /* bulk or =...txt: */

/* Redis's string2ll: an optional '-', no '+', no leading zeros, no spaces, the whole text, in the
 * range of int64. 0 or RK_INVALID. */
int resp_read_integer(struct bytes text, int64_t *value);

/* Decimal digits of a number, '-' included; returns the length, at most 20. No terminator. */
size_t resp_format_integer(char to[20], int64_t value);

/* Command and option names compare without regard to ASCII case. */
bool resp_word_is(struct bytes word, const char *lower);

#endif
