#include "node/execute.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/resp.h"
#include "shared/wire.h"
#include <stdio.h>
#include <stdlib.h>

/* Redis's own texts, so that clients recognise them. */
#define NOT_AN_INTEGER "ERR value is not an integer or out of range"
#define OVERFLOW       "ERR increment or decrement would overflow"

/* --- reading -------------------------------------------------------------------------------- */

/* Looks a key up as of now: 0, RK_NOTFOUND (absent, deleted or expired), or an error.
 * found->version is set in any case, zero for a key without a trace. */
static int look_up(const struct execute_view *v, struct bytes key, struct store_record *found,
                   uint64_t *position)
{
    uint64_t wait = 0;

    found->version = (struct version){0};

    int error = store_get(v->store, key, found, &wait);

    if (wait > *position)
        *position = wait;
    if (error == RK_NOTFOUND)
        found->version = (struct version){0};
    if (error)
        return error;
    if (found->deleted || (found->expire_ms && found->expire_ms <= v->now_ms))
        return RK_NOTFOUND;
    return 0;
}

/* Looks up for a read: notes what was seen, in the proof as well when one is asked for. */
static int see(const struct execute_view *v, const struct request *m, struct bytes key,
               struct store_record *found, struct execute_seen *seen)
{
    int error = look_up(v, key, found, &seen->position);
    uint8_t *at;

    if (error && error != RK_NOTFOUND)
        return error;
    if (version_compare(found->version, seen->newest) > 0)
        seen->newest = found->version;
    if (m->level < LEVEL_VALUE)
        return error;
    at = buf_reserve(v->proof, PROOF_VERSION_SIZE);
    if (!at)
        return RK_NOMEM;
    wire_put_u64(at, found->version.view);
    wire_put_u64(at + 8, found->version.op);
    buf_commit(v->proof, PROOF_VERSION_SIZE);
    return error;
}

static int read_values(const struct execute_view *v, const struct request *m, struct buf *out,
                       struct execute_seen *seen)
{
    struct bytes rest = m->args;
    size_t begun = message_begin_array_reply(out, m->id);

    if (begun == SIZE_MAX)
        return RK_NOMEM;
    for (uint16_t i = 0; i < m->arg_count; i++) {
        struct store_record found;
        int error = see(v, m, message_next_arg(&rest, NULL), &found, seen);

        if (error && error != RK_NOTFOUND) {
            buf_truncate(out, begun);
            return error;
        }
        error = message_add_value(out, begun, error ? NULL : &found.value);
        if (error)
            return error;
    }
    return message_end_array_reply(out, begun, buf_bytes(v->proof));
}

/* How many of the keys are there; only their versions when the reply will not tell (LEVEL_VERSION).
 */
static int read_count(const struct execute_view *v, const struct request *m, struct buf *out,
                      struct execute_seen *seen)
{
    struct reply reply = {.id = m->id,
                          .kind = m->level == LEVEL_VERSION ? REPLY_VERSION : REPLY_INTEGER};
    struct bytes rest = m->args;

    for (uint16_t i = 0; i < m->arg_count; i++) {
        struct store_record found;
        int error = see(v, m, message_next_arg(&rest, NULL), &found, seen);

        if (error && error != RK_NOTFOUND)
            return error;
        reply.integer += error == 0;
    }
    reply.proof = buf_bytes(v->proof);
    return message_put_reply(out, &reply);
}

static int read_one(const struct execute_view *v, const struct request *m, struct buf *out,
                    struct execute_seen *seen)
{
    struct reply reply = {.id = m->id, .kind = REPLY_NIL};
    struct bytes rest = m->args;
    struct store_record found;
    int error = see(v, m, message_next_arg(&rest, NULL), &found, seen);

    if (error && error != RK_NOTFOUND)
        return error;
    if (m->op == OP_STRLEN) {
        reply.kind = REPLY_INTEGER;
        reply.integer = error ? 0 : (int64_t)found.value.size;
    } else if (!error) {
        reply.kind = REPLY_BULK;
        reply.data = found.value;
    }
    reply.proof = buf_bytes(v->proof);
    return message_put_reply(out, &reply);
}

