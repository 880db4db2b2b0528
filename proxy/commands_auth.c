/* Commands that say who the client is: AUTH, HELLO. */
#include "proxy/commands.h"
#include "proxy/facts.h"
#include "proxy/login.h"

#define NO_PASSWORD                                                                     \
    "ERR AUTH <password> called without any password configured for the default user. " \
    "Are you sure your configuration is correct?"

#define HELLO_NOAUTH                                                                               \
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH " \
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol "    \
    "version at the same time"

void run_auth(struct execution *x)
{
    const struct logins *l = x->router->logins;
    struct bytes name = x->count == 3 ? x->args[1] : bytes_from("default");

    if (x->count > 3)
        reply_error(x, "ERR syntax error");
    else if (x->count == 2 && (!l || users_open(l->users)))
        reply_error(x, NO_PASSWORD);
    else if (login_try(x, name, x->args[x->count - 1]) == LOGIN_DONE)
        reply_simple(x, "OK");
}

/* The version that is asked for, 0 without one; false when there is no such version, and the client
 * has its error. */
static bool hello_version(struct execution *x, int64_t *version)
{
    *version = 0;
    if (x->count == 1)
        return true;
    if (resp_read_integer(x->args[1], version) != 0)
        reply_error(x, "ERR Protocol version is not an integer or out of range");
    else if (*version < 2 || *version > 3)
        reply_error(x, "NOPROTO unsupported protocol version");
    else
        return true;
    return false;
}

static bool hello_wrong_option(struct execution *x, uint32_t arg)
{
    reply_errorf(x, "ERR Syntax error in HELLO option '%.*s'", shown_size(x->args[arg], SHOWN_MAX),
                 (const char *)x->args[arg].data);
    return false;
}

/* Does what the options say, one after the other: what stands before a wrong one has been done, as
 * in Redis. While a password is checked the command waits, and then all of it comes again. False:
 * it waits, or the client has its error. */
static bool hello_options(struct execution *x)
{
    bool tried = false;

    for (uint32_t i = 2; i < x->count; i++) {
        uint32_t more = x->count - 1 - i;

        /* What comes of the check of a password must not count for a second one. */
        if (resp_word_is(x->args[i], "auth") && more >= 2 && !tried) {
            if (login_try(x, x->args[i + 1], x->args[i + 2]) != LOGIN_DONE)
                return false;
            tried = true;
            i += 2;
        } else if (resp_word_is(x->args[i], "setname") && more >= 1) {
            if (!execution_set_name(x, x->args[++i]))
                return false;
        } else {
            return hello_wrong_option(x, i);
        }
    }
    return true;
}

static void reply_hello(struct execution *x)
{
    reply_map(x, 7);
    reply_text(x, "server");
    reply_text(x, "redis");
    reply_text(x, "version");
    reply_text(x, FACTS_REDIS_VERSION);
    reply_text(x, "proto");
    reply_integer(x, x->session->resp);
    reply_text(x, "id");
    reply_integer(x, (int64_t)x->session->id);
    reply_text(x, "mode");
    reply_text(x, "standalone");
    reply_text(x, "role");
    reply_text(x, "master");
    reply_text(x, "modules");
    reply_array(x, 0);
}

void run_hello(struct execution *x)
{
    int64_t version;

    if (!hello_version(x, &version) || !hello_options(x))
        return;
    if (x->session->stranger) {
        reply_error(x, HELLO_NOAUTH);
        return;
    }
    if (version)
        x->session->resp = (uint8_t)version;
    reply_hello(x);
}
