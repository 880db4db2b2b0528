#include "node/scrub.h"
#include "node/tree_record.h"
#include "shared/error.h"
#include <string.h>

static int scrub_begin(struct scrub *s)
{
    return tree_error(s->txn ? mdb_txn_renew(s->txn)
                             : mdb_txn_begin(s->tree->env, NULL, MDB_RDONLY, &s->txn));
}

static void scrub_record(struct scrub *s, struct bytes key, struct bytes value)
{
    struct store_record record;

    s->records++;
    if (tree_record_read(key, value, &record) != 0) {
        s->damaged_records++;
        s->damaged(s->arg, key);
    }
}

/* The next step begins right behind this key: the key with a zero byte is the next that there can
 * be. */
static void scrub_remember(struct scrub *s, struct bytes key)
{
    s->last_size = key.size < sizeof(s->last) ? key.size : sizeof(s->last) - 1;
    memcpy(s->last, key.data, s->last_size);
    s->last[s->last_size++] = 0;
    s->underway = true;
}

/* Checks records from a place on. */
static int scrub_from(struct scrub *s, struct tree_cursor *cursor, struct bytes from,
                      size_t bytes_max)
{
    const struct bytes *start = &from;
    struct bytes key, value;
    size_t bytes = 0;

    while (bytes < bytes_max) {
        int error = tree_cursor_move(cursor, start, &key, &value);

        if (error)
            return error;
        start = NULL;
        scrub_record(s, key, value);
        bytes += key.size + value.size;
    }
    scrub_remember(s, key);
    return 0;
}

int scrub_step(struct scrub *s, size_t bytes_max)
{
    struct bytes from = bytes_of(s->last, s->underway ? s->last_size : 0);
    struct tree_cursor cursor;
    int error = scrub_begin(s);

    if (error) {
        s->underway = false;
        return error;
    }
    error = tree_cursor_open(&cursor, s->tree, s->txn, s->tree->records);
    if (!error)
        error = scrub_from(s, &cursor, from, bytes_max);
    tree_cursor_close(&cursor);
    mdb_txn_reset(s->txn);
    /* Every attempt comes as far as the same page, once a second. */
    if (error == RK_IO && !s->page_counted)
        s->damaged_records++;
    if (error == RK_IO || error == RK_NOTFOUND)
        s->page_counted = error == RK_IO;
    if (error)
        s->underway = false;
    return error;
}

void scrub_end(struct scrub *s)
{
    if (s->txn)
        mdb_txn_abort(s->txn);
    s->txn = NULL;
}
