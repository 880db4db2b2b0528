/* The nodes that are to join a ring: whether they can, and who they are. */
#ifndef RINGKV_TOOLS_JOINING_H
#define RINGKV_TOOLS_JOINING_H

#include "tools/survey.h"

/* Asks every member of `next` that is not in the survey's ring who it is, and fills in its identity
 * and shards, and facts[i] for it. EXIT_DONE; EXIT_COULD_NOT after having said why a node cannot
 * join: it does not answer, is in a ring already, is of another version, is the same as another. */
int joining_visit(struct survey *s, struct ring *next, struct node_facts *facts);

#endif
