#include "proxy/link_news.h"
#include "shared/address.h"
#include "shared/ring.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_to(const struct link_member *m, const struct ring_member *member)
{
    return memcmp(m->identity, member->identity, IDENTITY_SIZE) == 0 && m->port == member->port &&
           strcmp(m->host, member->host) == 0;
}

struct link_member *link_news_join(struct link_news *n, const struct ring_member *member)
{
    struct link_member *m = n->members;

    while (m && !is_to(m, member))
        m = m->next;
    if (!m) {
        m = calloc(1, sizeof(*m));
        if (!m)
            return NULL;
        memcpy(m->identity, member->identity, IDENTITY_SIZE);
        memcpy(m->name, member->name, sizeof(m->name));
        memcpy(m->host, member->host, sizeof(m->host));
        m->port = member->port;
        m->next = n->members;
        n->members = m;
    }
    m->links++;
    return m;
}

void link_news_leave(struct link_news *n, struct link_member *m, bool was_up)
{
    struct link_member **at = &n->members;

    m->up -= was_up;
    if (--m->links > 0)
        return;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    free(m);
}

static struct link_reason *find(struct link_member *m, enum link_event event, const char *why)
{
    for (uint32_t i = 0; i < m->reason_count; i++)
        if (m->reasons[i].event == event && strncmp(m->reasons[i].why, why, LINK_WHY_MAX - 1) == 0)
            return &m->reasons[i];
    return NULL;
}

bool link_news_has_room(struct link_member *m, enum link_event event, const char *why)
{
    return m->reason_count < LINK_REASONS_MAX || find(m, event, why);
}

static struct link_reason *add(struct link_member *m, enum link_event event, const char *why,
                               uint64_t now_ms)
{
    struct link_reason *r = &m->reasons[m->reason_count++];

    assert(m->reason_count <= LINK_REASONS_MAX);
    *r = (struct link_reason){
        .event = event,
        .due_ms = now_ms + (event == LINK_UP ? LINK_UP_MS : LINK_GATHER_MS),
    };
    snprintf(r->why, sizeof(r->why), "%s", why);
    return r;
}

void link_news_note(struct link_member *m, enum link_event event, uint16_t shard, const char *why,
                    uint64_t now_ms)
{
    struct link_reason *r = find(m, event, why);

    m->up += event == LINK_UP;
    m->up -= event == LINK_LOST;
    if (!r)
        r = add(m, event, why, now_ms);
    r->count++;
    r->shards |= UINT64_C(1) << shard;
    if (r->event == LINK_UP && m->up == m->links)
        r->due_ms = now_ms;
}

/* "0,2,3" */
static void name_shards(uint64_t shards, char *to, size_t size)
{
    size_t used = 0;

    *to = '\0';
    for (unsigned shard = 0; shard < SHARDS_MAX; shard++)
        if (shards >> shard & 1 && used < size)
            used += (size_t)snprintf(to + used, size - used, "%s%u", used ? "," : "", shard);
}

static void write_line(const struct link_member *m, const struct link_reason *r,
                       struct link_line *line)
{
    static const char *const events[] = {
        [LINK_LOST] = "lost", [LINK_FAILED] = "failed", [LINK_UP] = "up"};
    char shards[SHARDS_MAX * 3 + 1], why[LINK_WHY_MAX + 8] = "", at[ADDRESS_TEXT_SIZE];

    name_shards(r->shards, shards, sizeof(shards));
    if (*r->why)
        snprintf(why, sizeof(why), " why=\"%s\"", r->why);
    line->warning = r->event != LINK_UP;
    snprintf(line->text, sizeof(line->text),
             "link: %s node=%s address=%s links=%u shards=%s up=%u/%u%s", events[r->event], m->name,
             address_text(m->host, m->port, at), r->count, shards, m->up, m->links, why);
}

/* Whatever happened before is told before. */
static bool is_due(const struct link_member *m, uint64_t now_ms)
{
    for (uint32_t i = 0; i < m->reason_count; i++)
        if (m->reasons[i].due_ms <= now_ms)
            return true;
    return false;
}

bool link_news_take(struct link_news *n, uint64_t now_ms, struct link_line *line)
{
    struct link_member *m = n->members;

    while (m && !is_due(m, now_ms))
        m = m->next;
    if (!m)
        return false;
    write_line(m, &m->reasons[0], line);
    m->reason_count--;
    memmove(&m->reasons[0], &m->reasons[1], m->reason_count * sizeof(m->reasons[0]));
    return true;
}

uint64_t link_news_due_ms(const struct link_news *n)
{
    uint64_t due_ms = UINT64_MAX;

    for (const struct link_member *m = n->members; m; m = m->next)
        for (uint32_t i = 0; i < m->reason_count; i++)
            if (m->reasons[i].due_ms < due_ms)
                due_ms = m->reasons[i].due_ms;
    return due_ms;
}
