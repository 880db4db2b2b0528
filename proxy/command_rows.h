/* The command table's rows, a file for each family of commands, and what they are written with. */
#ifndef RINGKV_PROXY_COMMAND_ROWS_H
#define RINGKV_PROXY_COMMAND_ROWS_H

#include "proxy/answer_shape.h"
#include "proxy/command.h"

#define FLAG(name)     COMMAND_##name
#define CATEGORY(name) CATEGORY_##name
#define KEYS(first, last, step, access) \
    .first_key = first, .last_key = last, .key_step = step, .key_access = access
#define ONE_KEY(access) KEYS(1, 1, 1, access)
#define ANY_LOAD        (FLAG(LOADING) | FLAG(STALE))
#define CLIENT_FLAGS    (FLAG(NOSCRIPT) | ANY_LOAD)
#define UNORDERED       "nondeterministic_output_order"
#define CHANGING        "nondeterministic_output"

/* Each in the order of names; ends with name NULL. */
extern const struct command commands_bits[], commands_connection[], commands_key[],
    commands_inspect[], commands_keyspace[], commands_server[], commands_string[],
    commands_together[], commands_transaction[];

#endif
