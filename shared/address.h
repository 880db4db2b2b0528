/* Addresses as people write them: HOST:PORT, [IPV6]:PORT, *:PORT, and lists of them. */
#ifndef RINGKV_SHARED_ADDRESS_H
#define RINGKV_SHARED_ADDRESS_H

#include "shared/bytes.h"
#include "shared/limits.h"
#include <stdint.h>

/* Checks one. NULL when it is good, else what is wrong and what would be right (static). On success
 * `host` (may be NULL) is the part that names the host, without brackets. */
const char *address_check(struct bytes address, struct bytes *host, uint16_t *port);

/* Checks a list of addresses to connect to, with a comma between two. NULL when it is good, else as
 * above, and `entry` is the one it is about. */
const char *address_list_check(struct bytes list, struct bytes *entry);

/* Splits one into a malloced host (without brackets) and a port. 0, RK_INVALID, RK_NOMEM. */
int address_split(const char *address, char **host, uint16_t *port);

/* One as it is written: an IPv6 address stands in brackets, so that it can be given again. Returns
 * `to`. */
enum { ADDRESS_TEXT_SIZE = HOST_SIZE_MAX + 9 };
const char *address_text(const char *host, uint16_t port, char to[ADDRESS_TEXT_SIZE]);

/* Takes the first one off a list, as address_split does; *list then points behind it. 0;
 * RK_NOTFOUND at the end of the list; RK_INVALID; RK_NOMEM. */
int address_next(const char **list, char **host, uint16_t *port);

#endif
