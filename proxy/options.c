#include "proxy/options.h"
#include "shared/error.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct proxy_options, field)
#define KI        (INT64_C(1) << 10)
#define GI        (INT64_C(1) << 30)

enum { DAY_MS = 24 * 3600 * 1000 };

/* In the order of enum log_level. */
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

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
     "time after which a client that sends nothing is closed; 0: never"},

    {"cluster", "nodes", CONFIG_ADDRESSES, AT(nodes), NULL, 0, 0, NULL,
     "some nodes, as HOST:PORT, HOST:PORT; one that answers is enough to learn of the others"},
    {"cluster", "ring_poll", CONFIG_DURATION, AT(ring_poll_ms), "1s", 50, 60000, NULL,
     "time between two questions whether the ring has changed"},

    {"log", "file", CONFIG_TEXT, AT(log_file), "", 0, PATH_MAX - 1, NULL,
     "file to which the log is appended; empty: standard error"},
    {"log", "level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, levels,
     "how much is logged: each level includes those before it"},
    {NULL, NULL, CONFIG_TEXT, 0, NULL, 0, 0, NULL, NULL},
};
/* clang-format on */

/* A proxy that fetched the ring from itself would wait for itself. */
static int nodes_check(const struct proxy_options *o, char *why, size_t why_size)
{
    const char *rest = o->nodes;
    char *own_host, *host;
    uint16_t own_port, port;
    int failed = config_split_address(o->listen, &own_host, &own_port);

    if (failed) {
        snprintf(why, why_size, "[proxy] listen: %s", rk_error_text(failed));
        return failed;
    }
    while (!failed && !(failed = config_next_address(&rest, &host, &port))) {
        if (port == own_port && strcmp(host, own_host) == 0) {
            snprintf(why, why_size,
                     "[cluster] nodes lists %.80s:%u, where this proxy itself listens; list nodes",
                     host, port);
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

int proxy_options_load(struct proxy_options *o, const char *path, char *const *sets,
                       size_t set_count, char *why, size_t why_size)
{
    return config_load(proxy_settings, o, path, sets, set_count, check, why, why_size);
}

void proxy_options_free(struct proxy_options *o)
{
    config_free(&(struct config){.settings = proxy_settings, .options = o});
}
