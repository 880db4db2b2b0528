#include "shared/frame.h"
#include "tests/sim/world.h"
#include <stdarg.h>

void world_trace(struct world *w, const char *format, ...)
{
    va_list args;

    fprintf(w->trace, "%10llu ", (unsigned long long)w->now_us);
    va_start(args, format);
    vfprintf(w->trace, format, args);
    va_end(args);
    fputc('\n', w->trace);
}

static const char *version_text(struct version v, char text[40])
{
    snprintf(text, 40, "%llu.%u/%llu", (unsigned long long)view_number(v.view), view_member(v.view),
             (unsigned long long)v.op);
    return text;
}

static void trace_signals(struct world *w, const char *head, struct bytes body)
{
    static const char *const names[] = {"?",       "PREPARE", "PROMISE",   "REFUSED",
                                        "LEADING", "ACK",     "GAP",       "TAKEN",
                                        "LEAD",    "CONFIRM", "CONFIRMED", "FAILED"};
    struct signal m;
    char last[40];

    if (peer_check_signals(body) != 0)
        return;
    while (peer_next_signal(&body, &m))
        world_trace(w, "%s %s p=%u epoch=%llu view=%llu.%u last=%s%s", head,
                    m.kind < sizeof(names) / sizeof(names[0]) ? names[m.kind] : "signal",
                    m.partition, (unsigned long long)m.epoch,
                    (unsigned long long)view_number(m.view), view_member(m.view),
                    version_text(m.last, last), m.flags & SIGNAL_PARTIAL ? " partial" : "");
}

static void trace_step(struct world *w, const char *head, struct bytes body)
{
    struct step m;
    char from[40], at[40];

    if (peer_get_step(body, &m) == 0)
        world_trace(w, "%s %s p=%u view=%llu.%u from=%s at=%s changes=%u", head,
                    m.kind == STEP_START ? "START" : "STEP", m.partition,
                    (unsigned long long)view_number(m.view), view_member(m.view),
                    version_text(m.from, from), version_text(m.at, at), m.change_count);
}

static void trace_chunk(struct world *w, const char *head, struct bytes body)
{
    struct chunk m;
    char at[40];

    if (peer_get_chunk(body, &m) == 0)
        world_trace(w,
                    "%s CHUNK p=%u view=%llu.%u transfer=%llu number=%llu flags=%u records=%u "
                    "rest=%u at=%s",
                    head, m.partition, (unsigned long long)view_number(m.view), view_member(m.view),
                    (unsigned long long)m.transfer, (unsigned long long)m.number, m.flags,
                    m.change_count, m.rest.count, version_text(m.at, at));
}

static void trace_request(struct world *w, const char *head, struct bytes body)
{
    struct request m;
    char base[40];

    if (message_get_request(body, &m) == 0)
        world_trace(w, "%s REQUEST id=%llu p=%u %s view=%llu.%u number=%llu level=%u%s%s base=%s",
                    head, (unsigned long long)m.id, m.partition, operation_info(m.op)->name,
                    (unsigned long long)view_number(m.view), view_member(m.view),
                    (unsigned long long)m.number, m.level, m.flags & REQUEST_RETRY ? " again" : "",
                    m.flags & REQUEST_LEAD ? " lead" : "",
                    version_text((struct version){m.base_view, m.base_op}, base));
}

static void trace_reply(struct world *w, const char *head, struct bytes body)
{
    struct reply m;

    if (message_get_reply(body, &m) == 0)
        world_trace(w, "%s REPLY id=%llu kind=%u refusal=%u view=%llu.%u/%llu", head,
                    (unsigned long long)m.id, m.kind, m.refusal,
                    (unsigned long long)view_number(m.view), view_member(m.view),
                    (unsigned long long)m.op);
}

void trace_frames(struct world *w, const struct place *from, const struct place *to,
                  struct bytes frames, const char *verb)
{
    char a[16], b[16], head[64];
    struct frame f;

    snprintf(head, sizeof(head), "%s %s %s", place_name(from, a), verb, place_name(to, b));
    while (frames.size) {
        int64_t size = frame_read(frames, FRAME_BODY_MAX, &f);

        if (size <= 0)
            return;
        switch (f.type) {
        case MESSAGE_SIGNALS:
            trace_signals(w, head, f.body);
            break;
        case MESSAGE_STEP:
            trace_step(w, head, f.body);
            break;
        case MESSAGE_CHUNK:
            trace_chunk(w, head, f.body);
            break;
        case MESSAGE_REQUEST:
            trace_request(w, head, f.body);
            break;
        case MESSAGE_REPLY:
            trace_reply(w, head, f.body);
            break;
        default:
            world_trace(w, "%s message %u", head, f.type);
        }
        frames = bytes_of(frames.data + size, frames.size - (size_t)size);
    }
}

void trace_groups(struct world *w)
{
    static const char *const roles[] = {"backup", "candidate", "primary"};

    for (uint32_t i = 0; i < w->place_count; i++) {
        const struct place *p = &w->places[i];
        char name[16], last[40];

        for (uint32_t k = 0; p->shard && k < p->shard->group_count; k++) {
            const struct group *g = &p->shard->groups[k];

            if (!g->mine)
                continue;
            world_trace(w, "%s p=%u %s promised=%llu.%u last=%s%s leader=%llu.%u",
                        place_name(p, name), g->partition, roles[g->role],
                        (unsigned long long)view_number(g->promised), view_member(g->promised),
                        version_text(g->last, last), g->partial ? " partial" : "",
                        (unsigned long long)view_number(g->leader), view_member(g->leader));
            for (uint8_t j = 0; j < g->peer_count; j++)
                world_trace(w, "    peer n%u state=%u promised=%d acked=%d/%llu",
                            g->peers[j].member, g->peers[j].state, g->peers[j].promised,
                            g->peers[j].acked, (unsigned long long)g->peers[j].acked_op);
        }
    }
}

static void trace_op(struct world *w, const struct sim_op *o)
{
    const struct linear_op *l = &o->linear;
    char text[400];
    size_t at = 0;

    for (uint8_t k = 0; k < l->key_count; k++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %s%s%.*s",
                               w->keys->keys[l->keys[k]].text, l->values[k].size ? "=" : "",
                               (int)l->values[k].size,
                               l->values[k].size ? (const char *)l->values[k].data : "");
    if (l->by)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " by %lld", (long long)l->by);
    if (l->returned == LINEAR_NEVER) {
        snprintf(text + at, sizeof(text) - at, " -> ?");
    } else {
        at += (size_t)snprintf(text + at, sizeof(text) - at, " -> %s%lld",
                               l->kind == REPLY_NIL ? "nil " : "", (long long)l->integer);
        for (uint8_t k = 0; k < l->key_count; k++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, " %.*s", (int)l->results[k].size,
                                   l->results[k].size ? (const char *)l->results[k].data : "");
    }
    world_trace(w, "history %5llu..%-5lld operation %zu client%u %s%s",
                (unsigned long long)l->invoked, (long long)l->returned, (size_t)(o - w->ops),
                o->client, l->op == LINEAR_EXPIRY ? "(time)" : operation_info(l->op)->name, text);
}

void trace_history(struct world *w, uint32_t partition)
{
    for (size_t i = 0; i < w->op_count && w->trace; i++)
        if (!w->ops[i].dropped && w->ops[i].partition == partition)
            trace_op(w, &w->ops[i]);
}
