/* The ring, and what each of its nodes tells, as ringctl finds them. */
#ifndef RINGKV_TOOLS_SURVEY_H
#define RINGKV_TOOLS_SURVEY_H

#include "shared/status_lines.h"
#include "tools/estimate.h"
#include "tools/fleet.h"
#include "tools/ringctl.h"

struct survey {
    struct fleet *fleet;
    struct ring *ring;            /* the newest that anybody knows */
    uint32_t nodes[MEMBERS_MAX];  /* per member: its number in the fleet */
    uint64_t epochs[MEMBERS_MAX]; /* per member: the ring it has; 0: not known */
    struct node_facts *facts;     /* per member, by survey_status */
    struct bytes *texts;          /* per member: its status lines; valid until it is asked again */
};

/* Asks the nodes of --nodes for their ring, then every member of the newest for its epoch, until
 * nobody knows a newer one. EXIT_DONE, or another exit code after having said why. To be closed in
 * any case. */
int survey_open(const struct control *c, struct survey *s);
void survey_close(struct survey *s);

/* Takes a ring over in place of the one it has; the survey frees it. 0 or RK_NOMEM. */
int survey_take_ring(struct survey *s, struct ring *ring);

/* Fetches the ring of a node of the fleet, and takes it if it is newer. 0 or an error with the
 * node's fleet_why. */
int survey_fetch_ring(struct survey *s, uint32_t node);

/* Asks all members for their status: facts and texts. 0 or RK_NOMEM. */
int survey_status(struct survey *s);

/* A node's status lines as facts. */
void survey_read_facts(struct bytes status, struct node_facts *facts);

#endif
