#include "proxy/command.h"
#include "shared/resp.h"
#include <assert.h>

/* The name as two words in lower case. Setting bit 5 makes capitals small, and makes no other byte
 * a small letter; names in the table hold small letters only. */
static void fold(struct bytes name, uint64_t to[2])
{
    const uint64_t lower = 0x2020202020202020;

    to[0] = to[1] = 0;
    memcpy(to, name.data, name.size);
    to[0] |= lower;
    to[1] |= lower;
}

static uint32_t place_of(const uint64_t name[2])
{
    uint64_t mixed = (name[0] ^ name[1] * 31) * 0x9e3779b97f4a7c15;

    return (uint32_t)(mixed >> 56);
}

_Static_assert(COMMAND_INDEX_SIZE == 1 << 8, "place_of gives the uppermost 8 bits");

static void add_place(struct command_index *index, const struct command *c)
{
    struct bytes name = bytes_from(c->name);
    uint64_t folded[2];
    uint32_t at;

    assert(name.size <= COMMAND_NAME_MAX);
    fold(name, folded);
    at = place_of(folded);
    while (index->places[at].command)
        at = (at + 1) % COMMAND_INDEX_SIZE;
    memcpy(index->places[at].name, folded, sizeof(folded));
    index->places[at].command = c;
}

static void add_in_order(struct command_index *index, const struct command *c)
{
    uint32_t at = index->count++;

    for (; at && strcmp(index->all[at - 1]->name, c->name) > 0; at--)
        index->all[at] = index->all[at - 1];
    index->all[at] = c;
}

void command_index_init(struct command_index *index)
{
    memset(index, 0, sizeof(*index));
    for (const struct command *const *family = command_families(); *family; family++) {
        for (const struct command *c = *family; c->name; c++) {
            assert(index->count < COMMAND_COUNT_MAX);
            add_place(index, c);
            add_in_order(index, c);
        }
    }
}

const struct command *command_find(const struct command_index *index, struct bytes name)
{
    uint64_t folded[2];

    if (name.size == 0 || name.size > COMMAND_NAME_MAX)
        return NULL;
    fold(name, folded);
    for (uint32_t at = place_of(folded); index->places[at].command;
         at = (at + 1) % COMMAND_INDEX_SIZE)
        if (index->places[at].name[0] == folded[0] && index->places[at].name[1] == folded[1] &&
            resp_word_is(name, index->places[at].command->name))
            return index->places[at].command;
    return NULL;
}

const struct command *command_find_sub(const struct command *command, struct bytes name)
{
    size_t skip = strlen(command->name) + 1;

    for (const struct command *c = command->subcommands; c && c->name; c++)
        if (resp_word_is(name, c->name + skip))
            return c;
    return NULL;
}

const struct command *command_find_full(const struct command_index *index, struct bytes name)
{
    const uint8_t *bar = name.size ? memchr(name.data, '|', name.size) : NULL;
    const struct command *c;

    if (!bar)
        return command_find(index, name);
    c = command_find(index, bytes_of(name.data, (size_t)(bar - name.data)));
    name = bytes_of(bar + 1, name.size - (size_t)(bar + 1 - name.data));
    return c && c->subcommands ? command_find_sub(c, name) : NULL;
}

uint32_t command_categories(const struct command *c)
{
    uint32_t categories = c->category;

    if (c->flags & COMMAND_READONLY)
        categories |= CATEGORY_READ;
    if (c->flags & COMMAND_WRITE)
        categories |= CATEGORY_WRITE;
    if (c->flags & COMMAND_ADMIN)
        categories |= CATEGORY_ADMIN | CATEGORY_DANGEROUS;
    return categories | (c->flags & COMMAND_FAST ? CATEGORY_FAST : CATEGORY_SLOW);
}

uint32_t command_category_named(struct bytes name)
{
#define X(id, bit, text)              \
    if (resp_word_is(name, &text[1])) \
        return 1u << bit;
    COMMAND_CATEGORIES(X)
#undef X
    return 0;
}
