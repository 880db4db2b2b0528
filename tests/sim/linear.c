#include "tests/sim/linear.h"
#include "tests/sim/linear_model.h"
#include <stdlib.h>

enum {
    WORDS_MAX = LINEAR_OPS_MAX / 64,
    STATE_MAX = LINEAR_KEYS_MAX + 1, /* the keys' values, and the time */
    TIME_KEY = UINT16_MAX,           /* stands for it among the keys */
};

/* One configuration: which operations have taken effect, and the state they made. */
struct configuration {
    uint64_t done[WORDS_MAX];
    uint32_t state[STATE_MAX];
    /* 1 + the operation without an answer that came last: what follows must need it (0: none). */
    uint32_t guess;
    uint32_t guesses; /* how many without an answer have taken effect */
};

/* What the search wants to know of an operation again and again. */
struct known {
    const struct linear_op *op;
    uint32_t mask; /* its keys, as bits */
    struct model_slots slots;
    bool reads;    /* it is no write */
    uint32_t twin; /* 1 + the last one before it without an answer and alike (0: none) */
};

/* The configurations seen: packed, found through a table of their indexes. An entry counts when it
 * has the present stamp, so a search begins with an empty table for nothing. */
struct memory {
    uint8_t *seen;
    size_t seen_count, seen_size; /* bytes */
    struct memory_slot {
        uint32_t stamp, index;
    } * table;
    size_t table_size; /* a power of two */
    uint32_t stamp;
};

struct search {
    struct model *model;
    struct memory *memory;
    struct known *ops; /* those with an answer by invocation, then those without */
    size_t count, answered;
    uint16_t keys[STATE_MAX];
    size_t key_count, words, packed_size;
    size_t left; /* configurations that may still be looked at */
    size_t guesses_max;
    bool guesses_missed; /* more guesses would have been tried */
};

static void *grow(void *array, size_t size)
{
    void *more = realloc(array, size);

    if (!more)
        abort();
    return more;
}

/* --- configurations seen -------------------------------------------------------------------- */

static uint64_t hash_bytes(const uint8_t *at, size_t size)
{
    uint64_t h = 0xcbf29ce484222325;

    for (size_t i = 0; i < size; i += 4) {
        uint32_t word;

        memcpy(&word, at + i, 4);
        h = (h ^ word) * 0x9e3779b97f4a7c15;
        h ^= h >> 29;
    }
    return h;
}

/* Where a packed configuration stands in the table, or could stand. */
static struct memory_slot *find_slot(const struct search *s, const uint8_t *packed)
{
    const struct memory *m = s->memory;
    size_t mask = m->table_size - 1, at = hash_bytes(packed, s->packed_size) & mask;

    while (m->table[at].stamp == m->stamp &&
           memcmp(m->seen + m->table[at].index * s->packed_size, packed, s->packed_size) != 0)
        at = (at + 1) & mask;
    return &m->table[at];
}

static void table_grow(const struct search *s)
{
    struct memory *m = s->memory;

    m->table_size = m->table_size ? m->table_size * 2 : 1024;
    free(m->table);
    m->table = calloc(m->table_size, sizeof(*m->table));
    if (!m->table)
        abort();
    m->stamp = 1;
    for (size_t i = 0; i < m->seen_count; i++)
        *find_slot(s, m->seen + i * s->packed_size) = (struct memory_slot){m->stamp, (uint32_t)i};
}

static void forget_all(struct memory *m)
{
    m->seen_count = 0;
    m->stamp++;
}

/* True when it is new. */
static bool remember(const struct search *s, const struct configuration *c)
{
    struct memory *m = s->memory;
    uint8_t packed[sizeof(*c)];
    size_t done_size = s->words * 8, end = m->seen_count * s->packed_size;
    struct memory_slot *slot;

    memcpy(packed, c->done, done_size);
    memcpy(packed + done_size, &c->guess, 4);
    memcpy(packed + done_size + 4, c->state, s->key_count * 4);
    if ((m->seen_count + 1) * 2 > m->table_size)
        table_grow(s);
    slot = find_slot(s, packed);
    if (slot->stamp == m->stamp)
        return false;
    if (end + s->packed_size > m->seen_size) {
        m->seen_size = 2 * (end + s->packed_size) + (1 << 14);
        m->seen = grow(m->seen, m->seen_size);
    }
    memcpy(m->seen + end, packed, s->packed_size);
    *slot = (struct memory_slot){m->stamp, (uint32_t)m->seen_count++};
    return true;
}

