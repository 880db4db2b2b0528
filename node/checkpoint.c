#include "node/checkpoint.h"
#include "shared/error.h"
#include <stdio.h>

enum {
    RECORDS_MIN = 16,
    BYTES_MAX = 8 << 20, /* or one record */
};

/* The part of the table that one transaction writes; the states come with the last one. */
struct part {
    struct tree_write_size size;
    bool last;
};

/* Collects the records of the part that begins at a place, and goes on behind it. */
static struct part next_part(struct checkpoint *c, const struct memory_table *table,
                             struct key_walk *at)
{
    struct part part = {.last = false};
    size_t bytes = 0;
    const struct memory_record *record = key_walk_at(at);

    while (record && part.size.records < c->records_max && bytes < BYTES_MAX) {
        c->records[part.size.records] = record;
        tree_write_size_add(&part.size, record);
        bytes += record->key_size + record->value_size;
        key_walk_next(at);
        record = key_walk_at(at);
    }
    part.last = !record;
    if (part.last)
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
    int error = tree_write_begin(&c->writer, c->tree, &part->size);

    if (error)
        return error;
    for (size_t i = 0; i < part->size.records && !error; i++)
        error = tree_write_record(&c->writer, c->records[i]);
    if (!error && part->last)
        error = write_states(c, table);
    if (error) {
        tree_write_abort(&c->writer);
        return error;
    }
    return tree_write_commit(&c->writer, part->last ? table->last_position : c->tree->position,
                             c->why, c->why_size);
}

/* Does something about an error, so that the part can be tried again: 0, else the error. */
static int make_way(struct checkpoint *c, int error)
{
    if (error == RK_FULL)
        return c->grow(c->arg);
    if (error != RK_NOSPACE) {
        if (error == RK_CORRUPT)
            tree_writer_tell(&c->writer, c->why, c->why_size);
        else if (!c->why[0])
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
    struct key_walk at;
    int error = 0;

    c->why[0] = 0;
    c->written = 0;
    if (c->records_max == 0)
        c->records_max = CHECKPOINT_RECORDS_MAX;
    key_walk_begin(&at, &table->by_key, bytes_of(NULL, 0));
    do {
        struct key_walk behind = at;
        struct part part = next_part(c, table, &behind);

        error = write_part(c, table, &part);
        if (error) {
            error = make_way(c, error);
            continue;
        }
        at = behind;
        c->written += part.size.records;
        if (c->records_max < CHECKPOINT_RECORDS_MAX)
            c->records_max *= 2;
        error = c->committed(c->arg);
        if (part.last)
            break;
    } while (!error);
    return error;
}
