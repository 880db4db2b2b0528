/* Commands about the connection itself. */
#include "proxy/answer.h"
#include "proxy/commands.h"
#include "proxy/facts.h"
#include "shared/error.h"
#include <stdio.h>
#include <stdlib.h>

#define NAME_INVALID "ERR Client names cannot contain spaces, newlines or special characters."

static void reply_help(struct execution *x, const char *const *lines, size_t count)
{
    reply_array(x, count);
    for (size_t i = 0; i < count; i++)
        reply_simple(x, lines[i]);
}

#define REPLY_HELP(x, lines) reply_help(x, lines, sizeof(lines) / sizeof((lines)[0]))

void run_ping(struct execution *x)
{
    if (x->count > 2)
        reply_wrong_arity(x);
    else if (x->count == 2)
        reply_bulk(x, x->args[1]);
    else
        reply_simple(x, "PONG");
}

void run_echo(struct execution *x)
{
    reply_bulk(x, x->args[1]);
}

void run_quit(struct execution *x)
{
    reply_simple(x, "OK");
    x->session->ending = true;
}

void run_readonly(struct execution *x)
{
    x->session->any_replica = true;
    reply_simple(x, "OK");
}

void run_readwrite(struct execution *x)
{
    x->session->any_replica = false;
    reply_simple(x, "OK");
}

void run_select(struct execution *x)
{
    int64_t index;

    if (!execution_integer(x, 1, &index))
        return;
    if (index < INT32_MIN || index > INT32_MAX)
        reply_errorf(x, "ERR value is out of range, value must between %d and %d", INT32_MIN,
                     INT32_MAX);
    else if (index != 0)
        reply_error(x, "ERR DB index is out of range");
    else
        reply_simple(x, "OK");
}

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

/* --- CLIENT --------------------------------------------------------------------------------- */

void run_client(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

void run_client_id(struct execution *x)
{
    reply_integer(x, (int64_t)x->session->id);
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
        reply_errorf(x, "ERR Unrecognized option '%.*s'",
                     (int)strnlen((const char *)x->args[2].data,
                                  x->args[2].size < 128 ? x->args[2].size : 128),
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

void run_client_info(struct execution *x)
{
    struct session *s = x->session;
    const struct router_ports *ports = &x->router->ports;
    char *line;
    int size = asprintf(&line,
                        "id=%llu addr=%s name=%s db=0 resp=%u lib-name=%s lib-ver=%s "
                        "cmd=client|info user=default\n",
                        (unsigned long long)s->id, ports->peer(ports->arg, s),
                        session_text(s, SESSION_NAME), s->resp, session_text(s, SESSION_LIB_NAME),
                        session_text(s, SESSION_LIB_VERSION));

    if (size < 0) {
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
        return;
    }
    reply_verbatim(x, bytes_of(line, (size_t)size));
    free(line);
}

void run_client_help(struct execution *x)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> ...]. Subcommands are:",
        "GETNAME",
        "    Tells the name of this connection.",
        "HELP",
        "    Prints this.",
        "ID",
        "    Tells the number of this connection.",
        "INFO",
        "    Tells what is known of this connection.",
        "SETINFO (LIB-NAME <name>|LIB-VER <version>)",
        "    Tells which client library is used.",
        "SETNAME <name>",
        "    Names this connection.",
    };

    REPLY_HELP(x, lines);
}

void run_command_help(struct execution *x)
{
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> ...]. Subcommands are:",
        "(no subcommand)",
        "    Describes all commands.",
        "COUNT",
        "    Tells how many commands there are.",
        "DOCS [<name> ...]",
        "    Tells what commands, or all, are for.",
        "GETKEYS <command> <arg> ...",
        "    Tells which arguments of a command are keys.",
        "HELP",
        "    Prints this.",
        "INFO [<name> ...]",
        "    Describes commands, or all.",
        "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    Lists the names of commands.",
    };

    REPLY_HELP(x, lines);
}

void run_config_help(struct execution *x)
{
    static const char *const lines[] = {
        "CONFIG <subcommand> [<arg> ...]. Subcommands are:",
        "GET <pattern> [<pattern> ...]",
        "    Tells the settings whose names match.",
        "HELP",
        "    Prints this.",
    };

    REPLY_HELP(x, lines);
}
