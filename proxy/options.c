#include "proxy/options.h"
#include "proxy/slow_log.h"
#include "shared/address.h"
#include "shared/error.h"
#include "shared/file.h"
#include "shared/log.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct proxy_options, field)
#define KI        (INT64_C(1) << 10)
#define GI        (INT64_C(1) << 30)

enum { DAY_MS = 24 * 3600 * 1000, USERS_FILE_MAX = 1 << 20 };

/* clang-format off */
const struct config_setting proxy_settings[] = {
    {"proxy", "listen", CONFIG_ADDRESS, AT(listen), "127.0.0.1:7379", 0, 0, NULL,
     "where clients connect"},
    {"proxy", "threads", CONFIG_NUMBER, AT(threads), "0", 0, 64, NULL,
     "threads among which the clients are spread; 0: one for two cores"},
    {"proxy", "max_clients", CONFIG_NUMBER, AT(max_clients), "20000", 1, 1000000, NULL,
     "clients connected at a time; further ones get an error and are closed"},
    {"proxy", "client_output", CONFIG_SIZE, AT(client_output), "64m", 64 * KI, GI, NULL,
     "bytes of replies that may wait for a client that does not read; beyond that it is closed"},
    {"proxy", "client_stall", CONFIG_DURATION, AT(client_stall_ms), "60s", 0, DAY_MS, NULL,
     "time after which a client is closed that sends commands and takes no replies; 0: never"},
    {"proxy", "client_pending", CONFIG_NUMBER, AT(client_pending), "4096", 1, 1048576, NULL,
     "unanswered commands of one client after which it is not read from until some are answered"},
    {"proxy", "query_size", CONFIG_SIZE, AT(query_size), "128m", KI, GI, NULL,
     "bytes of the largest command, all its arguments together; a larger one closes the client"},
    {"proxy", "request_timeout", CONFIG_DURATION, AT(request_timeout_ms), "2s", 50, 60000, NULL,
     "time after which a command ends in an error"},
    {"proxy", "node_timeout", CONFIG_DURATION, AT(node_timeout_ms), "300ms", 10, 60000, NULL,
     "time without an answer from a node after which the next replica is asked"},
    {"proxy", "node_output", CONFIG_SIZE, AT(node_output), "16m", 64 * KI, GI, NULL,
     "bytes that may wait for one connection to a node; beyond that it is not sent to"},
    {"proxy", "client_idle_timeout", CONFIG_DURATION, AT(client_idle_timeout_ms), "0ms",
     0, 30LL * DAY_MS, NULL,
     "time after which a client that sends nothing, and takes no reply, is closed; 0: never"},
    {"proxy", "slowlog_slower_than", CONFIG_DURATION, AT(slowlog_slower_than_ms), "10ms",
     0, DAY_MS, NULL, "time from which on a command is told by SLOWLOG; 0: all are"},
    {"proxy", "slowlog_entries", CONFIG_NUMBER, AT(slowlog_entries), "128", 0, SLOW_ENTRIES_MAX, NULL,
     "commands that SLOWLOG tells; older ones are forgotten"},

    {"security", "requirepass", CONFIG_TEXT, AT(requirepass), "", 0, PASSWORD_TEXT_SIZE - 1, NULL,
     "hash of the password that clients must give with AUTH; empty: none"},
    {"security", "users", CONFIG_TEXT, AT(users_file), "", 0, PATH_MAX - 1, NULL,
     "file of further users, a line each: NAME HASH; empty: none"},
    {"security", "protected_mode", CONFIG_BOOL, AT(protected_mode), "yes", 0, 0, NULL,
     "without any password, refuse clients that do not come from this machine"},
    {"security", "secret_file", CONFIG_TEXT, AT(secret_file), "", 0, PATH_MAX - 1, NULL,
     "file with the cluster's secret, which the nodes have as well; empty: none"},

    {"cluster", "nodes", CONFIG_ADDRESSES, AT(nodes), NULL, 0, 0, NULL,
     "some nodes, as HOST:PORT, HOST:PORT; one that answers is enough to learn of the others"},
    {"cluster", "ring_poll", CONFIG_DURATION, AT(ring_poll_ms), "1s", 50, 60000, NULL,
     "time between two questions whether the ring has changed"},

    {"log", "file", CONFIG_TEXT, AT(log_file), "", 0, PATH_MAX - 1, NULL,
     "file to which the log is appended; empty: standard error"},
    {"log", "level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, log_level_names,
     "how much is logged: each level includes those before it"},
    {NULL, NULL, CONFIG_TEXT, 0, NULL, 0, 0, NULL, NULL},
};
/* clang-format on */

