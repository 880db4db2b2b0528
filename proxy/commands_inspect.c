/* OBJECT and MEMORY: how a key's value is kept, in Redis's terms. */
#include "proxy/commands.h"
#include "proxy/facts.h"
#include "proxy/keyed.h"

#define NOT_LFU                                                                                \
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "  \
    "that when switching between policies at runtime LRU and LFU data will take some time to " \
    "adjust."

/* Asks for the key behind the subcommand's name. */
static void ask(struct execution *x, enum operation op, struct answer_shape shape)
{
    keyed_send(x, &(struct keyed){.op = (uint8_t)op,
                                  .level = keyed_level(x, (uint8_t)op),
                                  .key_at = 2,
                                  .key_count = 1,
                                  .shape = shape});
}

void run_object(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

void run_object_encoding(struct execution *x)
{
    ask(x, OP_ENCODING, (struct answer_shape){0});
}

void run_object_freq(struct execution *x)
{
    ask(x, OP_EXISTS,
        (struct answer_shape){
            .kind = SHAPE_COMPLAINT, .absent = SHAPE_ABSENT_NIL, .complaint = NOT_LFU});
}

void run_object_idletime(struct execution *x)
{
    /* When a key was read is not kept; this command has just read it. */
    ask(x, OP_EXISTS, (struct answer_shape){.kind = SHAPE_IF_THERE, .integer = 0});
}

void run_object_refcount(struct execution *x)
{
    ask(x, OP_EXISTS, (struct answer_shape){.kind = SHAPE_IF_THERE, .integer = 1});
}

void run_memory(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

/* The options change nothing: a value is one piece. False: they are wrong, and the client has its
 * error. */
static bool read_usage_options(struct execution *x)
{
    for (uint32_t i = 3; i < x->count; i += 2) {
        bool is_samples = resp_word_is(x->args[i], "samples") && i + 1 < x->count;
        int64_t samples = -1;

        if (is_samples && !execution_integer(x, i + 1, &samples))
            return false;
        if (samples < 0) {
            reply_error(x, KEYED_SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

void run_memory_usage(struct execution *x)
{
    if (read_usage_options(x))
        ask(x, OP_USAGE, (struct answer_shape){0});
}

void run_memory_doctor(struct execution *x)
{
    static const char text[] = "A proxy keeps no data. INFO memory tells what it uses; ringctl "
                               "status tells of the nodes.\n";

    reply_verbatim(x, bytes_of(text, sizeof(text) - 1));
}

static void reply_number(struct execution *x, const char *name, uint64_t value)
{
    reply_text(x, name);
    reply_integer(x, (int64_t)value);
}

void run_memory_stats(struct execution *x)
{
    struct facts facts;

    x->router->ports.facts(x->router->ports.arg, &facts);
    reply_map(x, 7);
    reply_number(x, "peak.allocated", facts.memory_peak);
    reply_number(x, "total.allocated", facts.memory_used);
    reply_number(x, "startup.allocated", 0);
    reply_number(x, "clients.normal", 0);
    reply_number(x, "allocator.allocated", facts.memory_used);
    reply_number(x, "allocator.active", facts.memory_heap);
    reply_number(x, "allocator.resident", facts.memory_rss);
}
