/* Commands about the connection itself. */
#include "proxy/commands.h"
#include "proxy/login.h"
#include "proxy/transaction.h"
#include <inttypes.h>
#include <stdio.h>

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

void run_reset(struct execution *x)
{
    transaction_discard(x->router, x->session);
    session_reset(x->session);
    login_reset(x->router->logins, x->session);
    reply_simple(x, "RESET");
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
    if (execution_database(x, 1))
        reply_simple(x, "OK");
}

void run_time(struct execution *x)
{
    const struct router_ports *ports = &x->router->ports;
    uint64_t now_us = ports->unix_us(ports->arg);
    char text[24];

    reply_array(x, 2);
    reply_bulk(x, bytes_of(text, (size_t)sprintf(text, "%" PRIu64, now_us / 1000000)));
    reply_bulk(x, bytes_of(text, (size_t)sprintf(text, "%" PRIu64, now_us % 1000000)));
}

void run_role(struct execution *x)
{
    /* To its clients a proxy is one Redis that holds everything. */
    reply_array(x, 3);
    reply_text(x, "master");
    reply_integer(x, 0);
    reply_array(x, 0);
}

/* The fewest that a partition has beside its primary for a majority; while their number is changed,
 * some have as many as before and some as many as after. */
static uint8_t sure_copies(const struct ring *ring)
{
    uint8_t replicas = ring->replicas;

    if (ring->change && ring->change->replicas < replicas)
        replicas = ring->change->replicas;
    return replicas / 2;
}

/* A write is answered when a majority of its replicas have it on stable storage, and this reply
 * comes behind those of the commands before it: there is nothing to be waited for. */
void run_wait(struct execution *x)
{
    int64_t replicas, timeout_ms;

    if (!execution_integer(x, 1, &replicas))
        return;
    if (resp_read_integer(x->args[2], &timeout_ms) != 0)
        reply_error(x, "ERR timeout is not an integer or out of range");
    else if (timeout_ms < 0)
        reply_error(x, "ERR timeout is negative");
    else
        reply_integer(x, x->router->ring ? sure_copies(x->router->ring) : 0);
}

/* --- about the disk, where everything that was acknowledged is already ----------------------- */

void run_lastsave(struct execution *x)
{
    const struct router_ports *ports = &x->router->ports;

    reply_integer(x, (int64_t)(ports->unix_us(ports->arg) / 1000000));
}

void run_save(struct execution *x)
{
    reply_simple(x, "OK");
}

void run_bgsave(struct execution *x)
{
    if (x->count > 1 && !(x->count == 2 && resp_word_is(x->args[1], "schedule")))
        reply_error(x, "ERR syntax error");
    else
        reply_simple(x, "Background saving started");
}

void run_bgrewriteaof(struct execution *x)
{
    reply_simple(x, "Background append only file rewriting started");
}
