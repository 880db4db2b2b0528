/* How a node's answer is told in RESP where it is not told as it came: a node knows operations, a
 * client its command. */
#ifndef RINGKV_PROXY_ANSWER_SHAPE_H
#define RINGKV_PROXY_ANSWER_SHAPE_H

#include "shared/buf.h"
#include "shared/message.h"
#include <stdint.h>

enum shape_kind {
    SHAPE_AS_IT_IS,
    SHAPE_TYPE,         /* how many are there: "string" or "none" */
    SHAPE_SECONDS,      /* milliseconds, rounded; negative ones stay */
    SHAPE_RANGES,       /* of LCS: a map of matches and length */
    SHAPE_RANGES_SIZED, /* likewise, with the length of each match */
    SHAPE_IF_THERE,     /* how many are there: `integer` if there is one, else nil */
    SHAPE_COMPLAINT,    /* how many are there: an error if there is one, else `absent` */
};

#define SHAPE_ABSENT_NIL INT64_MIN

struct answer_shape {
    uint8_t kind; /* enum shape_kind */
    int64_t integer;
    /* SHAPE_COMPLAINT: Redis looks for the key before it looks at some arguments. */
    int64_t absent;        /* the integer without the key, or SHAPE_ABSENT_NIL */
    const char *complaint; /* static */
};

/* Appends the reply; `kind` is not SHAPE_AS_IT_IS, and the answer fits the operation. 0; RK_NOMEM;
 * RK_INVALID: it cannot be told so, nothing was appended. */
int answer_shape_put(struct buf *out, const struct answer_shape *shape, const struct reply *reply,
                     int resp);

#endif