int execute_read(const struct execute_view *v, const struct request *m, struct buf *out,
                 struct execute_seen *seen)
{
    *seen = (struct execute_seen){0};
    buf_truncate(v->proof, 0);
    if (m->level >= LEVEL_VALUE) {
        uint8_t view[PROOF_VIEW_SIZE];

        wire_put_u64(view, v->state_view);
        if (buf_append(v->proof, view, sizeof(view)) != 0)
            return RK_NOMEM;
    }
    if (m->op == OP_EXISTS || m->level == LEVEL_VERSION)
        return read_count(v, m, out, seen);
    if (m->op == OP_MGET)
        return read_values(v, m, out, seen);
    return read_one(v, m, out, seen);
}

/* --- writing --------------------------------------------------------------------------------
 *
 * What a write saw needs no waiting of its own (`ignored`): it becomes an operation behind those
 * that wrote it. */

static int add_change(struct effect *e, enum store_change_kind kind, struct bytes key,
                      struct store_record record)
{
    if (e->change_count == e->change_size) {
        size_t size = e->change_size ? e->change_size * 2 : 8;
        struct store_change *more = realloc(e->changes, size * sizeof(*more));

        if (!more)
            return RK_NOMEM;
        e->changes = more;
        e->change_size = size;
    }
    e->changes[e->change_count++] = (struct store_change){kind, key, record};
    return 0;
}

static int fail(struct effect *e, const char *text)
{
    e->change_count = 0;
    e->reply.kind = REPLY_ERROR;
    e->reply.data = bytes_from(text);
    return 0;
}

/* Sets key to value, unless the value is too large: then the reply is an error. */
static int put(const struct execute_view *v, struct effect *e, struct version version,
               struct bytes key, struct bytes value, int64_t expire_ms)
{
    char text[96];

    if (value.size <= v->value_max)
        return add_change(e, STORE_PUT, key,
                          (struct store_record){version, expire_ms, false, value});
    snprintf(text, sizeof(text), "ERR value is too large: %zu bytes, the limit (max_value) is %u",
             value.size, v->value_max);
    buf_truncate(&e->scratch, 0);
    if (buf_append(&e->scratch, text, strlen(text)) != 0)
        return RK_NOMEM;
    fail(e, "");
    e->reply.data = buf_bytes(&e->scratch);
    return 0;
}

static int write_set(const struct execute_view *v, const struct request *m, struct version version,
                     struct effect *e)
{
    struct bytes rest = m->args;

    e->reply.kind = REPLY_OK;
    for (uint16_t i = 0; i < m->arg_count && e->reply.kind == REPLY_OK; i += 2) {
        struct bytes key = message_next_arg(&rest, NULL);
        int error = put(v, e, version, key, message_next_arg(&rest, NULL), 0);

        if (error)
            return error;
    }
    return 0;
}

static int write_setnx(const struct execute_view *v, const struct request *m,
                       struct version version, struct effect *e)
{
    struct bytes rest = m->args;
    struct bytes key = message_next_arg(&rest, NULL);
    struct store_record found;
    uint64_t ignored = 0;
    int error = look_up(v, key, &found, &ignored);

    e->reply.kind = REPLY_INTEGER;
    e->reply.integer = error == RK_NOTFOUND;
    if (error != RK_NOTFOUND)
        return error;
    return put(v, e, version, key, message_next_arg(&rest, NULL), 0);
}

/* The old value is copied: it has to outlive what the store does with the new one. */
static int write_getset(const struct execute_view *v, const struct request *m,
                        struct version version, struct effect *e)
{
    struct bytes rest = m->args;
    struct bytes key = message_next_arg(&rest, NULL);
    struct store_record found;
    uint64_t ignored = 0;
    int error = look_up(v, key, &found, &ignored);

