#include "node/execute_parts.h"
#include "node/mutant.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/proof.h"
#include "shared/wire.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE_TEXT_MAX = 96 };

/* --- the operations ------------------------------------------------------------------------- */

typedef int operation_function(struct execute *x);

static operation_function *const functions[] = {
    [OP_GET] = execute_get,           [OP_MGET] = execute_mget,
    [OP_EXISTS] = execute_exists,     [OP_STRLEN] = execute_strlen,
    [OP_SET] = execute_set,           [OP_MSET] = execute_set,
    [OP_SETNX] = execute_setnx,       [OP_GETSET] = execute_getset,
    [OP_DEL] = execute_del,           [OP_INCRBY] = execute_incrby,
    [OP_APPEND] = execute_append,     [OP_CAS] = execute_cas,
    [OP_MSETNX] = execute_msetnx,     [OP_RENAME] = execute_rename,
    [OP_COPY] = execute_copy,         [OP_WATCH] = execute_watch,
    [OP_EXEC] = execute_exec,         [OP_SCAN] = execute_scan,
    [OP_COUNT] = execute_count,       [OP_FLUSH] = execute_flush,
    [OP_SETX] = execute_setx,         [OP_GETEX] = execute_getex,
    [OP_GETDEL] = execute_getdel,     [OP_EXPIRE] = execute_expire,
    [OP_PERSIST] = execute_persist,   [OP_PTTL] = execute_pttl,
    [OP_PEXPIRETIME] = execute_pttl,  [OP_GETRANGE] = execute_getrange,
    [OP_SETRANGE] = execute_setrange, [OP_INCRBYFLOAT] = execute_incrbyfloat,
    [OP_SETBIT] = execute_setbit,     [OP_GETBIT] = execute_getbit,
    [OP_BITCOUNT] = execute_bitcount, [OP_BITPOS] = execute_bitpos,
    [OP_LCS] = execute_lcs,           [OP_ENCODING] = execute_encoding,
    [OP_USAGE] = execute_usage,
};

/* NULL: there is none, or none that writes, or reads, as is asked for. */
static operation_function *function_of(uint8_t op, bool writes)
{
    const struct operation_info *info = operation_info(op);

    return info && info->writes == writes ? functions[op] : NULL;
}

/* --- what they share ------------------------------------------------------------------------ */

int64_t execute_integer_arg(struct execute *x)
{
    return wire_get_i64(execute_arg(x).data);
}

static int prove(struct execute *x, struct version version)
{
    struct buf *proof = x->view->proof;
    uint8_t *at = buf_reserve(proof, PROOF_VERSION_SIZE);

    if (!at)
        return RK_NOMEM;
    proof_put_version(at, version.view, version.op);
    buf_commit(proof, PROOF_VERSION_SIZE);
    return 0;
}

static int prove_unchanged(struct execute *x)
{
    proof_put_head(buf_head(x->view->proof), x->view->last.view, x->view->unchanged_since);
    return prove(x, (struct version){PROOF_UNCHANGED, 0});
}

/* Notes what a read saw. Whether the record has expired is not part of the proof: clocks differ. */
static int note_seen(struct execute *x, struct version version, uint64_t position)
{
    if (position > x->seen->position)
        x->seen->position = position;
    if (version_compare(version, x->seen->newest) > 0)
        x->seen->newest = version;
    return x->request->level < LEVEL_VALUE ? 0 : prove(x, version);
}

/* The newest change of a key by the operation itself, or by its transaction; NULL: none. */
static const struct store_change *own_change(const struct execute *x, struct bytes key)
{
    const struct store_change *own = change_list_find(&x->effect->changes, key);

    return own || !x->before ? own : change_list_find(x->before, key);
}

/* Reads the record, be it deleted or expired. RK_NOTFOUND: the key has no trace. What a write saw
 * needs no waiting of its own: it becomes an operation behind those that wrote it. */
static int read_record(struct execute *x, struct bytes key, struct store_record *found)
{
    const struct store_change *own = x->effect ? own_change(x, key) : NULL;
    uint64_t position = 0;
    int error, unproven = 0;

    if (own) {
        *found = own->record;
        return own->kind == STORE_FORGET ? RK_NOTFOUND : 0;
    }
    error = store_get(x->view->store, key, found, &position);
    if (error && error != RK_NOTFOUND)
        return error;
    if (error)
        found->version = (struct version){0};
    if (!x->effect) {
        x->seen->traceless |= error != 0;
        unproven = note_seen(x, found->version, position);
    }
    return unproven ? unproven : error;
}

/* Whether a record is there now: 0, RK_NOTFOUND, RK_UNSETTLED. */
static int judge(const struct execute *x, const struct store_record *record)
{
    int64_t left_ms = record->expire_ms - x->view->now_ms;

    if (record->deleted)
        return RK_NOTFOUND;
    if (!record->expire_ms)
        return 0;
    if (x->request->level == LEVEL_VALUE && left_ms < EXECUTE_CLOCK_MS &&
        !(MUTANT_OF(x->view->mutants, EXPIRED_JUDGED) && left_ms <= -EXECUTE_CLOCK_MS))
        return RK_UNSETTLED;
    return left_ms > 0 || MUTANT_OF(x->view->mutants, EXPIRED_SEEN) ? 0 : RK_NOTFOUND;
}

int execute_look_up(struct execute *x, struct bytes key, struct store_record *found)
{
    int error = read_record(x, key, found);

    if (!error)
        error = judge(x, found);
    if (error != RK_NOTFOUND)
        return error;
    found->value = (struct bytes){0};
    found->expire_ms = 0;
    return RK_NOTFOUND;
}