/* --- the search ----------------------------------------------------------------------------- */

static bool is_done(const struct configuration *c, size_t i)
{
    return c->done[i / 64] >> (i % 64) & 1;
}

static void set_done(struct configuration *c, size_t i)
{
    c->done[i / 64] |= (uint64_t)1 << (i % 64);
}

/* Its effect does not depend on what was there, nor does its answer. */
static bool is_blind(const struct search *s, size_t i)
{
    switch (s->ops[i].op->op) {
    case OP_SET:
    case OP_SETX:
    case OP_MSET:
        return true;
    case OP_GETSET:
    case OP_GETDEL:
    case OP_DEL:
        return i >= s->answered;
    default:
        return false;
    }
}

/* Whether operation i can come right after the guess. An operation without an answer has no end, so
 * it can as well come after one that does not touch its keys, and is not needed at all before one
 * that overwrites what it did. */
static bool needs_guess(const struct search *s, const struct configuration *c, size_t i)
{
    uint32_t guessed;

    if (!c->guess)
        return true;
    guessed = s->ops[c->guess - 1].mask;
    /* Guesses side by side that do not touch each other come in one order. */
    if (i >= s->answered && (guessed & s->ops[i].mask) == 0)
        return i >= c->guess;
    return (guessed & s->ops[i].mask) && !(is_blind(s, i) && (guessed & ~s->ops[i].mask) == 0);
}

static bool are_alike(const struct linear_op *a, const struct linear_op *b)
{
    if (a->op != b->op || a->key_count != b->key_count || a->by != b->by)
        return false;
    for (uint8_t k = 0; k < a->key_count; k++)
        if (a->keys[k] != b->keys[k])
            return false;
    /* CAS has more values than keys. */
    for (uint8_t k = 0; k < LINEAR_OP_KEYS_MAX; k++)
        if (!bytes_equal(a->values[k], b->values[k]))
            return false;
    return true;
}

/* Of several alike without an answer only the first has to be tried. */
static bool has_twin(const struct search *s, const struct configuration *c, size_t i)
{
    return s->ops[i].twin && !is_done(c, s->ops[i].twin - 1);
}

/* Whether one of its line has to take effect before it, and has not; all from `first` on. */
static bool is_behind(const struct search *s, const struct configuration *c, size_t first, size_t i)
{
    const struct known *known = &s->ops[i];

    for (size_t j = first; known->op->line && j < i; j++)
        if (s->ops[j].op->line == known->op->line && !is_done(c, j) &&
            !(known->reads && s->ops[j].reads))
            return true;
    return false;
}

/* The operations that may be the next to take effect: begun before any that is not done has ended.
 * Those that must end first come first. */
static size_t candidates(struct search *s, const struct configuration *c, size_t first,
                         uint16_t *out)
{
    bool may_guess = c->guesses < s->guesses_max;
    uint64_t end = LINEAR_NEVER;
    size_t count = 0;

    for (size_t i = first; i < s->answered && s->ops[i].op->invoked < end; i++) {
        uint64_t returned = s->ops[i].op->returned;
        size_t at = count;

        if (is_done(c, i))
            continue;
        if (returned < end)
            end = returned;
        if (is_behind(s, c, first, i))
            continue;
        for (; at && s->ops[out[at - 1]].op->returned > returned; at--)
            out[at] = out[at - 1];
        out[at] = (uint16_t)i;
        count++;
    }
    for (size_t i = s->answered; i < s->count; i++) {
        if (is_done(c, i) || s->ops[i].op->invoked > end || has_twin(s, c, i))
            continue;
        if (may_guess)
            out[count++] = (uint16_t)i;
        else
            s->guesses_missed = true;
    }
    return count;
}

