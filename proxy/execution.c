#include "proxy/execution.h"
#include "proxy/command_stats.h"
#include "proxy/commands.h"
#include "proxy/records.h"
#include "proxy/transaction.h"
#include <stdarg.h>
#include <stdio.h>

enum {
    UNKNOWN_ARGS_MAX = 128, /* Redis's measure for telling of an unknown command */
};

int execution_ask(struct execution *x, const struct errand *errand)
{
    const struct router_ports *ports = &x->router->ports;
    int error = ports->errand(ports->arg, x->session, errand);

    x->session->suspended = !error;
    return error;
}

const struct errand *execution_outcome(const struct execution *x)
{
    return x->session->errand;
}

struct buf *execution_out(struct execution *x)
{
    if (!x->out) {
        x->out = router_reply_begin(x->router, x->session, &x->before);
        x->start = x->before;
    }
    return x->out;
}

bool execution_has_room(struct execution *x)
{
    const struct buf *out = execution_out(x);

    return !out || buf_len(out) - x->start <= x->router->reply_max;
}

void reply_too_large(struct execution *x)
{
    if (x->out)
        buf_truncate(x->out, x->before);
    reply_error(x, "ERR the reply would be more than half of client_output; ask for less at once");
}

static void check(struct execution *x, int error)
{
    if (error)
        x->session->broken = true;
}

/* Runs a writer with the place of the reply, if there is one. */
#define REPLY(x, call)                      \
    do {                                    \
        struct buf *out = execution_out(x); \
                                            \
        if (out)                            \
            check(x, call);                 \
    } while (0)

void reply_simple(struct execution *x, const char *text)
{
    REPLY(x, resp_put_simple(out, text));
}

void reply_error(struct execution *x, const char *text)
{
    error_count(x->router->counters, bytes_from(text));
    REPLY(x, resp_put_error(out, text));
}

void reply_errorf(struct execution *x, const char *format, ...)
{
    char text[512];
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* Line ends at the end go, as in Redis; others become spaces. */
    for (size = size < (int)sizeof(text) ? size : (int)sizeof(text) - 1;
         size && strchr("\r\n", text[size - 1]); size--)
        text[size - 1] = '\0';
    reply_error(x, text);
}

void reply_integer(struct execution *x, int64_t value)
{
    REPLY(x, resp_put_integer(out, value));
}

void reply_bulk(struct execution *x, struct bytes value)
{
    REPLY(x, resp_put_bulk(out, value));
}

void reply_text(struct execution *x, const char *text)
{
    reply_bulk(x, bytes_from(text));
}

void reply_null(struct execution *x)
{
    REPLY(x, resp_put_null(out, x->session->resp));
}

void reply_array(struct execution *x, size_t count)
{
    REPLY(x, resp_put_array(out, count));
}

void reply_map(struct execution *x, size_t pairs)
{
    REPLY(x, resp_put_map(out, pairs, x->session->resp));
}

void reply_verbatim(struct execution *x, struct bytes text)
{
    REPLY(x, resp_put_verbatim(out, text, x->session->resp));
}

/* EXEC that is refused ends the transaction all the same, and Redis says so. */
#define EXEC_REFUSED "EXECABORT Transaction discarded because of:"

void reply_wrong_arity(struct execution *x)
{
    reply_errorf(x, "%s wrong number of arguments for '%s' command",
                 x->command->run == run_exec ? EXEC_REFUSED : "ERR", x->command->name);
}

bool execution_integer(struct execution *x, uint32_t arg, int64_t *value)
{
    if (resp_read_integer(x->args[arg], value) == 0)
        return true;
    reply_error(x, "ERR value is not an integer or out of range");
    return false;
}

bool execution_database(struct execution *x, uint32_t arg)
{
    int64_t index;

    if (!execution_integer(x, arg, &index))
        return false;
    if (index < INT32_MIN || index > INT32_MAX)
        reply_errorf(x, "ERR value is out of range, value must between %d and %d", INT32_MIN,
                     INT32_MAX);
    else if (index != 0)
        reply_error(x, "ERR DB index is out of range");
    else
        return true;
    return false;
}

int shown_size(struct bytes text, size_t max)
{
    return (int)strnlen((const char *)text.data, text.size < max ? text.size : max);
}

/* The first line of a request that a page in a browser can send anywhere, or one of its headers. */
static bool is_http(struct bytes name)
{
    return resp_word_is(name, "post") || resp_word_is(name, "host:");
}

