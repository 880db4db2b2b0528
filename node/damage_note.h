/* Edge: a note beside a tree that the node ended over a damaged page of it. Started again, it would
 * serve until its next checkpoint comes to that page, and end again, over and over; each time
 * others have to take its partitions over. So with a note it does not start.
 */
#ifndef RINGKV_NODE_DAMAGE_NOTE_H
#define RINGKV_NODE_DAMAGE_NOTE_H

#include <stddef.h>

/* Leaves a note: what is wrong, and what to do about it. Best effort. */
void damage_note_leave(const char *tree_path, const char *what);

/* Looks for one. 0: there is none; RK_CORRUPT with what it says, and how to do without it;
 * RK_NOMEM; RK_IO: it cannot be said whether there is one, with the reason. */
int damage_note_look(const char *tree_path, char *why, size_t why_size);

#endif
