/* CLIENT: about this connection, and about the others. */
#include "proxy/answer.h"
#include "proxy/commands.h"
#include "proxy/login.h"
#include "shared/error.h"
#include <stdlib.h>

#define NAME_INVALID "ERR Client names cannot contain spaces, newlines or special characters."

static void reply_syntax(struct execution *x)
{
    reply_error(x, "ERR syntax error");
}

void run_client(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

void run_client_id(struct execution *x)
{
    reply_integer(x, (int64_t)x->session->id);
}

/* --- texts about itself ---------------------------------------------------------------------- */

bool execution_set_name(struct execution *x, struct bytes name)
{
    int error = session_set_text(x->session, SESSION_NAME, name);

    if (error == RK_TOOBIG)
        reply_errorf(x, "ERR the name is too long: %zu bytes; a name has at most %d", name.size,
                     SESSION_NAME_MAX);
    else if (error == RK_NOMEM)
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    else if (error)
        reply_error(x, NAME_INVALID);
    return error == 0;
}

void run_client_getname(struct execution *x)
{
    const char *name = session_text(x->session, SESSION_NAME);

    if (*name)
        reply_text(x, name);
    else
        reply_null(x);
}

void run_client_setname(struct execution *x)
{
    if (execution_set_name(x, x->args[2]))
        reply_simple(x, "OK");
}

void run_client_setinfo(struct execution *x)
{
    bool lib_name = resp_word_is(x->args[2], "lib-name");
    int error;

    if (!lib_name && !resp_word_is(x->args[2], "lib-ver")) {
        reply_errorf(x, "ERR Unrecognized option '%.*s'", shown_size(x->args[2], SHOWN_MAX),
                     (const char *)x->args[2].data);
        return;
    }
    error =
        session_set_text(x->session, lib_name ? SESSION_LIB_NAME : SESSION_LIB_VERSION, x->args[3]);
    if (error)
        reply_errorf(x, "ERR %s cannot contain spaces, newlines or special characters.",
                     lib_name ? "lib-name" : "lib-ver");
    else
        reply_simple(x, "OK");
}

/* --- what it wants --------------------------------------------------------------------------- */

void run_client_reply(struct execution *x)
{
    struct session *s = x->session;

    if (resp_word_is(x->args[2], "on")) {
        s->reply_off = s->silent = false;
        reply_simple(x, "OK");
    } else if (resp_word_is(x->args[2], "off")) {
        s->reply_off = s->silent = true;
    } else if (resp_word_is(x->args[2], "skip")) {
        s->skip_next = !s->reply_off;
    } else {
        reply_syntax(x);
    }
}

/* "on" or "off"; a syntax error is replied when it is neither. */
static bool read_switch(struct execution *x, bool *on)
{
    *on = resp_word_is(x->args[2], "on");
    if (*on || resp_word_is(x->args[2], "off"))
        return true;
    reply_syntax(x);
    return false;
}

void run_client_no_evict(struct execution *x)
{
    bool on;

    if (!read_switch(x, &on))
        return;
    x->session->no_evict = on;
    reply_simple(x, "OK");
}

void run_client_no_touch(struct execution *x)
{
    bool on;

    /* Reads touch nothing here, whatever is wanted. */
    if (read_switch(x, &on))
        reply_simple(x, "OK");
}

/* --- INFO, LIST, KILL ------------------------------------------------------------------------ */

void run_client_info(struct execution *x)
{
    const struct router_ports *ports = &x->router->ports;
    struct client_facts facts;
    struct buf line = {0};

    ports->client(ports->arg, x->session, &facts);
    if (client_line_put(&line, &facts) != 0)
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    else
        reply_verbatim(x, buf_bytes(&line));
    buf_free(&line);
}

/* Sends the errand; what the filter holds goes with it, or is freed. */
static void send_errand(struct execution *x, enum errand_kind kind, struct client_filter *filter)
{
    struct errand errand = {
        .kind = kind, .filter = *filter, .self = x->session->id, .lines_max = x->router->reply_max};

    if (execution_ask(x, &errand) == 0)
        return;
    client_filter_free(filter);
    reply_error(x, failure_text(FAILURE_NO_MEMORY));
}

static bool read_type(struct execution *x, struct bytes word, enum client_type *type)
{
    static const char *const others[] = {"slave", "replica", "pubsub", "master"};

    *type = CLIENT_NORMAL;
    if (resp_word_is(word, "normal"))
        return true;
    *type = CLIENT_OTHER;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (resp_word_is(word, others[i]))
            return true;
    reply_errorf(x, "ERR Unknown client type '%.*s'", shown_size(word, SHOWN_MAX),
                 (const char *)word.data);
    return false;
}

static bool read_ids(struct execution *x, uint32_t first, struct client_filter *f)
{
    f->ids = calloc(x->count - first, sizeof(*f->ids));
    if (!f->ids) {
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
        return false;
    }
    for (uint32_t i = first; i < x->count; i++) {
        int64_t id;

        if (resp_read_integer(x->args[i], &id) != 0) {
            reply_error(x, "ERR Invalid client ID");
            return false;
        }
        f->ids[f->id_count++] = (uint64_t)id;
    }
    client_filter_order(f);
    return true;
}

void run_client_list(struct execution *x)
{
    const struct errand *outcome = execution_outcome(x);
    struct client_filter filter = {0};
    bool good = x->count == 2;

    if (outcome) {
        if (outcome->failed)
            reply_error(x, failure_text(FAILURE_NO_MEMORY));
        else if (outcome->too_many)
            reply_too_large(x);
        else
            reply_verbatim(x, buf_bytes(&outcome->lines));
        return;
    }
    if (x->count == 4 && resp_word_is(x->args[2], "type"))
        good = read_type(x, x->args[3], &filter.type);
    else if (x->count > 3 && resp_word_is(x->args[2], "id"))
        good = read_ids(x, 3, &filter);
    else if (!good)
        reply_syntax(x);
    if (good)
        send_errand(x, ERRAND_LIST, &filter);
    else
        client_filter_free(&filter);
}

/* A copy of an argument as a text, in place of an earlier one. */
static bool read_text(struct execution *x, struct bytes word, char **to)
{
    free(*to);
    *to = strndup((const char *)word.data, word.size);
    if (!*to)
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    return *to;
}

static bool read_user(struct execution *x, struct bytes name, char **to)
{
    const struct logins *l = x->router->logins;

    if (l && users_find(l->users, name) >= 0)
        return read_text(x, name, to);
    reply_errorf(x, "ERR No such user '%.*s'", shown_size(name, SHOWN_MAX),
                 (const char *)name.data);
    return false;
}

static bool read_id(struct execution *x, struct bytes word, struct client_filter *f)
{
    int64_t id;

    if (resp_read_integer(word, &id) != 0 || id < 1) {
        reply_error(x, "ERR client-id should be greater than 0");
        return false;
    }
    free(f->ids);
    f->id_count = 1;
    f->ids = malloc(sizeof(*f->ids));
    if (f->ids)
        f->ids[0] = (uint64_t)id;
    else
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    return f->ids;
}

/* One option of CLIENT KILL; false when it is wrong, and the client has its error. */
static bool read_kill_option(struct execution *x, struct bytes name, struct bytes value,
                             struct client_filter *f)
{
    if (resp_word_is(name, "id"))
        return read_id(x, value, f);
    if (resp_word_is(name, "type"))
        return read_type(x, value, &f->type);
    if (resp_word_is(name, "addr"))
        return read_text(x, value, &f->address);
    if (resp_word_is(name, "laddr"))
        return read_text(x, value, &f->local_address);
    if (resp_word_is(name, "user"))
        return read_user(x, value, &f->user);
    if (resp_word_is(name, "skipme")) {
        f->skip_self = resp_word_is(value, "yes");
        if (f->skip_self || resp_word_is(value, "no"))
            return true;
    }
    reply_syntax(x);
    return false;
}

static bool read_kill(struct execution *x, struct client_filter *f)
{
    if (x->count == 3)
        return read_text(x, x->args[2], &f->address); /* the old form, which kills itself too */
    f->skip_self = true;
    for (uint32_t i = 2; i < x->count; i += 2) {
        if (i + 1 == x->count) {
            reply_syntax(x);
            return false;
        }
        if (!read_kill_option(x, x->args[i], x->args[i + 1], f))
            return false;
    }
    return true;
}

void run_client_kill(struct execution *x)
{
    const struct errand *outcome = execution_outcome(x);
    struct client_filter filter = {0};

    if (!outcome) {
        if (read_kill(x, &filter))
            send_errand(x, ERRAND_KILL, &filter);
        else
            client_filter_free(&filter);
        return;
    }
    if (x->count > 3)
        reply_integer(x, (int64_t)outcome->killed);
    else if (outcome->killed)
        reply_simple(x, "OK");
    else
        reply_error(x, "ERR No such client");
    if (outcome->killed_self)
        x->session->ending = true;
}
