/* Commands on keys whatever their values, and the shapes that many commands have. */
#include "proxy/commands.h"
#include "proxy/keyed.h"
#include "shared/operation.h"

void run_key(struct execution *x)
{
    keyed_one(x, keyed_read_level(x), NULL);
}

void run_key_value(struct execution *x)
{
    keyed_one(x, LEVEL_LINEAR, &x->args[2]);
}

void run_keys(struct execution *x)
{
    keyed_many(x, x->command->op == OP_MGET ? GATHER_ARRAY : GATHER_SUM, false);
}
