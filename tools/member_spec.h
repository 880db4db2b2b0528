/* NAME=HOST:PORT[:ZONE[:WEIGHT]], as members are named on ringctl's command line. */
#ifndef RINGKV_TOOLS_MEMBER_SPEC_H
#define RINGKV_TOOLS_MEMBER_SPEC_H

#include "shared/ring.h"
#include <stddef.h>

/* Fills in name, host, port, zone ("" if not given) and weight (1). 0, or RK_INVALID with what is
 * wrong, and what would be right, in `why`. */
int member_spec_parse(const char *text, struct ring_member *m, char *why, size_t why_size);

#endif
