/* Where a key lies on the ring.
 *
 * The position is the first 8 bytes, big-endian, of the digest (MD5 or SHA-1) of the key, or of
 * what stands in the key's first {...} when that is not empty (a hash tag, as in the Redis Cluster
 * specification): keys with the same tag lie together.
 */
#ifndef RINGKV_SHARED_POSITION_H
#define RINGKV_SHARED_POSITION_H

#include "shared/bytes.h"
#include <stdint.h>

enum position_hash { POSITION_MD5 = 1, POSITION_SHA1 = 2 };

/* Keeps the digest contexts that are costly to make; one for each thread. */
struct positioner;

/* NULL: out of memory, or the crypto library refuses the digest (a FIPS build refuses MD5). */
struct positioner *positioner_new(enum position_hash hash);
void positioner_free(struct positioner *p);

/* The part of a key that is hashed. */
struct bytes position_tag(struct bytes key);

/* The position of a key. Does not fail: a digest that worked at positioner_new works later. */
uint64_t position_of(struct positioner *p, struct bytes key);

/* "md5", "sha1"; NULL for another number. */
const char *position_hash_name(enum position_hash hash);

/* The number for a name, or RK_INVALID. */
int position_hash_from_name(const char *name);

#endif