enum taken { TAKEN_IMPOSSIBLE, TAKEN_UNCHANGED, TAKEN_CHANGED };

static enum taken take(const struct search *s, const struct configuration *c, size_t i,
                       struct configuration *next)
{
    bool answered = i < s->answered;

    if (!needs_guess(s, c, i))
        return TAKEN_IMPOSSIBLE;
    memcpy(next->state, c->state, s->key_count * 4);
    if (!model_step(s->model, s->ops[i].op, &s->ops[i].slots, next->state, answered))
        return TAKEN_IMPOSSIBLE;
    memcpy(next->done, c->done, s->words * 8);
    set_done(next, i);
    next->guess = answered ? 0 : (uint32_t)i + 1;
    next->guesses = c->guesses + !answered;
    return memcmp(next->state, c->state, s->key_count * 4) ? TAKEN_CHANGED : TAKEN_UNCHANGED;
}

/* By its answer it had no effect, whatever was there. */
static bool only_looked(const struct known *known)
{
    const struct linear_op *op = known->op;

    return known->reads || op->kind == REPLY_ERROR ||
           ((op->op == OP_SETNX || op->op == OP_DEL || op->op == OP_EXPIRE ||
             op->op == OP_PERSIST) &&
            op->integer == 0) ||
           (op->op == OP_CAS && op->integer != 1);
}

static enum linear_verdict search_from(struct search *s, const struct configuration *c,
                                       size_t first)
{
    struct configuration next;
    uint16_t order[LINEAR_OPS_MAX];
    enum linear_verdict worst = LINEAR_NO;

    while (first < s->answered && is_done(c, first))
        first++;
    if (first == s->answered)
        return LINEAR_YES;
    if (!remember(s, c))
        return LINEAR_NO;
    if (s->left == 0)
        return LINEAR_UNDECIDED;
    s->left--;

    size_t count = candidates(s, c, first, order);

    /* One that only looks, and fits, can come now as well as later: no need to try others. */
    for (size_t i = 0; i < count && order[i] < s->answered; i++)
        if (only_looked(&s->ops[order[i]]) && take(s, c, order[i], &next) == TAKEN_UNCHANGED)
            return search_from(s, &next, first);
    for (size_t i = 0; i < count; i++) {
        enum taken taken = take(s, c, order[i], &next);

        /* One without an answer that changes nothing need not be placed at all. */
        if (taken == TAKEN_IMPOSSIBLE || (taken == TAKEN_UNCHANGED && order[i] >= s->answered))
            continue;

        enum linear_verdict verdict = search_from(s, &next, first);

        if (verdict == LINEAR_YES)
            return LINEAR_YES;
        if (verdict == LINEAR_UNDECIDED)
            worst = LINEAR_UNDECIDED;
    }
    return worst;
}

/* --- keys that are tied together ------------------------------------------------------------ */

static uint16_t root_of(const uint16_t *parents, uint16_t key)
{
    while (parents[key] != key)
        key = parents[key];
    return key;
}

static uint16_t key_max(const struct linear_op *ops, size_t count)
{
    uint16_t most = 0;

    for (size_t i = 0; i < count; i++)
        for (uint8_t k = 0; k < ops[i].key_count; k++)
            if (ops[i].keys[k] > most)
                most = ops[i].keys[k];
    return most;
}

static uint16_t *tie_keys(const struct linear_op *ops, size_t count)
{
    uint16_t *parents = grow(NULL, ((size_t)key_max(ops, count) + 1) * sizeof(*parents));

    for (size_t i = 0; i < count; i++)
        for (uint8_t k = 0; k < ops[i].key_count; k++)
            parents[ops[i].keys[k]] = ops[i].keys[k];
    for (size_t i = 0; i < count; i++)
        for (uint8_t k = 1; k < ops[i].key_count; k++)
            parents[root_of(parents, ops[i].keys[k])] = root_of(parents, ops[i].keys[0]);
    return parents;
}

