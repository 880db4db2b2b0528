#include "proxy/command_arguments.h"
#include "proxy/command.h"
#include "shared/operation.h"
#include "shared/resp.h"
#include <assert.h>

/* One argument: a word, a token, or what stands in a body. */
struct argument {
    struct bytes token; /* size 0: none */
    struct bytes name;  /* size 0: it is a token alone, or a body */
    struct bytes body;  /* several arguments, or alternatives; size 0: none */
    bool optional;
    bool multiple;
};

struct writer {
    struct buf *out;
    const struct command *command;
    int version;
    int keys; /* that were written */
    int error;
};

static void put(struct writer *w, int error)
{
    w->error = w->error ? w->error : error;
}

static void put_text(struct writer *w, const char *text)
{
    put(w, resp_put_bulk(w->out, bytes_from(text)));
}

static void put_pair(struct writer *w, const char *name, struct bytes value)
{
    put_text(w, name);
    put(w, resp_put_bulk(w->out, value));
}

/* --- reading a syntax ------------------------------------------------------------------------- */

static struct bytes skip(struct bytes text, size_t size)
{
    return bytes_of(text.data + size, text.size - size);
}

static struct bytes trim(struct bytes text)
{
    while (text.size && text.data[0] == ' ')
        text = skip(text, 1);
    while (text.size && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

static bool begins_with(struct bytes text, struct bytes beginning)
{
    return text.size >= beginning.size &&
           bytes_equal(bytes_of(text.data, beginning.size), beginning);
}

/* Where `wanted` stands outside of brackets, or the size of the text. */
static size_t find_outside(struct bytes text, uint8_t wanted)
{
    size_t depth = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == wanted && depth == 0)
            return i;
        depth += text.data[i] == '[';
        depth -= text.data[i] == ']';
    }
    return text.size;
}

/* Takes what stands before the next " | ", or all. A bar without spaces is part of a word. */
static struct bytes take_alternative(struct bytes *rest)
{
    size_t at = 0;
    struct bytes taken;

    for (;;) {
        at += find_outside(skip(*rest, at), '|');
        if (at == rest->size || rest->data[at - 1] == ' ')
            break;
        at++;
    }
    taken = trim(bytes_of(rest->data, at));
    *rest = at == rest->size ? bytes_of(rest->data + at, 0) : trim(skip(*rest, at + 1));
    return taken;
}

static struct bytes take_word(struct bytes *rest)
{
    struct bytes word = {rest->data, 0};

    while (word.size < rest->size && rest->data[word.size] != ' ')
        word.size++;
    *rest = trim(skip(*rest, word.size));
    return word;
}

static struct bytes take_brackets(struct bytes *rest)
{
    struct bytes inside = skip(*rest, 1);

    inside.size = find_outside(inside, ']');
    assert(inside.size < rest->size - 1);
    *rest = trim(skip(*rest, inside.size + 2));
    return inside;
}

/* "key ..." as "key". */
static bool cut_dots(struct bytes *inside)
{
    static const char dots[] = " ...";
    size_t size = sizeof(dots) - 1;

    if (inside->size < size || memcmp(inside->data + inside->size - size, dots, size) != 0)
        return false;
    inside->size -= size;
    return true;
}

/* Takes words that are repeated in the brackets behind them, if they are: "key value [key value
 * ...]". Their text, of size 0 if they are not. */
static struct bytes take_repeated(struct bytes *rest)
{
    struct bytes behind = skip(*rest, find_outside(*rest, '['));
    struct bytes before = trim(bytes_of(rest->data, rest->size - behind.size));
    struct bytes inside = {0};

    if (behind.size)
        inside = take_brackets(&behind);
    if (!cut_dots(&inside) || !bytes_equal(inside, before))
        return (struct bytes){0};
    *rest = behind;
    return inside;
}

static bool is_token(struct bytes word)
{
    return word.size && word.data[0] >= 'A' && word.data[0] <= 'Z';
}

/* The first argument of a sequence, which is not empty. */
static struct argument take_argument(struct bytes *rest)
{
    struct argument a = {0};

    if (rest->data[0] == '[') {
        a.optional = true;
        a.body = take_brackets(rest);
        a.multiple = cut_dots(&a.body);
        return a;
    }
    if (is_token(*rest))
        a.token = take_word(rest);
    if (!rest->size || rest->data[0] == '[' || is_token(*rest))
        return a;
    a.body = take_repeated(rest);
    a.multiple = a.body.size > 0;
    if (!a.multiple)
        a.name = take_word(rest);
    return a;
}

static size_t count_alternatives(struct bytes text)
{
    size_t count = 0;

    for (; text.size; count++)
        take_alternative(&text);
    return count;
}

static size_t count_arguments(struct bytes text)
{
    size_t count = 0;

    for (; text.size; count++)
        take_argument(&text);
    return count;
}

