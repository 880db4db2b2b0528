/* From a command's keys and values to calls: what the functions of the commands on keys share.
 *
 * Each checks what it is given, replying an error when it is not valid, and sends the calls. */
#ifndef RINGKV_PROXY_KEYED_H
#define RINGKV_PROXY_KEYED_H

#include "proxy/execution.h"

/* Whether a key or value has a size that there can be; an error is replied when not. */
bool keyed_key_valid(struct execution *x, struct bytes key);
bool keyed_value_valid(struct execution *x, struct bytes value);

/* enum request_level: what the command asks for, unless it says so itself. */
uint8_t keyed_read_level(const struct execution *x);

/* A command on the key that is its first argument, with a value unless it is NULL. */
void keyed_one(struct execution *x, uint8_t level, const struct bytes *value);

/* A command on the keys that are its arguments, each with a value behind it or without, becomes a
 * call for each partition that they lie in. */
void keyed_many(struct execution *x, enum gather gather, bool with_values);

#endif
