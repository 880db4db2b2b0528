/* Transactions: operations one after the other, in one piece. Each sees what those before it have
 * changed, and nothing of it is seen by anybody else before all are done. */
#include "node/execute_parts.h"
#include "node/mutant.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/operation.h"
#include "shared/transaction.h"
#include "shared/wire.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    /* Bytes of what a transaction changes and answers, earlier values of a key that it changes
     * again included: it bounds the time that one takes, as well as its step and its reply. */
    WORK_MAX = VALUE_SIZE_MAX + (1 << 19),
    WORK_HEAD = 64, /* a change or a result counts for this and its bytes */
};
_Static_assert((int)WORK_MAX < (int)FRAME_BODY_MAX, "its step and its reply fit in a frame");

/* --- watched keys --------------------------------------------------------------------------- */

/* The token of a key that is there has the version of its record; of one that is not, the version
 * at which the replica stood. */
static int make_token(struct execute *x, struct bytes key, uint8_t token[WATCH_TOKEN_SIZE])
{
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    struct version version = error ? x->view->last : found.version;

    if (error && error != RK_NOTFOUND)
        return error;
    token[0] = !error;
    wire_put_u64(token + 1, version.view);
    wire_put_u64(token + 9, version.op);
    return 0;
}

int execute_watch(struct execute *x)
{
    size_t begun = message_begin_array_reply(x->out, x->request->id);
    int error = begun == SIZE_MAX ? RK_NOMEM : 0;

    for (uint16_t i = 0; i < x->request->arg_count && !error; i++) {
        uint8_t token[WATCH_TOKEN_SIZE];
        struct bytes value = {token, sizeof(token)};

        error = make_token(x, execute_arg(x), token);
        if (error)
            buf_truncate(x->out, begun);
        else
            error = message_add_value(x->out, begun, &value);
    }
    return error ? error : message_end_array_reply(x->out, begun, buf_bytes(x->view->proof));
}

/* A key that was not there and is not there may have come and gone: then it has a newer trace, or
 * the partition has forgotten a key since, whichever it was. */
static int has_changed(struct execute *x, const struct transaction_item *item, bool *changed)
{
    struct version then = {wire_get_u64(item->token.data + 1), wire_get_u64(item->token.data + 9)};
    bool was_there = item->token.data[0];
    struct store_record found;
    int error = execute_look_up(x, item->key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    if (MUTANT_OF(x->view->mutants, UNWATCHED))
        *changed = false;
    else if (was_there || !error)
        *changed = !was_there || error || version_compare(found.version, then) != 0;
    else
        *changed = version_compare(found.version, then) > 0 ||
                   (version_compare(x->view->forgotten, then) > 0 &&
                    !MUTANT_OF(x->view->mutants, TRACELESS));
    return 0;
}

/* --- operations ----------------------------------------------------------------------------- */

static int too_large(struct execute *x)
{
    char text[128];
    int size = snprintf(text, sizeof(text),
                        "EXECABORT Transaction discarded because it changes more than %d keys, or "
                        "changes and answers more than %d bytes",
                        STORE_CHANGES_MAX, WORK_MAX);
    const char *kept = arena_copy(&x->effect->arena, text, (size_t)size + 1);

    return kept ? execute_fail(x, kept) : RK_NOMEM;
}

static bool lies_in(struct bytes part, struct bytes whole)
{
    return part.data >= whole.data && part.data + part.size <= whole.data + whole.size;
}

/* Takes over what an operation changed. Values that were in the store must be copied: the next
 * operation looks something up there. */
static int take_changes(struct execute *x, const struct change_list *changes, size_t *work)
{
    for (size_t i = 0; i < changes->count; i++) {
        struct store_change change = changes->items[i];
        struct bytes *value = &change.record.value;
        int error;

        *work += WORK_HEAD + change.key.size + value->size;
        if (value->size && !lies_in(*value, x->request->args)) {
            value->data = arena_copy(&x->effect->arena, value->data, value->size);
            if (!value->data)
                return RK_NOMEM;
        }
        error = change_list_put(&x->effect->changes, &change);
        if (error)
            return error;
    }
    return 0;
}

static int take_result(struct execute *x, const struct reply *reply, size_t *work)
{
    *work += WORK_HEAD + reply->data.size;
    return transaction_put_result(&x->effect->results, reply);
}

/* A read answers in a frame, from which its reply is taken. */
static int run_read(struct execute *x, struct execute *one, size_t *work)
{
    struct frame f;
    struct reply reply;
    int error;

    buf_truncate(&x->effect->answer, 0);
    one->out = &x->effect->answer;
    error = execute_operation(one);
    if (error)
        return error;
    if (frame_read(buf_bytes(one->out), FRAME_BODY_MAX, &f) <= 0 ||
        message_get_reply(f.body, &reply) != 0)
        return RK_INVALID;
    return take_result(x, &reply, work);
}

static int run_write(struct execute *x, struct execute *one, size_t *work)
{
    int error = execute_operation(one);

    if (!error)
        error = take_result(x, &one->effect->reply, work);
    return error ? error : take_changes(x, &one->effect->changes, work);
}

static int run_one(struct execute *x, const struct transaction_item *item, size_t *work)
{
    struct request m = {.op = item->op,
                        .level = LEVEL_PRIMARY,
                        .partition = x->request->partition,
                        .arg_count = item->arg_count,
                        .args = item->args};
    struct execute one = {.view = x->view,
                          .request = &m,
                          .rest = m.args,
                          .effect = x->effect->inner,
                          .before = &x->effect->changes,
                          .version = x->version};

    effect_clear(one.effect);
    return operation_info(item->op)->writes ? run_write(x, &one, work) : run_read(x, &one, work);
}

static int prepare(struct execute *x)
{
    struct effect *e = x->effect;

    if (!e->inner)
        e->inner = calloc(1, sizeof(*e->inner));
    buf_truncate(&e->results, 0);
    buf_trim(&e->results, ARENA_KEPT_SIZE);
    buf_truncate(x->view->proof, 0);
    return e->inner ? 0 : RK_NOMEM;
}

/* The parts are known to be valid. */
static int run_all(struct execute *x, bool *changed, size_t *work)
{
    for (uint16_t i = 0; i < x->request->arg_count; i++) {
        struct transaction_item item;
        int error = transaction_get_item(execute_arg(x), &item);

        if (!error && item.op == 0)
            error = has_changed(x, &item, changed);
        else if (!error)
            error = run_one(x, &item, work);
        if (error)
            return error;
        if (*changed || *work > WORK_MAX)
            return 0;
        x->effect->reply.count += item.op != 0;
    }
    return 0;
}

int execute_exec(struct execute *x)
{
    struct effect *e = x->effect;
    size_t work = 0;
    bool changed = false;
    int error = prepare(x);

    if (!error)
        error = run_all(x, &changed, &work);
    if (error)
        return error;
    if (changed) {
        change_list_clear(&e->changes);
        e->reply = (struct reply){.id = e->reply.id, .kind = REPLY_NIL};
        return 0;
    }
    if (work > WORK_MAX || e->changes.count > STORE_CHANGES_MAX)
        return too_large(x);
    e->reply.kind = REPLY_RESULTS;
    e->reply.data = buf_bytes(&e->results);
    return 0;
}
