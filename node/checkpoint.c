#include "node/checkpoint.h"
#include "shared/error.h"
#include <stdio.h>

enum {
    RECORDS_MAX = 16384, /* more take longer to sync at once, and need more of the file free */
    RECORDS_MIN = 16,
    BYTES_MAX = 8 << 20, /* or one record */
};

/* The part of the table that one transaction writes; the states come with the last one. */
struct part {
    struct index_place first, end;
    struct tree_write_size size;
};

static struct part next_part(const struct memory_table *table, struct index_place first,
                             size_t records_max)
{
    struct part part = {.first = first, .end = first};
    size_t bytes = 0;
    uint64_t number;

    while (part.size.records < records_max && bytes < BYTES_MAX) {
        const struct memory_record *record = ordered_index_at(part.end, &number);

        if (!record)
            break;
        tree_write_size_add(&part.size, record);
        bytes += record->key_size + record->value_size;
        part.end = ordered_index_next(part.end);
    }
    if (!part.end.leaf)
        part.size.states = table->state_count;
    return part;
}

static int write_states(struct checkpoint *c, const struct memory_table *table)
{
    size_t left = table->state_count;
    int error = 0;

    for (uint32_t partition = 0; left && !error; partition++) {
        const struct memory_state *state = memory_table_state(table, partition);

        if (state) {
            error = tree_write_state(&c->writer, partition, state);
            left--;
        }
    }
    return error;
}

static int write_part(struct checkpoint *c, const struct memory_table *table,
                      const struct part *part)
{
    bool last = !part->end.leaf;
    struct index_place at = part->first;
    int error = tree_write_begin(&c->writer, c->tree, &part->size);
    uint64_t number;

    if (error)
        return error;
    while (!error && (at.leaf != part->end.leaf || at.slot != part->end.slot)) {
        error = tree_write_record(&c->writer, ordered_index_at(at, &number));
        at = ordered_index_next(at);
    }
    if (!error && last)
        error = write_states(c, table);
    if (error) {
        tree_write_abort(&c->writer);
        return error;
    }
    return tree_write_commit(&c->writer, last ? table->last_position : c->tree->position, c->why,
                             c->why_size);
}

/* Does something about an error, so that the part can be tried again: 0, else the error. */
static int make_way(struct checkpoint *c, int error)
{
    if (error == RK_FULL)
        return c->grow(c->arg);
    if (error != RK_NOSPACE) {
        if (!c->why[0])
            snprintf(c->why, c->why_size, "writing to %s failed: %s", c->tree->path,
                     rk_error_text(error));
        return error;
    }
    if (c->records_max > RECORDS_MIN) {
        c->records_max /= 4;
        return 0;
    }
    return c->wait_for_room(c->arg);
}

int checkpoint_write(struct checkpoint *c, const struct memory_table *table)
{
    struct index_place at = ordered_index_seek(&table->by_key, 0, bytes_of(NULL, 0));
    int error = 0;

    c->why[0] = 0;
    c->written = 0;
    do {
        if (c->records_max == 0)
            c->records_max = RECORDS_MAX;

        struct part part = next_part(table, at, c->records_max);

        error = write_part(c, table, &part);
        if (error) {
            error = make_way(c, error);
            continue;
        }
        at = part.end;
        c->written += part.size.records;
        if (c->records_max < RECORDS_MAX)
            c->records_max *= 2;
        error = c->committed(c->arg);
        if (!at.leaf)
            break;
    } while (!error);
    return error;
}
