/* A command's syntax as COMMAND DOCS tells it, argument by argument: redis-cli makes its help and
 * its hints of that. */
#ifndef RINGKV_PROXY_COMMAND_ARGUMENTS_H
#define RINGKV_PROXY_COMMAND_ARGUMENTS_H

#include "shared/buf.h"

struct command;

/* Appends an array of maps, made of the row's syntax. That one is read as Redis writes it: CAPITALS
 * are typed as they are, [what may be left out], [what can be repeated ...], one | or the other. A
 * command without arguments has an empty array, which Redis leaves out. 0 or RK_NOMEM. */
int command_put_arguments(struct buf *out, const struct command *c, int version);

#endif