/* A body that is one argument is that one. */
static struct argument simplest(struct argument a)
{
    while (a.body.size && count_alternatives(a.body) == 1 && count_arguments(a.body) == 1) {
        struct bytes rest = a.body;
        struct argument inner = take_argument(&rest);

        if (a.token.size)
            inner.token = a.token;
        inner.optional |= a.optional;
        inner.multiple |= a.multiple;
        a = inner;
    }
    return a;
}

/* --- writing it ------------------------------------------------------------------------------- */

static bool is_key(struct bytes name)
{
    return begins_with(name, bytes_from("key")) || bytes_equal(name, bytes_from("newkey")) ||
           bytes_equal(name, bytes_from("source")) || bytes_equal(name, bytes_from("destination"));
}

static const char *type_of(const struct writer *w, struct bytes name)
{
    static const struct {
        const char *name, *type;
    } types[] = {
        {"bit", "integer"},
        {"count", "integer"},
        {"cursor", "integer"},
        {"decrement", "integer"},
        {"destination-db", "integer"},
        {"end", "integer"},
        {"id", "integer"},
        {"increment", "integer"},
        {"index", "integer"},
        {"len", "integer"},
        {"milliseconds", "integer"},
        {"numreplicas", "integer"},
        {"offset", "integer"},
        {"pattern", "pattern"},
        {"protover", "integer"},
        {"seconds", "integer"},
        {"start", "integer"},
        {"timeout", "integer"},
        {"unix-time-milliseconds", "unix-time"},
        {"unix-time-seconds", "unix-time"},
    };

    if (w->command->first_key && is_key(name))
        return "key";
    if (w->command->op == OP_INCRBYFLOAT)
        return "double";
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (bytes_equal(name, bytes_from(types[i].name)))
            return types[i].type;
    return "string";
}

static void put_arguments(struct writer *w, struct bytes text);
static void put_alternatives(struct writer *w, struct bytes text);

/* In small letters, as Redis names a token. */
static void put_token_name(struct writer *w, struct bytes token)
{
    char lower[COMMAND_NAME_MAX + 1] = "";

    assert(token.size <= COMMAND_NAME_MAX);
    for (size_t i = 0; i < token.size; i++)
        lower[i] = (char)(token.data[i] >= 'A' && token.data[i] <= 'Z' ? token.data[i] | 0x20
                                                                       : token.data[i]);
    put_pair(w, "name", bytes_from(lower));
}

static void put_flags(struct writer *w, const struct argument *a)
{
    put_text(w, "flags");
    put(w, resp_put_set(w->out, (size_t)a->optional + a->multiple, w->version));
    if (a->optional)
        put(w, resp_put_simple(w->out, "optional"));
    if (a->multiple)
        put(w, resp_put_simple(w->out, "multiple"));
}

/* What stands before flags and inner arguments: name and type. */
static void put_head(struct writer *w, const struct argument *a)
{
    const char *type = "pure-token";

    if (a->name.size)
        type = type_of(w, a->name);
    else if (a->body.size)
        type = count_alternatives(a->body) > 1 ? "oneof" : "block";
    if (a->name.size)
        put_pair(w, "name", a->name);
    else if (a->token.size)
        put_token_name(w, a->token);
    else
        put_pair(w, "name", bytes_from("option"));
    put_pair(w, "type", bytes_from(type));
}

static void put_argument(struct writer *w, struct argument a)
{
    bool flags, key;

    a = simplest(a);
    flags = a.optional || a.multiple;
    key = w->command->first_key && is_key(a.name);
    put(w, resp_put_map(w->out, 2 + (size_t)key + (a.token.size > 0) + flags + (a.body.size > 0),
                        w->version));
    put_head(w, &a);
    if (key) {
        /* Of two kinds of keys, each has a specification of its own. */
        put_text(w, "key_spec_index");
        put(w, resp_put_integer(w->out, w->command->last_access ? w->keys++ : 0));
    }
    if (a.token.size)
        put_pair(w, "token", a.token);
    if (flags)
        put_flags(w, &a);
    if (!a.body.size)
        return;
    put_text(w, "arguments");
    if (count_alternatives(a.body) > 1)
        put_alternatives(w, a.body);
    else
        put_arguments(w, a.body);
}

static void put_arguments(struct writer *w, struct bytes text)
{
    put(w, resp_put_array(w->out, count_arguments(text)));
    while (text.size)
        put_argument(w, take_argument(&text));
}

static void put_alternatives(struct writer *w, struct bytes text)
{
    put(w, resp_put_array(w->out, count_alternatives(text)));
    while (text.size)
        put_argument(w, (struct argument){.body = take_alternative(&text)});
}

int command_put_arguments(struct buf *out, const struct command *c, int version)
{
    struct writer w = {.out = out, .command = c, .version = version};
    struct bytes syntax = bytes_from(c->syntax);

    if (count_alternatives(syntax) > 1) {
        put(&w, resp_put_array(out, 1));
        put_argument(&w, (struct argument){.body = syntax});
    } else {
        put_arguments(&w, syntax);
    }
    return w.error;
}