bool execute_range_cut(struct execute_range *range, int64_t size)
{
    if (range->first < 0)
        range->first = range->first < -size ? 0 : range->first + size;
    if (range->last < 0)
        range->last = range->last < -size ? 0 : range->last + size;
    if (range->last >= size)
        range->last = size - 1;
    return range->first <= range->last;
}

/* --- reading -------------------------------------------------------------------------------- */

int execute_answer(struct execute *x, const struct reply *reply)
{
    struct reply whole = *reply;

    whole.id = x->request->id;
    whole.proof = buf_bytes(x->view->proof);
    return message_put_reply(x->out, &whole);
}

/* Who gives the value looks into the tree; it is enough when this replica has seen no change. */
static int read_version(struct execute *x, struct bytes key)
{
    struct store_record found;
    uint64_t position;
    int error = store_get_recent(x->view->store, key, &found, &position);

    if (error == RK_UNCHANGED)
        return prove_unchanged(x);
    if (error && error != RK_NOTFOUND)
        return error;
    return note_seen(x, error ? (struct version){0} : found.version, position);
}

/* The versions of the keys and nothing else, whatever the operation would tell of them. */
static int read_versions(struct execute *x)
{
    const char *letters = operation_info(x->request->op)->args;
    const char *letter = letters;

    for (uint16_t i = 0; i < x->request->arg_count; i++) {
        struct bytes arg = execute_arg(x);
        int error = *letter == 'k' ? read_version(x, arg) : 0;

        if (error)
            return error;
        letter++;
        if (!*letter || *letter == '*')
            letter = letters;
    }
    return execute_answer(x, &(struct reply){.kind = REPLY_VERSION,
                                             .op = x->view->last.op,
                                             .touches = x->view->touches});
}

int execute_read(const struct execute_view *v, const struct request *m, struct buf *out,
                 struct execute_seen *seen)
{
    struct execute x = {.view = v, .request = m, .rest = m->args, .out = out, .seen = seen};
    operation_function *function = function_of(m->op, false);

    if (!function || (m->level >= LEVEL_VALUE && operation_is_range(m->op)))
        return RK_INVALID;
    *seen = (struct execute_seen){0};
    buf_truncate(v->proof, 0);
    if (m->level >= LEVEL_VALUE) {
        uint8_t *head = buf_reserve(v->proof, PROOF_HEAD_SIZE);

        if (!head)
            return RK_NOMEM;
        proof_put_head(head, v->last.view, m->level == LEVEL_VALUE ? v->last.op : 0);
        buf_commit(v->proof, PROOF_HEAD_SIZE);
    }
    return m->level == LEVEL_VERSION ? read_versions(&x) : function(&x);
}

/* --- writing -------------------------------------------------------------------------------- */

int execute_fail(struct execute *x, const char *text)
{
    change_list_clear(&x->effect->changes);
    x->effect->reply.kind = REPLY_ERROR;
    x->effect->reply.data = bytes_from(text);
    return 0;
}

int execute_fail_size(struct execute *x, uint64_t size)
{
    char *text = arena_alloc(&x->effect->arena, SIZE_TEXT_MAX);

    if (!text)
        return RK_NOMEM;
    snprintf(text, SIZE_TEXT_MAX,
             "ERR value is too large: %" PRIu64 " bytes, the limit (max_value) is %u", size,
             x->view->value_max);
    return execute_fail(x, text);
}

int execute_keep(struct execute *x, struct bytes *value)
{
    value->data = arena_copy(&x->effect->arena, value->data, value->size);
    return value->data ? 0 : RK_NOMEM;
}

uint8_t *execute_grown(struct execute *x, struct bytes value, size_t size)
{
    uint8_t *copy = arena_alloc(&x->effect->arena, size);

    if (!copy)
        return NULL;
    if (value.size)
        memcpy(copy, value.data, value.size);
    if (size > value.size)
        memset(copy + value.size, 0, size - value.size);
    return copy;
}

int execute_reply_value(struct execute *x, struct bytes value)
{
    if (execute_keep(x, &value) != 0)
        return RK_NOMEM;
    x->effect->reply.kind = REPLY_BULK;
    x->effect->reply.data = value;
    return 0;
}

int execute_put(struct execute *x, struct bytes key, struct bytes value, int64_t expire_ms)
{
    if (value.size > x->view->value_max)
        return execute_fail_size(x, value.size);
    return change_list_put(
        &x->effect->changes,
        &(struct store_change){STORE_PUT, key, {x->version, expire_ms, false, value}});
}

int execute_delete(struct execute *x, struct bytes key)
{
    struct store_change change = {x->view->keep_tombstones ? STORE_PUT : STORE_FORGET,
                                  key,
                                  {.version = x->version, .deleted = true}};

    return change_list_put(&x->effect->changes, &change);
}

/* Runs the operation of a transaction. */
int execute_operation(struct execute *x)
{
    return functions[x->request->op](x);
}

int execute_write(const struct execute_view *v, const struct request *m, struct version version,
                  struct effect *e)
{
    struct execute x = {.view = v, .request = m, .rest = m->args, .effect = e, .version = version};
    operation_function *function = function_of(m->op, true);

    effect_clear(e);
    e->reply.id = m->id;
    return function ? function(&x) : RK_INVALID;
}

void effect_clear(struct effect *e)
{
    change_list_clear(&e->changes);
    e->reply = (struct reply){0};
    arena_reset(&e->arena);
}

void effect_free(struct effect *e)
{
    if (e->inner) {
        effect_free(e->inner);
        free(e->inner);
    }
    change_list_free(&e->changes);
    arena_free(&e->arena);
    buf_free(&e->answer);
    buf_free(&e->results);
}
