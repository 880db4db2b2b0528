#include "proxy/records.h"
#include "proxy/client_line.h"
#include "proxy/execution.h"
#include "proxy/tunables.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <inttypes.h>
#include <stdio.h>

/* The arguments of a command, as far as they are shown. */
struct shown {
    struct bytes args[SLOW_ARGS_MAX];
    char numbers[SLOW_ARGS_MAX][24];
    uint32_t count;
    uint64_t all;
};

static void show(struct shown *s, struct bytes arg)
{
    if (s->count < SLOW_ARGS_MAX)
        s->args[s->count++] = arg;
    s->all++;
}

static void show_number(struct shown *s, struct bytes arg)
{
    char *text = s->numbers[s->count < SLOW_ARGS_MAX ? s->count : 0];

    if (s->count < SLOW_ARGS_MAX && arg.size == 8)
        show(s, bytes_of(text, (size_t)sprintf(text, "%" PRId64, (int64_t)wire_get_u64(arg.data))));
    else
        s->all++;
}

/* The next letter of an operation's arguments; behind '*' they begin again. */
static char next_letter(const char *letters, const char **at)
{
    if (!**at || **at == '*')
        *at = letters;
    return **at ? *(*at)++ : '\0';
}

static void show_call(struct shown *s, const struct call *c)
{
    const struct operation_info *info = operation_info(c->op);
    struct bytes rest = bytes_of(c->args, c->args_size);
    const char *at = info ? info->args : "";

    for (uint32_t i = 0; info && i < c->arg_count; i++) {
        struct bytes arg = message_next_arg(&rest, NULL);
        char letter = next_letter(info->args, &at);

        if (letter == 'k')
            show(s, bytes_of(arg.data + POSITION_SIZE, arg.size - POSITION_SIZE));
        else if (letter == 'v')
            show(s, arg);
        else if (letter == 'i')
            show_number(s, arg);
    }
}

static void show_slot(struct shown *s, const struct slot *slot)
{
    s->all = s->count = 0;
    if (slot->command)
        show(s, bytes_from(slot->command->name));
    /* What a walk asks is its own; and what was answered may have taken its place. */
    if (slot->walk)
        return;
    if (slot->gather == GATHER_ARRAY && slot->call_count > 1) {
        s->all += slot->key_count; /* the values have taken the keys' place */
        return;
    }
    for (const struct call *c = slot->first; c; c = c->sibling)
        show_call(s, c);
}

static void note(struct router *r, struct session *session, const struct command *command,
                 const struct shown *shown, uint64_t took_us)
{
    const struct router_ports *ports = &r->ports;
    int64_t slow_us = tunable_read(&r->tunables->slow_us);
    int64_t latency_ms = tunable_read(&r->tunables->latency_ms);
    uint64_t now_s = ports->unix_us(ports->arg) / 1000000;
    struct client_facts client;
    struct records *records;

    ports->client(ports->arg, session, &client);
    records = ports->records(ports->arg);
    if (slow_us >= 0 && took_us >= (uint64_t)slow_us)
        slow_log_add(&records->slow,
                     &(struct slow_command){.args = shown->args,
                                            .arg_count = shown->count,
                                            .args_all = shown->all,
                                            .address = client.address,
                                            .name = session_text(session, SESSION_NAME),
                                            .unix_s = now_s,
                                            .took_us = took_us},
                     (uint64_t)tunable_read(&r->tunables->slow_entries));
    if (latency_ms && took_us / 1000 >= (uint64_t)latency_ms)
        latency_add(&records->latency,
                    command && command->flags & COMMAND_FAST ? LATENCY_FAST_COMMAND
                                                             : LATENCY_COMMAND,
                    now_s, took_us / 1000);
    ports->records_done(ports->arg);
}

void records_note_slot(struct router *r, const struct slot *slot)
{
    uint64_t took_us = r->now_us - slot->begun_us;
    int64_t slow_us = tunable_read(&r->tunables->slow_us);
    int64_t latency_ms = tunable_read(&r->tunables->latency_ms);
    struct shown shown;

    if (!(slow_us >= 0 && took_us >= (uint64_t)slow_us) &&
        !(latency_ms && took_us / 1000 >= (uint64_t)latency_ms))
        return;
    show_slot(&shown, slot);
    note(r, slot->session, slot->command, &shown, took_us);
}

void records_note_local(struct execution *x)
{
    struct shown shown = {.all = 0};

    if (!x->router->tunables || tunable_read(&x->router->tunables->slow_us) != 0 || !x->command)
        return;
    /* Nothing about passwords. */
    if (x->command->flags & COMMAND_NO_AUTH)
        return;
    for (uint32_t i = 0; i < x->count; i++)
        show(&shown, x->args[i]);
    note(x->router, x->session, x->command, &shown, 0);
}
