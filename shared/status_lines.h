/* The lines "name=value" in which a node tells its status. */
#ifndef RINGKV_SHARED_STATUS_LINES_H
#define RINGKV_SHARED_STATUS_LINES_H

#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

/* The value of a line "name=value" in a status text; size 0 when there is none. */
struct bytes status_text(struct bytes status, const char *name);
/* The number that the value begins with; 0 when there is none, UINT64_MAX when it is larger. */
uint64_t status_number(struct bytes status, const char *name);

/* The next line of `rest`, which moves on behind it; what is no "name=value" is passed over. False:
 * there is none. */
bool status_next(struct bytes *rest, struct bytes *name, struct bytes *value);

/* Whether all of a value is a number, of at most 19 digits. */
bool status_is_number(struct bytes value);

#endif
