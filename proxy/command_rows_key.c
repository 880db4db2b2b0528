/* Rows of the commands on keys of whatever type, in the order of their names. */
#include "proxy/command_rows.h"
#include "proxy/commands.h"
#include "shared/operation.h"

const struct command commands_key[] = {
    {.name = "del",
     .arity = -2,
     .flags = FLAG(WRITE),
     .category = CATEGORY(KEYSPACE),
     KEYS(1, -1, 1, "RM delete"),
     .op = OP_DEL,
     .tips = "request_policy:multi_shard response_policy:agg_sum",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N) with N the number of keys",
     .syntax = "key [key ...]",
     .summary = "Deletes keys, and tells how many there were",
     .run = run_keys},
    {.name = "exists",
     .arity = -2,
     .flags = FLAG(READONLY) | FLAG(FAST),
     .category = CATEGORY(KEYSPACE),
     KEYS(1, -1, 1, "RO"),
     .op = OP_EXISTS,
     .tips = "request_policy:multi_shard response_policy:agg_sum",
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N) with N the number of keys",
     .syntax = "key [key ...]",
     .summary = "How many of the keys are there; one named twice counts twice",
     .run = run_keys},
    {0},
};