static void reply_unknown(struct execution *x)
{
    char args[UNKNOWN_ARGS_MAX * 2] = "";
    size_t size = 0;

    for (uint32_t i = 1; i < x->count && size < UNKNOWN_ARGS_MAX; i++)
        size += (size_t)snprintf(args + size, sizeof(args) - size, "'%.*s' ",
                                 shown_size(x->args[i], UNKNOWN_ARGS_MAX - size),
                                 (const char *)x->args[i].data);
    reply_errorf(x, "ERR unknown command '%.*s', with args beginning with: %s",
                 shown_size(x->args[0], SHOWN_MAX), (const char *)x->args[0].data, args);
}

/* `what` is wrong with the subcommand; the command's name is the row's up to its '|'. */
static void reply_sub(struct execution *x, const char *what)
{
    char upper[COMMAND_NAME_MAX + 1] = "";
    const char *name = x->command->name;

    for (size_t i = 0; name[i] && name[i] != '|' && i < COMMAND_NAME_MAX; i++)
        upper[i] = (char)(name[i] & ~0x20);
    reply_errorf(x, "ERR unknown subcommand%s '%.*s'. Try %s HELP.", what,
                 shown_size(x->args[1], SHOWN_MAX), (const char *)x->args[1].data, upper);
}

void reply_wrong_subcommand(struct execution *x)
{
    reply_sub(x, " or wrong number of arguments for");
}

/* Whether the command can be run, or queued; an error is replied when not. */
static bool is_valid(struct execution *x)
{
    if (!x->command && is_http(x->args[0])) {
        x->session->foreign = x->session->ending = true;
        return false;
    }
    if (!x->command) {
        reply_unknown(x);
        return false;
    }
    if (x->command->subcommands && x->count > 1) {
        const struct command *sub = command_find_sub(x->command, x->args[1]);

        if (!sub) {
            reply_sub(x, "");
            return false;
        }
        x->command = sub;
    }
    if (!command_takes(x->command, x->count)) {
        reply_wrong_arity(x);
        return false;
    }
    x->session->command = x->command;
    if (!x->session->stranger || x->command->flags & COMMAND_NO_AUTH)
        return true;
    reply_errorf(x, "%sNOAUTH Authentication required.",
                 x->command->run == run_exec ? EXEC_REFUSED " " : "");
    return false;
}

static void count(const struct execution *x, bool valid)
{
    struct command_stat *row;

    if (!x->router->stats || !x->command || x->session->errand)
        return;
    row = command_stats_row(x->router->stats, x->command);
    counter_add(valid ? &row->calls : &row->rejected, 1);
}

/* False: it was refused before its function saw it. */
static bool run(struct execution *x)
{
    struct transaction *t = x->session->transaction;
    bool valid = is_valid(x);

    count(x, valid);
    if (!valid) {
        if (x->command && x->command->run == run_exec)
            transaction_discard(x->router, x->session);
        else if (t)
            t->failed = true;
    } else if (t && x->command->in_multi != COMMAND_AT_ONCE) {
        transaction_queue(x);
    } else {
        x->command->run(x);
    }
    return valid;
}

/* It needed no node, or none any more, and is answered. */
static void count_answer(const struct execution *x, bool failed)
{
    struct command_stat *row;

    if (!x->router->stats)
        return;
    row = command_stats_row(x->router->stats, x->command);
    command_stats_answered(row, 0);
    counter_add(&row->failed, failed);
}

void router_execute(struct router *r, struct session *s, const struct bytes *args,
                    uint32_t arg_count)
{
    struct execution x = {
        .router = r,
        .session = s,
        .command = command_find(&r->commands, args[0]),
        .args = args,
        .count = arg_count,
    };
    uint64_t errors;
    bool valid;

    /* One that comes again was counted the first time. */
    if (!s->errand) {
        counter_add(&r->counters->commands, 1);
        s->silent = s->reply_off || s->skip_next;
        s->skip_next = false;
    }
    errors = counter_read(&r->counters->error_replies);
    valid = run(&x);
    if (x.out) {
        if (valid)
            count_answer(&x, counter_read(&r->counters->error_replies) != errors);
        router_reply_end(r, s, x.out, x.before);
        records_note_local(&x);
    }
    if (!s->suspended)
        s->silent = s->reply_off;
}
