#include "tests/sim/linear_model.h"
#include <stdlib.h>

struct value {
    struct bytes bytes;
    int64_t expire_ms; /* 0: never */
    bool is_integer;
    int64_t integer;
};

struct model {
    struct value *values;
    uint32_t count, size;
    uint32_t *table; /* of twice the size; finds values by their hash */
};

static uint64_t hash_value(struct bytes value, int64_t expire_ms)
{
    uint64_t h = 0xcbf29ce484222325 ^ (uint64_t)expire_ms * 0x9e3779b97f4a7c15;

    for (size_t i = 0; i < value.size; i++)
        h = (h ^ value.data[i]) * 0x100000001b3;
    return h;
}

static void grow(struct model *m)
{
    m->size = m->size ? m->size * 2 : 64;
    free(m->table);
    m->table = calloc(2 * m->size, sizeof(*m->table));
    m->values = realloc(m->values, m->size * sizeof(*m->values));
    if (!m->table || !m->values)
        abort();
    for (uint32_t i = 1; i < m->count; i++) {
        size_t at = hash_value(m->values[i].bytes, m->values[i].expire_ms) % (2 * m->size);

        while (m->table[at])
            at = (at + 1) % (2 * m->size);
        m->table[at] = i;
    }
}

struct model *model_new(void)
{
    struct model *m = calloc(1, sizeof(*m));

    if (!m)
        abort();
    m->count = 1;
    grow(m);
    return m;
}

void model_free(struct model *m)
{
    for (uint32_t i = 1; i < m->count; i++)
        free((void *)m->values[i].bytes.data);
    free(m->values);
    free(m->table);
    free(m);
}

enum { DIGITS_MAX = 20 }; /* of an int64, its sign among them */

/* The decimal form of an integer; points into `text`. */
static struct bytes text_of(int64_t integer, uint8_t text[DIGITS_MAX])
{
    uint64_t left = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    size_t at = DIGITS_MAX;

    do {
        text[--at] = (uint8_t)('0' + left % 10);
        left /= 10;
    } while (left);
    if (integer < 0)
        text[--at] = '-';
    return bytes_of(text + at, DIGITS_MAX - at);
}

/* Whether a value is an int64 without leading zeros: strtoll's idea of one, narrowed by writing it
 * again. */
static bool integer_of(struct bytes value, int64_t *out)
{
    char text[DIGITS_MAX + 1];
    uint8_t again[DIGITS_MAX];

    if (value.size == 0 || value.size >= sizeof(text))
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = 0;
    *out = strtoll(text, NULL, 10);
    return bytes_equal(text_of(*out, again), value);
}

/* The number of a value with an expiry (0: none); new ones are copied. */
static uint32_t value_until(struct model *m, struct bytes value, int64_t expire_ms)
{
    uint8_t *copy;

    if (m->count == m->size)
        grow(m);

    size_t at = hash_value(value, expire_ms) % (2 * m->size);

    for (; m->table[at]; at = (at + 1) % (2 * m->size))
        if (m->values[m->table[at]].expire_ms == expire_ms &&
            bytes_equal(m->values[m->table[at]].bytes, value))
            return m->table[at];
    copy = malloc(value.size + 1);
    if (!copy)
        abort();
    if (value.size)
        memcpy(copy, value.data, value.size);

    struct value *new = &m->values[m->count];

    new->bytes = bytes_of(copy, value.size);
    new->expire_ms = expire_ms;
    new->is_integer = integer_of(new->bytes, &new->integer);
    m->table[at] = m->count;
    return m->count++;
}

static uint32_t value_number(struct model *m, struct bytes value)
{
    return value_until(m, value, 0);
}

/* Of a value in place of another whose expiry it keeps. */
static uint32_t value_instead(struct model *m, struct bytes value, uint32_t old)
{
    return value_until(m, value, old ? m->values[old].expire_ms : 0);
}

static bool is_value(struct model *m, uint32_t value, uint8_t kind, struct bytes result)
{
    if (value == 0)
        return kind == REPLY_NIL;
    return kind == REPLY_BULK && bytes_equal(m->values[value].bytes, result);
}

static bool step_incrby(struct model *m, const struct linear_op *op, uint32_t *slot, bool answered)
{
    int64_t value = *slot ? m->values[*slot].integer : 0;
    uint8_t text[DIGITS_MAX];

    if ((*slot && !m->values[*slot].is_integer) || __builtin_add_overflow(value, op->by, &value))
        return !answered || op->kind == REPLY_ERROR;
    if (answered && (op->kind != REPLY_INTEGER || op->integer != value))
        return false;
    *slot = value_instead(m, text_of(value, text), *slot);
    return true;
}

static bool step_append(struct model *m, const struct linear_op *op, uint32_t *slot, bool answered)
{
    struct bytes old = *slot ? m->values[*slot].bytes : (struct bytes){0};
    size_t size = old.size + op->values[0].size;
    uint8_t *joined;

    if (answered && (op->kind != REPLY_INTEGER || op->integer != (int64_t)size))
        return false;
    joined = malloc(size + 1);
    if (!joined)
        abort();
    if (old.size)
        memcpy(joined, old.data, old.size);
    if (op->values[0].size)
        memcpy(joined + old.size, op->values[0].data, op->values[0].size);
    *slot = value_instead(m, bytes_of(joined, size), *slot);
    free(joined);
    return true;
}

