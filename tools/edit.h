/* What is asked of a ring: nodes added, removed, replaced, reweighted; another number of replicas;
 * or only another plan for what there is.
 *
 * The same words stand on the command line and in a plan file, one edit a line:
 *
 *   add NAME=HOST:PORT[:ZONE[:WEIGHT]] [--weight W] [--zone Z]
 *   remove NAME
 *   replace OLD NEW=HOST:PORT
 *   set NAME [weight=W] [zone=Z]
 *   set replicas=N
 *   rebalance
 *
 * Several of them together are one change. Pure: who answers at the addresses is asked elsewhere.
 */
#ifndef RINGKV_TOOLS_EDIT_H
#define RINGKV_TOOLS_EDIT_H

#include "shared/ring.h"
#include <stddef.h>

enum edit_kind { EDIT_ADD = 1, EDIT_REMOVE, EDIT_REPLACE, EDIT_SET, EDIT_REPLICAS, EDIT_REBALANCE };

struct edit {
    enum edit_kind kind;
    char name[NAME_SIZE_MAX + 1]; /* the member meant: to remove, to replace, to set */
    struct ring_member node;      /* ADD, REPLACE: the new one; identity and shards come later.
                                     SET: zone and weight, where the flags say so */
    bool has_weight, has_zone;
    uint8_t replicas; /* EDIT_REPLICAS */
};

enum {
    EDITS_MAX = 2 * MEMBERS_MAX, /* all members leave, and as many come */
    EDIT_WHY_SIZE = 512,         /* fits every message of these functions */
    EDIT_LINE_MAX = 1024,        /* of a plan file */
    EDIT_FILE_MAX = 1024 << 10,  /* a plan file's size */
    EDIT_WORDS_MAX = 64,         /* in a line of a plan file */
};

struct edits {
    struct edit *list;
    size_t count;
};

void edits_free(struct edits *e);

/* Reads one command with its words (words[0] is its name) and appends what it
 * asks for. 0; RK_NOMEM; RK_INVALID with what is wrong, and what would be right, in `why`. */
int edits_parse_words(struct edits *e, int count, char **words, char *why, size_t why_size);

/* Reads a plan file's text: a command a line; '#' begins a comment. Errors name the line. */
int edits_parse_text(struct edits *e, struct bytes text, char *why, size_t why_size);

/* The edits in words, as `history` shows them: "add n4=10.0.0.4:7400; remove n2". Cut, with "...",
 * when they need more than `size` (at least 8). */
void edits_text(const struct edits *e, char *text, size_t size);

/* The ring that would be right after the edits: a stable one of members with their final weights
 * and zones, without owners, and not yet finished. Members that come have the next free numbers and
 * what edits' `node` says of identity and shards. `heirs`, for each member of `now`: its index in
 * the new ring, of its replacement, or PLAN_NOBODY (tools/plan.h).
 * 0 with *out, which is NULL when the ring is like that already; RK_NOMEM; RK_INVALID with the
 * reason in `why`: no such member, a name or address twice, too few nodes for the replicas. Nothing
 * that only the nodes know is checked. */
int edits_apply(const struct edits *e, const struct ring *now, struct ring **out,
                uint16_t heirs[MEMBERS_MAX], char *why, size_t why_size);

#endif
