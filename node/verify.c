#include "node/verify.h"
#include "node/shard.h"
#include "shared/error.h"
#include <stdio.h>

void verify_begin(struct shard *s, uint64_t run, bool repair)
{
    struct verify *v = &s->verify;

    buf_truncate(&v->findings, 0);
    *v = (struct verify){.run = run,
                         .runs = true,
                         .repair = repair,
                         .under_way = v->under_way,
                         .findings = v->findings};
}

/* Begins the comparisons of one partition; false when it is not their turn yet. */
static bool begin_group(struct shard *s, struct group *g)
{
    struct verify *v = &s->verify;

    if (v->under_way >= TRANSFERS_MAX)
        return false;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        enum transfer_kind kind = v->repair ? TRANSFER_REPAIR : TRANSFER_COMPARE;

        /* Counted before: it may be over at once. */
        v->under_way++;
        if (transfer_compare(s, g, &g->peers[i], kind, true))
            continue;
        v->under_way--;
        v->left_out++;
    }
    return true;
}

void verify_continue(struct shard *s)
{
    struct verify *v = &s->verify;

    while (v->runs && v->next < s->group_count) {
        struct group *g = &s->groups[v->next];

        if (g->mine && g->role == GROUP_PRIMARY && !begin_group(s, g))
            return;
        v->next++;
    }
    if (v->under_way == 0)
        v->runs = false;
}

void verify_ended(struct shard *s, bool whole)
{
    s->verify.under_way--;
    s->verify.compared += whole;
    s->verify.left_out += !whole;
}

static void name_key(struct verify *v, uint32_t partition, uint16_t member, bool repaired,
                     struct bytes key)
{
    static const char digits[] = "0123456789abcdef";
    char line[64 + 2 * KEY_SIZE_MAX];
    int size = snprintf(line, 64, "difference=%u %u %s ", partition, member,
                        repaired ? "repaired" : "found");

    for (size_t i = POSITION_SIZE; i < key.size; i++) {
        line[size++] = digits[key.data[i] >> 4];
        line[size++] = digits[key.data[i] & 15];
    }
    line[size++] = '\n';
    if (buf_append(&v->findings, line, (size_t)size) == 0)
        v->named++;
}

void verify_found(struct shard *s, uint16_t member, const struct difference *d)
{
    struct verify *v = &s->verify;
    struct bytes rest = d->keys, key;

    s->counters.records_differ += d->count;
    s->counters.records_repaired += d->repaired ? d->count : 0;
    if (!v->runs)
        return;
    v->differ += d->count;
    while (v->named < VERIFY_FINDINGS_MAX && peer_next_key(&rest, &key))
        name_key(v, d->partition, member, d->repaired, key);
}

int verify_report(const struct shard *s, struct buf *out)
{
    const struct verify *v = &s->verify;
    char text[200];
    int size =
        snprintf(text, sizeof(text),
                 "run=%llu\nruns=%d\npartitions_done=%u\npartitions=%u\ncompared=%u\nleft_out=%u\n"
                 "differ=%llu\n",
                 (unsigned long long)v->run, v->runs, v->next, s->group_count, v->compared,
                 v->left_out, (unsigned long long)v->differ);

    return buf_append(out, text, (size_t)size) ||
                   buf_append(out, buf_head(&v->findings), buf_len(&v->findings))
               ? RK_NOMEM
               : 0;
}
