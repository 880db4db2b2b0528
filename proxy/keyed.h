/* From a command's keys and values to calls: what the functions of the commands on keys share.
 *
 * Each checks what it is given, replying an error when it is not valid, and sends the calls. */
#ifndef RINGKV_PROXY_KEYED_H
#define RINGKV_PROXY_KEYED_H

#include "proxy/execution.h"
#include "shared/operation.h"

/* Whether a key or value has a size that there can be; an error is replied when not. */
bool keyed_key_valid(struct execution *x, struct bytes key);
bool keyed_value_valid(struct execution *x, struct bytes value);

/* enum request_level: what an operation asks for, unless the command says so itself. */
uint8_t keyed_level(const struct execution *x, enum operation op);

/* What goes behind the keys of a call. */
struct keyed_arg {
    bool is_integer;
    int64_t integer;
    struct bytes value;
};

static inline struct keyed_arg keyed_value(struct bytes value)
{
    return (struct keyed_arg){.value = value};
}

static inline struct keyed_arg keyed_integer(int64_t integer)
{
    return (struct keyed_arg){.is_integer = true, .integer = integer};
}

enum { KEYED_KEYS_MAX = 2 };

/* One operation on keys that stand side by side among the command's arguments. */
struct keyed {
    uint8_t op;         /* enum operation */
    uint8_t level;      /* enum request_level */
    uint32_t key_at;    /* the first key */
    uint32_t key_count; /* 1 to KEYED_KEYS_MAX; they must share a partition, else -CROSSSLOT */
    const struct keyed_arg *args;
    uint32_t arg_count;
    struct answer_shape shape;
};

void keyed_send(struct execution *x, const struct keyed *k);

/* An operation on the key that is the command's first argument, with `args` behind it. */
void keyed_one(struct execution *x, enum operation op, const struct keyed_arg *args,
               uint32_t arg_count);

/* A command on the key that is its first argument that is wrong, which Redis tells only when the
 * key is there; without it the reply is `absent`, an integer or SHAPE_ABSENT_NIL. */
void keyed_complain(struct execution *x, const char *complaint, int64_t absent);

/* A command on the keys that are its arguments, each with a value behind it or without, becomes a
 * call for each partition that they lie in. */
void keyed_many(struct execution *x, enum gather gather, bool with_values);

#define KEYED_NOT_AN_INTEGER "ERR value is not an integer or out of range"
#define KEYED_SYNTAX_ERROR   "ERR syntax error"

#endif