    e->reply.kind = error ? REPLY_NIL : REPLY_BULK;
    if (error && error != RK_NOTFOUND)
        return error;
    if (!error && buf_append(&e->scratch, found.value.data, found.value.size) != 0)
        return RK_NOMEM;
    e->reply.data = buf_bytes(&e->scratch);
    return put(v, e, version, key, message_next_arg(&rest, NULL), 0);
}

static bool deleted_already(const struct effect *e, struct bytes key)
{
    for (size_t i = 0; i < e->change_count; i++)
        if (bytes_equal(e->changes[i].key, key))
            return true;
    return false;
}

static int write_del(const struct execute_view *v, const struct request *m, struct version version,
                     struct effect *e)
{
    struct bytes rest = m->args;
    struct store_record tombstone = {.version = version, .deleted = true};

    e->reply.kind = REPLY_INTEGER;
    for (uint16_t i = 0; i < m->arg_count; i++) {
        struct bytes key = message_next_arg(&rest, NULL);
        struct store_record found;
        uint64_t ignored = 0;
        int error = look_up(v, key, &found, &ignored);

        if (error && error != RK_NOTFOUND)
            return error;
        if (error || deleted_already(e, key))
            continue;
        error = add_change(e, v->keep_tombstones ? STORE_PUT : STORE_FORGET, key, tombstone);
        if (error)
            return error;
        e->reply.integer++;
    }
    return 0;
}

static int write_incrby(const struct execute_view *v, const struct request *m,
                        struct version version, struct effect *e)
{
    struct bytes rest = m->args;
    struct bytes key = message_next_arg(&rest, NULL);
    int64_t by = wire_get_i64(message_next_arg(&rest, NULL).data), value = 0;
    struct store_record found;
    uint64_t ignored = 0;
    int error = look_up(v, key, &found, &ignored);
    int64_t expire_ms = error ? 0 : found.expire_ms;
    char digits[20];

    if (error && error != RK_NOTFOUND)
        return error;
    if (!error && resp_read_integer(found.value, &value) != 0)
        return fail(e, NOT_AN_INTEGER);
    if (__builtin_add_overflow(value, by, &value))
        return fail(e, OVERFLOW);
    e->reply.kind = REPLY_INTEGER;
    e->reply.integer = value;
    if (buf_append(&e->scratch, digits, resp_format_integer(digits, value)) != 0)
        return RK_NOMEM;
    return put(v, e, version, key, buf_bytes(&e->scratch), expire_ms);
}

static int write_append(const struct execute_view *v, const struct request *m,
                        struct version version, struct effect *e)
{
    struct bytes rest = m->args;
    struct bytes key = message_next_arg(&rest, NULL), more = message_next_arg(&rest, NULL);
    struct store_record found = {0};
    uint64_t ignored = 0;
    int error = look_up(v, key, &found, &ignored);

    if (error && error != RK_NOTFOUND)
        return error;
    if (error)
        found = (struct store_record){0};
    if (buf_append(&e->scratch, found.value.data, found.value.size) != 0 ||
        buf_append(&e->scratch, more.data, more.size) != 0)
        return RK_NOMEM;
    e->reply.kind = REPLY_INTEGER;
    e->reply.integer = (int64_t)buf_len(&e->scratch);
    return put(v, e, version, key, buf_bytes(&e->scratch), found.expire_ms);
}

int execute_write(const struct execute_view *v, const struct request *m, struct version version,
                  struct effect *e)
{
    e->change_count = 0;
    e->reply = (struct reply){.id = m->id};
    buf_truncate(&e->scratch, 0);
    switch (m->op) {
    case OP_SET:
    case OP_MSET:
        return write_set(v, m, version, e);
    case OP_SETNX:
        return write_setnx(v, m, version, e);
    case OP_GETSET:
        return write_getset(v, m, version, e);
    case OP_DEL:
        return write_del(v, m, version, e);
    case OP_INCRBY:
        return write_incrby(v, m, version, e);
    case OP_APPEND:
        return write_append(v, m, version, e);
    default:
        return RK_INVALID;
    }
}

void effect_free(struct effect *e)
{
    free(e->changes);
    buf_free(&e->scratch);
}
