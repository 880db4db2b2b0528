/* Commands on when keys expire, and SET, which may say so. */
#include "proxy/commands.h"
#include "proxy/expiry_options.h"
#include "proxy/keyed.h"
#include "shared/error.h"

/* Replies the error when a time cannot be read. */
static bool take_time(struct execution *x, struct bytes text, struct time_form form, int64_t *ms)
{
    int error = expiry_time_read(text, form, ms);

    if (error == RK_INVALID)
        reply_error(x, KEYED_NOT_AN_INTEGER);
    else if (error)
        reply_errorf(x, "ERR invalid expire time in '%s' command", x->command->name);
    return error == 0;
}

/* --- SET ------------------------------------------------------------------------------------ */

static void send_setx(struct execution *x, struct bytes value, int64_t time_ms, int64_t flags)
{
    keyed_one(
        x, OP_SETX,
        (struct keyed_arg[]){keyed_value(value), keyed_integer(time_ms), keyed_integer(flags)}, 3);
}

void run_set(struct execution *x)
{
    struct expiry_options o;
    int64_t time_ms = 0, flags;

    if (x->count == 3) {
        keyed_one(x, OP_SET, (struct keyed_arg[]){keyed_value(x->args[2])}, 1);
        return;
    }
    if (expiry_options_read(&o, x->args + 3, x->count - 3, OPTIONS_OF_SET) != 0) {
        reply_error(x, KEYED_SYNTAX_ERROR);
        return;
    }
    flags = (o.given & OPTION_NX ? SETX_NX : 0) | (o.given & OPTION_XX ? SETX_XX : 0) |
            (o.given & OPTION_GET ? SETX_GET : 0) | (o.given & OPTION_KEEPTTL ? SETX_KEEPTTL : 0) |
            (o.given & OPTIONS_OF_TIME ? SETX_EXPIRES : 0) |
            (o.given & OPTIONS_RELATIVE ? SETX_RELATIVE : 0);
    if (o.given & OPTIONS_OF_TIME && !take_time(x, o.time, expiry_options_form(&o), &time_ms))
        return;
    send_setx(x, x->args[2], time_ms, flags);
}

static void set_for(struct execution *x, bool seconds)
{
    struct time_form form = {.seconds = seconds, .relative = true};
    int64_t time_ms;

    if (take_time(x, x->args[2], form, &time_ms))
        send_setx(x, x->args[3], time_ms, SETX_EXPIRES | SETX_RELATIVE);
}

void run_setex(struct execution *x)
{
    set_for(x, true);
}

void run_psetex(struct execution *x)
{
    set_for(x, false);
}

/* --- GETEX ---------------------------------------------------------------------------------- */

void run_getex(struct execution *x)
{
    struct expiry_options o;
    int64_t time_ms = 0;
    int error = 0;

    if (expiry_options_read(&o, x->args + 2, x->count - 2, OPTIONS_OF_GETEX) != 0) {
        reply_error(x, KEYED_SYNTAX_ERROR);
        return;
    }
    if (!o.given) {
        keyed_one(x, OP_GET, NULL, 0);
        return;
    }
    if (o.given & OPTIONS_OF_TIME)
        error = expiry_time_read(o.time, expiry_options_form(&o), &time_ms);
    if (error) {
        keyed_complain(x,
                       error == RK_INVALID ? KEYED_NOT_AN_INTEGER
                                           : "ERR invalid expire time in 'getex' command",
                       SHAPE_ABSENT_NIL);
        return;
    }
    keyed_one(
        x, OP_GETEX,
        (struct keyed_arg[]){keyed_integer(time_ms),
                             keyed_integer((o.given & OPTION_PERSIST ? GETEX_PERSIST : 0) |
                                           (o.given & OPTIONS_RELATIVE ? GETEX_RELATIVE : 0))},
        2);
}

/* --- EXPIRE --------------------------------------------------------------------------------- */

static void expire(struct execution *x, bool seconds, bool relative)
{
    struct time_form form = {.seconds = seconds, .relative = relative, .any = true};
    struct bytes unsupported;
    int64_t flags, time_ms;
    const char *error = expire_flags_read(x->args + 3, x->count - 3, &flags, &unsupported);

    if (error) {
        reply_errorf(x, "%s%.*s", error, (int)unsupported.size, (const char *)unsupported.data);
        return;
    }
    if (take_time(x, x->args[2], form, &time_ms))
        keyed_one(x, OP_EXPIRE,
                  (struct keyed_arg[]){keyed_integer(time_ms),
                                       keyed_integer(flags | (relative ? EXPIRE_RELATIVE : 0))},
                  2);
}

void run_expire(struct execution *x)
{
    expire(x, true, true);
}

void run_pexpire(struct execution *x)
{
    expire(x, false, true);
}

void run_expireat(struct execution *x)
{
    expire(x, true, false);
}

void run_pexpireat(struct execution *x)
{
    expire(x, false, false);
}