/* A proxy that fetched the ring from itself would wait for itself. */
static int nodes_check(const struct proxy_options *o, char *why, size_t why_size)
{
    const char *rest = o->nodes;
    char *own_host, *host, address[ADDRESS_TEXT_SIZE];
    uint16_t own_port, port;
    int failed = address_split(o->listen, &own_host, &own_port);

    if (failed) {
        snprintf(why, why_size, "[proxy] listen: %s", rk_error_text(failed));
        return failed;
    }
    while (!failed && !(failed = address_next(&rest, &host, &port))) {
        if (port == own_port && strcmp(host, own_host) == 0) {
            snprintf(why, why_size,
                     "[cluster] nodes lists %s, where this proxy itself listens; list nodes",
                     address_text(host, port, address));
            failed = RK_INVALID;
        }
        free(host);
    }
    if (failed == RK_NOMEM)
        snprintf(why, why_size, "[cluster] nodes: %s", rk_error_text(failed));
    free(own_host);
    return failed == RK_NOTFOUND ? 0 : failed;
}

int proxy_options_check(const struct proxy_options *o, char *why, size_t why_size)
{
    if (o->request_timeout_ms < o->node_timeout_ms) {
        snprintf(why, why_size,
                 "[proxy] request_timeout (%" PRId64 "ms) is shorter than node_timeout (%" PRId64
                 "ms), so no command could wait for a second replica; make it longer",
                 o->request_timeout_ms, o->node_timeout_ms);
        return RK_INVALID;
    }
    return nodes_check(o, why, why_size);
}

static int check(const void *options, char *why, size_t why_size)
{
    return proxy_options_check(options, why, why_size);
}

/* 0 unless everybody may read the file, which has a secret. */
static int secret_check(const char *path, const char *secret, char *why, size_t why_size)
{
    bool open;

    if (file_open_to_all(path, &open) == 0 && open) {
        snprintf(why, why_size,
                 "%s: it has %s, and every user of this machine can read it; chmod o-rwx it", path,
                 secret);
        return RK_INVALID;
    }
    return 0; /* that it cannot be read is told by who reads it */
}

static int requirepass_keep(const struct proxy_options *o, const char *path, char *const *sets,
                            size_t set_count, char *why, size_t why_size)
{
    static const char assignment[] = "security.requirepass=";

    if (!path || !o->requirepass[0])
        return 0;
    for (size_t i = 0; i < set_count; i++)
        if (strncmp(sets[i], assignment, sizeof(assignment) - 1) == 0)
            return 0; /* it does not come from the file */
    return secret_check(path, "a password's hash (requirepass)", why, why_size);
}

static int users_load(struct proxy_options *o, char *why, size_t why_size)
{
    const char *path = o->users_file;
    struct buf text = {0};
    int failed = 0;

    if (path[0]) {
        failed = secret_check(path, "passwords' hashes", why, why_size);
        if (failed)
            return failed;
        failed = file_read(path, USERS_FILE_MAX, &text);
        if (failed)
            snprintf(why, why_size,
                     "%s: cannot be read: %s; [security] users names a file of users", path,
                     failed == RK_IO ? strerror(errno) : rk_error_text(failed));
    }
    if (!failed)
        failed = users_read(&o->users, o->requirepass, path, buf_bytes(&text), why, why_size);
    if (buf_len(&text))
        password_forget(buf_head(&text), buf_len(&text));
    buf_free(&text);
    return failed;
}

int proxy_options_load(struct proxy_options *o, const char *path, char *const *sets,
                       size_t set_count, char *why, size_t why_size)
{
    int failed = config_load(proxy_settings, o, path, sets, set_count, check, why, why_size);

    if (failed)
        return failed;
    failed = requirepass_keep(o, path, sets, set_count, why, why_size);
    if (!failed)
        failed = users_load(o, why, why_size);
    if (failed)
        config_free(&(struct config){.settings = proxy_settings, .options = o});
    return failed;
}

void proxy_options_free(struct proxy_options *o)
{
    users_free(&o->users);
    config_free(&(struct config){.settings = proxy_settings, .options = o});
}
