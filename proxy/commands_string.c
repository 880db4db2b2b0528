/* Commands on strings: checked here, done by the nodes. */
#include "proxy/commands.h"
#include "proxy/keyed.h"
#include "shared/operation.h"
#include "shared/wire.h"

void run_set(struct execution *x)
{
    if (x->count > 3)
        reply_error(x, "ERR syntax error");
    else
        run_key_value(x);
}

void run_levelget(struct execution *x)
{
    static const uint8_t levels[] = {LEVEL_PRIMARY, LEVEL_ANY, LEVEL_LINEAR};
    int64_t level;

    if (!execution_integer(x, 2, &level))
        return;
    if (level < 0 || level > 2)
        reply_error(x,
                    "ERR level is out of range: 0 asks the primary, 1 any replica, 2 a majority");
    else
        keyed_one(x, levels[level], NULL);
}

static void add(struct execution *x, int64_t increment)
{
    uint8_t number[8];
    struct bytes value = {number, sizeof(number)};

    wire_put_i64(number, increment);
    keyed_one(x, LEVEL_LINEAR, &value);
}

void run_incr(struct execution *x)
{
    add(x, 1);
}

void run_decr(struct execution *x)
{
    add(x, -1);
}

void run_incrby(struct execution *x)
{
    int64_t increment;

    if (execution_integer(x, 2, &increment))
        add(x, increment);
}

void run_decrby(struct execution *x)
{
    int64_t decrement;

    if (!execution_integer(x, 2, &decrement))
        return;
    if (decrement == INT64_MIN)
        reply_error(x, "ERR decrement would overflow");
    else
        add(x, -decrement);
}

void run_mset(struct execution *x)
{
    if (x->count % 2 == 0)
        reply_wrong_arity(x);
    else
        keyed_many(x, GATHER_OK, true);
}
