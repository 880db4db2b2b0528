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

struct hello_options {
    int64_t version; /* 0: as it is */
    const struct bytes *name;
    const struct bytes *user; /* the password stands behind it; NULL: no AUTH */
};

static bool hello_version(struct execution *x, struct hello_options *o)
{
    if (resp_read_integer(x->args[1], &o->version) != 0)
        reply_error(x, "ERR Protocol version is not an integer or out of range");
    else if (o->version < 2 || o->version > 3)
        reply_error(x, "NOPROTO unsupported protocol version");
    else
        return true;
    return false;
}

/* Reads the arguments; replies and returns false when they are wrong. */
static bool hello_read(struct execution *x, struct hello_options *o)
{
    if (x->count > 1 && !hello_version(x, o))
        return false;
    for (uint32_t i = 2; i < x->count; i++) {
        uint32_t more = x->count - 1 - i;

        if (resp_word_is(x->args[i], "auth") && more >= 2) {
            o->user = &x->args[i + 1];
            i += 2;
        } else if (resp_word_is(x->args[i], "setname") && more >= 1) {
            o->name = &x->args[++i];
        } else {
            reply_errorf(x, "ERR Syntax error in HELLO option '%.*s'",
                         shown_size(x->args[i], SHOWN_MAX), (const char *)x->args[i].data);
            return false;
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
    struct hello_options o = {0};

    if (!hello_read(x, &o))
        return;
    if (o.user && login_try(x, o.user[0], o.user[1]) != LOGIN_DONE)
        return;
    if (x->session->stranger) {
        reply_error(x, HELLO_NOAUTH);
        return;
    }
    if (o.name && !execution_set_name(x, *o.name))
        return;
    if (o.version)
        x->session->resp = (uint8_t)o.version;
    reply_hello(x);
}