static bool step_cas(struct model *m, const struct linear_op *op, uint32_t *slot, bool answered)
{
    int64_t result = !*slot ? -1 : bytes_equal(m->values[*slot].bytes, op->values[0]);

    if (result == 1)
        *slot = value_instead(m, op->values[1], *slot);
    return !answered || (op->kind == REPLY_INTEGER && op->integer == result);
}

/* Operations on several keys: DEL and EXISTS count, MGET shows, MSET sets, EXEC does both. */
static bool step_many(struct model *m, const struct linear_op *op, const struct model_slots *slots,
                      uint32_t *state, bool answered)
{
    int64_t count = 0;
    bool fits = true;

    for (uint8_t k = 0; k < op->key_count; k++) {
        uint32_t *slot = &state[slots->keys[k]];

        count += *slot != 0;
        if (op->op == OP_MGET || op->op == OP_EXEC)
            fits = fits &&
                   is_value(m, *slot, op->nils >> k & 1 ? REPLY_NIL : REPLY_BULK, op->results[k]);
        if (op->op == OP_DEL)
            *slot = 0;
        else if (op->op == OP_MSET || op->op == OP_EXEC)
            *slot = value_number(m, op->values[k]);
    }
    if (!answered)
        return true;
    if (op->op == OP_MGET || op->op == OP_EXEC)
        return fits && op->kind == REPLY_ARRAY;
    if (op->op == OP_MSET)
        return op->kind == REPLY_OK;
    return op->kind == REPLY_INTEGER && op->integer == count;
}

static bool step_one(struct model *m, const struct linear_op *op, uint32_t *slot, bool answered)
{
    uint32_t old = *slot;

    switch (op->op) {
    case OP_GET:
        return !answered || is_value(m, old, op->kind, op->results[0]);
    case OP_STRLEN:
        return !answered || (op->kind == REPLY_INTEGER &&
                             op->integer == (old ? (int64_t)m->values[old].bytes.size : 0));
    case OP_SET:
        *slot = value_number(m, op->values[0]);
        return !answered || op->kind == REPLY_OK;
    case OP_SETNX:
        if (!old)
            *slot = value_number(m, op->values[0]);
        return !answered || (op->kind == REPLY_INTEGER && op->integer == !old);
    case OP_GETSET:
        *slot = value_number(m, op->values[0]);
        return !answered || is_value(m, old, op->kind, op->results[0]);
    case OP_GETDEL:
        *slot = 0;
        return !answered || is_value(m, old, op->kind, op->results[0]);
    case OP_INCRBY:
        return step_incrby(m, op, slot, answered);
    case OP_APPEND:
        return step_append(m, op, slot, answered);
    case OP_CAS:
        return step_cas(m, op, slot, answered);
    default:
        abort();
    }
}

/* What an expiry makes of a value at a time. */
static uint32_t expiring(struct model *m, struct bytes value, int64_t expire_ms, uint32_t time)
{
    return expire_ms <= time ? 0 : value_until(m, value, expire_ms);
}

/* Operations on one key that are about its expiry. */
static bool step_timed(struct model *m, const struct linear_op *op, uint32_t *slot, uint32_t *time,
                       bool answered)
{
    uint32_t old = *slot;

    switch (op->op) {
    case LINEAR_EXPIRY:
        *time = *time < op->by ? (uint32_t)op->by : *time;
        if (old && m->values[old].expire_ms && m->values[old].expire_ms <= *time)
            *slot = 0;
        return true;
    case OP_SETX:
        *slot = expiring(m, op->values[0], op->by, *time);
        return !answered || op->kind == REPLY_OK;
    default:
        if (old)
            *slot = expiring(m, m->values[old].bytes, op->by, *time);
        return !answered || (op->kind == REPLY_INTEGER && op->integer == (old != 0));
    }
}

static bool step_persist(struct model *m, const struct linear_op *op, uint32_t *slot, bool answered)
{
    bool expires = *slot && m->values[*slot].expire_ms;

    if (expires)
        *slot = value_number(m, m->values[*slot].bytes);
    return !answered || (op->kind == REPLY_INTEGER && op->integer == expires);
}

static bool is_expiry(const struct model *m, const struct linear_op *op, uint32_t value)
{
    int64_t expire_ms = value ? m->values[value].expire_ms : 0;

    return op->kind == REPLY_INTEGER && op->integer == (!value ? -2 : expire_ms ? expire_ms : -1);
}

bool model_is_timed(const struct linear_op *op)
{
    return op->op == LINEAR_EXPIRY || op->op == OP_SETX || op->op == OP_EXPIRE;
}

bool model_step(struct model *m, const struct linear_op *op, const struct model_slots *slots,
                uint32_t *state, bool answered)
{
    uint32_t *slot = &state[slots->keys[0]];

    switch (op->op) {
    case OP_MGET:
    case OP_MSET:
    case OP_DEL:
    case OP_EXISTS:
    case OP_EXEC:
        return step_many(m, op, slots, state, answered);
    case LINEAR_EXPIRY:
    case OP_SETX:
    case OP_EXPIRE:
        return step_timed(m, op, slot, &state[slots->time], answered);
    case OP_PERSIST:
        return step_persist(m, op, slot, answered);
    case OP_PEXPIRETIME:
        return !answered || is_expiry(m, op, *slot);
    default:
        return step_one(m, op, slot, answered);
    }
}
