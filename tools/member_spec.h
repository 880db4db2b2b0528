/* NAME=HOST:PORT[:ZONE[:WEIGHT]], as members are named on ringctl's command line. */
#ifndef RINGKV_TOOLS_MEMBER_SPEC_H
#define RINGKV_TOOLS_MEMBER_SPEC_H

#include "shared/ring.h"
#include "tools/why.h"
#include <stddef.h>

/* Fills in name, host, port, zone ("" if not given) and weight (1). 0, or RK_INVALID with what is
 * wrong, and what would be right, in `why`. */
int member_spec_parse(const char *text, struct ring_member *m, char *why, size_t why_size);

/* One word each of it, about the member that is called m->name. 0, or RK_INVALID and why. */
int member_weight_parse(const char *text, struct ring_member *m, struct why *why);
int member_zone_parse(const char *text, struct ring_member *m, struct why *why);

#endif
