/* Edits on a ring → the members of the ring that would be right. */
#include "shared/address.h"
#include "shared/error.h"
#include "tools/edit.h"
#include "tools/plan.h"
#include "tools/why.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct draft {
    const struct ring *now;
    struct ring_member *members; /* those of `now`, then the new ones */
    uint32_t count;
    uint8_t replicas;
    bool rebalance; /* a new plan is wanted, whatever else there is */
    bool *leaves;   /* per member */
    bool *touched;  /* a member that some edit is about already */
    uint32_t *heir; /* per member of `now`: who takes its place, else itself */
    struct why why;
};

/* --- edits, one at a time ------------------------------------------------------------------- */

static int find_member(struct draft *d, const char *name, uint32_t *out)
{
    int index = ring_member_by_name(d->now, name);

    if (index < 0)
        return why_set(&d->why, RK_INVALID,
                       "the ring has no member %s; 'ringctl status' lists its members", name);
    *out = (uint32_t)index;
    return 0;
}

/* A member that is removed or replaced, each of which excludes any other edit of it. */
static int take_leaver(struct draft *d, const char *name, uint32_t *out)
{
    int error = find_member(d, name, out);

    if (error)
        return error;
    if (d->touched[*out])
        return why_set(&d->why, RK_INVALID, "%s is named in two changes at once", name);
    d->touched[*out] = d->leaves[*out] = true;
    return 0;
}

static int append_member(struct draft *d, const struct ring_member *m)
{
    if (d->count - d->now->member_count + d->now->next_number > UINT16_MAX - 1u)
        return why_set(&d->why, RK_INVALID,
                       "this cluster has had as many members as it may ever have");
    for (uint32_t i = 0; i < d->count; i++) {
        const struct ring_member *other = &d->members[i];
        char at[ADDRESS_TEXT_SIZE];

        if (strcmp(other->name, m->name) == 0)
            return why_set(&d->why, RK_INVALID,
                           "the name %s is taken, by the node at %s; choose another name", m->name,
                           address_text(other->host, other->port, at));
        /* The machine of a dead node with an empty disk, say. */
        if (!d->leaves[i] && other->port == m->port && strcmp(other->host, m->host) == 0)
            return why_set(&d->why, RK_INVALID,
                           "%s is at %s already; %s needs an address of its own", other->name,
                           address_text(m->host, m->port, at), m->name);
    }
    d->members[d->count] = *m;
    d->members[d->count].number =
        (uint16_t)(d->now->next_number + (d->count - d->now->member_count));
    d->count++;
    return 0;
}

static int apply_add(struct draft *d, const struct edit *edit)
{
    return append_member(d, &edit->node);
}

static int apply_remove(struct draft *d, const struct edit *edit)
{
    uint32_t index = 0;

    return take_leaver(d, edit->name, &index);
}

static int apply_replace(struct draft *d, const struct edit *edit)
{
    struct ring_member node = edit->node;
    uint32_t index = 0;
    int error = take_leaver(d, edit->name, &index);

    if (error)
        return error;
    node.weight = d->members[index].weight;
    memcpy(node.zone, d->members[index].zone, sizeof(node.zone));
    d->heir[index] = d->count;
    return append_member(d, &node);
}

static int apply_set(struct draft *d, const struct edit *edit)
{
    uint32_t index = 0;
    int error = find_member(d, edit->name, &index);

    if (error)
        return error;
    if (d->leaves[index])
        return why_set(&d->why, RK_INVALID, "%s is named in two changes at once", edit->name);
    d->touched[index] = true;
    if (edit->has_weight)
        d->members[index].weight = edit->node.weight;
    if (edit->has_zone)
        memcpy(d->members[index].zone, edit->node.zone, sizeof(edit->node.zone));
    return 0;
}

static int apply_replicas(struct draft *d, const struct edit *edit)
{
    d->replicas = edit->replicas;
    return 0;
}

static int apply_rebalance(struct draft *d, const struct edit *edit)
{
    (void)edit;
    d->rebalance = true;
    return 0;
}

static int (*const apply[])(struct draft *, const struct edit *) = {
    [EDIT_ADD] = apply_add, [EDIT_REMOVE] = apply_remove,     [EDIT_REPLACE] = apply_replace,
    [EDIT_SET] = apply_set, [EDIT_REPLICAS] = apply_replicas, [EDIT_REBALANCE] = apply_rebalance,
};

/* --- the whole ------------------------------------------------------------------------------ */

static bool changes_anything(const struct draft *d)
{
    bool changes =
        d->rebalance || d->replicas != d->now->replicas || d->count != d->now->member_count;

    for (uint32_t i = 0; i < d->now->member_count; i++)
        changes |= d->leaves[i] || d->members[i].weight != d->now->members[i].weight ||
                   strcmp(d->members[i].zone, d->now->members[i].zone) != 0;
    return changes;
}

