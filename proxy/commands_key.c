/* Commands on keys whatever their values, and the shapes that many commands have. */
#include "proxy/commands.h"
#include "proxy/keyed.h"

void run_key(struct execution *x)
{
    const struct command *c = x->command;

    keyed_send(x, &(struct keyed){.op = c->op,
                                  .level = keyed_level(x, c->op),
                                  .key_at = 1,
                                  .key_count = 1,
                                  .shape = {.kind = c->shape}});
}

void run_key_value(struct execution *x)
{
    keyed_one(x, x->command->op, (struct keyed_arg[]){keyed_value(x->args[2])}, 1);
}

void run_keys(struct execution *x)
{
    keyed_many(x, x->command->op == OP_MGET ? GATHER_ARRAY : GATHER_SUM, false);
}