static int by_invocation(const void *a, const void *b)
{
    const struct linear_op *x = ((const struct known *)a)->op;
    const struct linear_op *y = ((const struct known *)b)->op;
    bool x_never = x->returned == LINEAR_NEVER, y_never = y->returned == LINEAR_NEVER;

    if (x_never != y_never)
        return x_never ? 1 : -1;
    return (x->invoked > y->invoked) - (x->invoked < y->invoked);
}

/* Where in the state a key is. */
static uint8_t slot_of(struct search *s, uint16_t key)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (s->keys[i] == key)
            return (uint8_t)i;
    if (s->key_count == STATE_MAX)
        abort();
    s->keys[s->key_count] = key;
    return (uint8_t)s->key_count++;
}

static bool reads(const struct linear_op *op)
{
    return op->op != LINEAR_EXPIRY && !operation_info(op->op)->writes;
}

static void know(struct search *s, const struct linear_op *op)
{
    struct known *known = &s->ops[s->count++];

    *known = (struct known){.op = op, .reads = reads(op)};
    for (uint8_t k = 0; k < op->key_count; k++) {
        known->slots.keys[k] = slot_of(s, op->keys[k]);
        known->mask |= 1u << known->slots.keys[k];
    }
    if (model_is_timed(op))
        known->slots.time = slot_of(s, TIME_KEY);
    s->answered += op->returned != LINEAR_NEVER;
}

static void find_twins(struct search *s)
{
    for (size_t i = s->answered; i < s->count; i++)
        for (size_t j = s->answered; j < i; j++)
            if (are_alike(s->ops[i].op, s->ops[j].op))
                s->ops[i].twin = (uint32_t)j + 1;
}

/* Gathers the operations on the keys tied to `root`. */
static void gather(struct search *s, const struct linear_op *ops, size_t count,
                   const uint16_t *parents, uint16_t root)
{
    for (size_t i = 0; i < count; i++) {
        if (root_of(parents, ops[i].keys[0]) != root)
            continue;
        if (ops[i].returned == LINEAR_NEVER && reads(&ops[i]))
            continue;
        if (s->count == LINEAR_OPS_MAX)
            abort();
        know(s, &ops[i]);
    }
    if (s->count)
        qsort(s->ops, s->count, sizeof(*s->ops), by_invocation);
    find_twins(s);
    s->words = (s->count + 63) / 64;
    s->packed_size = s->words * 8 + 4 + s->key_count * 4;
}

static enum linear_verdict check_tied(struct search *s, const struct linear_op *ops, size_t count,
                                      const uint16_t *parents, uint16_t root, size_t max)
{
    struct configuration start = {0};
    enum linear_verdict verdict;

    s->count = s->answered = s->key_count = 0;
    gather(s, ops, count, parents, root);
    /* Few of the operations without an answer are needed, mostly: those with few guesses are looked
     * for first. */
    s->guesses_max = 1;
    s->left = max;
    do {
        s->guesses_max *= 2;
        s->guesses_missed = false;
        forget_all(s->memory);
        verdict = search_from(s, &start, 0);
    } while (verdict != LINEAR_YES && s->guesses_missed);
    return verdict;
}

enum linear_verdict linear_check(const struct linear_op *ops, size_t count,
                                 size_t configurations_max, uint16_t *key)
{
    uint16_t *parents = tie_keys(ops, count);
    uint8_t *checked = calloc((size_t)key_max(ops, count) + 1, 1);
    struct known known[LINEAR_OPS_MAX];
    struct memory memory = {0};
    struct search s = {.model = model_new(), .memory = &memory, .ops = known};
    enum linear_verdict verdict = LINEAR_YES;

    if (!checked)
        abort();
    for (size_t i = 0; i < count && verdict == LINEAR_YES; i++) {
        uint16_t root = root_of(parents, ops[i].keys[0]);

        if (checked[root])
            continue;
        checked[root] = 1;
        verdict = check_tied(&s, ops, count, parents, root, configurations_max);
        *key = ops[i].keys[0];
    }
    model_free(s.model);
    free(memory.seen);
    free(memory.table);
    free(parents);
    free(checked);
    return verdict;
}
