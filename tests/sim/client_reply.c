#include "tests/sim/client_reply.h"
#include "shared/message.h"
#include "shared/resp.h"

/* The line that `in` begins with, without its end; false: it is not whole. */
static bool take_line(struct bytes *in, struct bytes *line)
{
    for (size_t i = 0; i + 1 < in->size; i++)
        if (in->data[i] == '\r' && in->data[i + 1] == '\n') {
            *line = bytes_of(in->data, i);
            *in = bytes_of(in->data + i + 2, in->size - i - 2);
            return true;
        }
    return false;
}

static bool begins_with(struct bytes text, const char *word)
{
    size_t size = strlen(word);

    return text.size >= size && memcmp(text.data, word, size) == 0;
}

/* What an error says about its command. */
static enum outcome outcome_of(struct bytes error)
{
    static const struct {
        const char *begin;
        enum outcome outcome;
    } meanings[] = {
        {"NOQUORUM ", OUTCOME_REFUSED},
        {"NOSPACE ", OUTCOME_REFUSED},
        {"BUSY ", OUTCOME_REFUSED},
        {"UNCERTAIN ", OUTCOME_UNCERTAIN},
        {"EXECABORT ", OUTCOME_REFUSED},
        {"ERR value is not an integer or out of range", OUTCOME_ANSWERED},
        {"ERR increment or decrement would overflow", OUTCOME_ANSWERED},
    };

    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (begins_with(error, meanings[i].begin))
            return meanings[i].outcome;
    return OUTCOME_WRONG;
}

/* A bulk string whose header was read. 1: taken, 0: not whole, -1: none. */
static int take_bulk(struct bytes *in, int64_t size, struct bytes *value)
{
    if (size < 0)
        return -1;
    if (in->size < (size_t)size + 2)
        return 0;
    *value = bytes_of(in->data, (size_t)size);
    *in = bytes_of(in->data + size + 2, in->size - (size_t)size - 2);
    return 1;
}

static int take_array(struct bytes *in, int64_t count, struct client_reply *out)
{
    if (count == -1) {
        out->kind = REPLY_NIL;
        return 1;
    }
    if (count < 0 || count > LINEAR_OP_KEYS_MAX)
        return -1;
    out->kind = REPLY_ARRAY;
    out->count = (uint32_t)count;
    for (int64_t i = 0; i < count; i++) {
        struct bytes line;
        int64_t size;
        int taken;

        if (!take_line(in, &line))
            return 0;
        /* Of SET in a transaction. */
        if (line.size == 3 && memcmp(line.data, "+OK", 3) == 0) {
            out->results[i] = bytes_of(line.data + 1, 2);
            continue;
        }
        if (line.size == 0 || line.data[0] != '$' ||
            resp_read_integer(bytes_of(line.data + 1, line.size - 1), &size) != 0)
            return -1;
        if (size == -1) {
            out->nils |= (uint8_t)(1 << i);
            continue;
        }
        taken = take_bulk(in, size, &out->results[i]);
        if (taken <= 0)
            return taken;
    }
    return 1;
}

/* What follows the line of a reply. 1: it is whole. */
static int take_rest(struct bytes *in, struct bytes line, struct client_reply *out)
{
    struct bytes rest = bytes_of(line.data + 1, line.size - 1);
    int64_t number;

    switch (line.data[0]) {
    case '+':
        out->kind = REPLY_OK;
        return 1;
    case '-':
        out->kind = REPLY_ERROR;
        out->error = rest;
        out->outcome = outcome_of(rest);
        return 1;
    case ':':
        out->kind = REPLY_INTEGER;
        return resp_read_integer(rest, &out->integer) == 0 ? 1 : -1;
    case '$':
        if (resp_read_integer(rest, &number) != 0)
            return -1;
        out->kind = number == -1 ? REPLY_NIL : REPLY_BULK;
        return number == -1 ? 1 : take_bulk(in, number, &out->results[0]);
    case '*':
        return resp_read_integer(rest, &number) == 0 ? take_array(in, number, out) : -1;
    default:
        return -1;
    }
}

int64_t client_reply_read(struct bytes in, struct client_reply *out)
{
    struct bytes rest = in, line;
    int taken;

    *out = (struct client_reply){.outcome = OUTCOME_ANSWERED};
    if (!take_line(&rest, &line))
        return 0;
    if (line.size == 0)
        return -1;
    taken = take_rest(&rest, line, out);
    return taken == 1 ? (int64_t)(in.size - rest.size) : taken;
}