static int check_whole(struct draft *d, uint32_t left)
{
    if (left == 0)
        return why_set(&d->why, RK_INVALID, "no member would be left");
    if (left > MEMBERS_MAX)
        return why_set(&d->why, RK_INVALID, "%u members; a ring has at most %d", left, MEMBERS_MAX);
    if (left < d->replicas && (left < d->now->member_count || d->replicas != d->now->replicas))
        return why_set(&d->why, RK_INVALID,
                       "%u replicas need as many nodes, and there would be %u; add nodes%s",
                       d->replicas, left,
                       d->replicas != d->now->replicas ? " first"
                                                       : ", or have fewer replicas: 'ringctl set "
                                                         "replicas=N'");
    return 0;
}

static int make_ring(struct draft *d, uint32_t left, struct ring **out, uint16_t *heirs)
{
    uint16_t index[3 * MEMBERS_MAX];
    struct ring *next = ring_new(left, d->now->bits);
    uint16_t at = 0;

    if (!next)
        return why_set(&d->why, RK_NOMEM, "out of memory");
    memcpy(next->cluster, d->now->cluster, IDENTITY_SIZE);
    next->epoch = d->now->epoch + 1;
    next->hash = d->now->hash;
    next->replicas = d->replicas;
    next->next_number = (uint16_t)(d->now->next_number + (d->count - d->now->member_count));
    for (uint32_t i = 0; i < d->count; i++) {
        index[i] = d->leaves[i] ? (uint16_t)PLAN_NOBODY : at;
        if (!d->leaves[i])
            next->members[at++] = d->members[i];
    }
    assert(at == left);
    for (uint32_t i = 0; i < d->now->member_count; i++)
        heirs[i] = index[d->heir[i]];
    *out = next;
    return 0;
}

static int apply_all(struct draft *d, const struct edits *e, struct ring **out, uint16_t *heirs)
{
    uint32_t left = 0;
    int error = 0;

    for (uint32_t i = 0; i < d->now->member_count; i++) {
        d->members[i] = d->now->members[i];
        d->heir[i] = i;
    }
    for (size_t i = 0; i < e->count && !error; i++)
        error = apply[e->list[i].kind](d, &e->list[i]);
    for (uint32_t i = 0; i < d->count; i++)
        left += !d->leaves[i];
    if (!error)
        error = check_whole(d, left);
    return error || !changes_anything(d) ? error : make_ring(d, left, out, heirs);
}

int edits_apply(const struct edits *e, const struct ring *now, struct ring **out,
                uint16_t heirs[MEMBERS_MAX], char *why, size_t why_size)
{
    size_t room = now->member_count + e->count;
    struct draft d = {.now = now,
                      .count = now->member_count,
                      .replicas = now->replicas,
                      .why = why_in(why, why_size)};
    int error;

    _Static_assert(MEMBERS_MAX + EDITS_MAX == 3 * MEMBERS_MAX, "make_ring's index has room");
    *out = NULL;
    d.members = calloc(room, sizeof(*d.members));
    d.leaves = calloc(room, sizeof(*d.leaves));
    d.touched = calloc(room, sizeof(*d.touched));
    d.heir = calloc(now->member_count, sizeof(*d.heir));
    if (d.members && d.leaves && d.touched && d.heir)
        error = apply_all(&d, e, out, heirs);
    else
        error = why_set(&d.why, RK_NOMEM, "out of memory");
    free(d.members);
    free(d.leaves);
    free(d.touched);
    free(d.heir);
    return error;
}

/* --- in words ------------------------------------------------------------------------------- */

static int edit_text(const struct edit *edit, char *to, size_t size)
{
    const struct ring_member *m = &edit->node;
    char weight[32] = "", zone[NAME_SIZE_MAX + 16] = "", at[ADDRESS_TEXT_SIZE];

    if (edit->kind == EDIT_REMOVE)
        return snprintf(to, size, "remove %s", edit->name);
    if (edit->kind == EDIT_REBALANCE)
        return snprintf(to, size, "rebalance");
    if (edit->kind == EDIT_REPLICAS)
        return snprintf(to, size, "set replicas=%u", edit->replicas);
    if (edit->kind == EDIT_REPLACE)
        return snprintf(to, size, "replace %s %s=%s", edit->name, m->name,
                        address_text(m->host, m->port, at));
    if (edit->kind == EDIT_SET) {
        if (edit->has_weight)
            snprintf(weight, sizeof(weight), " weight=%u", m->weight);
        if (edit->has_zone)
            snprintf(zone, sizeof(zone), " zone=%s", m->zone);
        return snprintf(to, size, "set %s%s%s", edit->name, weight, zone);
    }
    if (m->weight != 1)
        snprintf(weight, sizeof(weight), " --weight %u", m->weight);
    if (m->zone[0])
        snprintf(zone, sizeof(zone), " --zone %s", m->zone);
    return snprintf(to, size, "add %s=%s%s%s", m->name, address_text(m->host, m->port, at), weight,
                    zone);
}

void edits_text(const struct edits *e, char *text, size_t size)
{
    char one[2 * HOST_SIZE_MAX + 4 * NAME_SIZE_MAX];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < e->count; i++) {
        size_t length = (size_t)edit_text(&e->list[i], one, sizeof(one));

        if (used + length + 2 >= size) {
            /* What is there ends where "..." still fits. */
            used = used + 4 > size ? size - 4 : used;
            snprintf(text + used, size - used, "...");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "; " : "", one);
    }
}
