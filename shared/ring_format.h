/* The ring's format has two files: ring_format.c has what every ring has, ring_format_more.c what
 * tells of changes, past and present. For these two only. */
#ifndef RINGKV_SHARED_RING_FORMAT_H
#define RINGKV_SHARED_RING_FORMAT_H

#include "shared/ring.h"

/* Bytes that ring_extension_put writes. */
size_t ring_extension_size(const struct ring *r);

/* Writes the extension; returns the byte behind it. */
uint8_t *ring_extension_put(uint8_t *at, const struct ring *r);

/* The reverse, into a ring whose members are there, and which has an empty change if one is under
 * way. 0 or RK_CORRUPT. Fields are believed as far as memory goes; ring_check looks at them. */
int ring_extension_get(struct bytes in, struct ring *r);

#endif
