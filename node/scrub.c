#include "node/scrub.h"
#include "node/tree_record.h"
#include <string.h>

static int scrub_begin(struct scrub *s)
{
    int result;

    if (!s->txn) {
        result = mdb_txn_begin(s->tree->env, NULL, MDB_RDONLY, &s->txn);
        if (!result)
            result = mdb_cursor_open(s->txn, s->tree->records, &s->cursor);
        return tree_error(result);
    }
    result = mdb_txn_renew(s->txn);
    if (!result)
        result = mdb_cursor_renew(s->txn, s->cursor);
    return tree_error(result);
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

int scrub_step(struct scrub *s, size_t bytes_max)
{
    struct bytes from = bytes_of(s->last, s->underway ? s->last_size : 0), key, value;
    const struct bytes *start = &from;
    size_t bytes = 0;
    int error = scrub_begin(s);

    while (!error && bytes < bytes_max) {
        error = tree_cursor_move(s->tree, s->cursor, start, &key, &value);
        start = NULL;
        if (error)
            break;
        scrub_record(s, key, value);
        bytes += key.size + value.size;
        if (bytes >= bytes_max)
            scrub_remember(s, key);
    }
    if (error)
        s->underway = false;
    if (s->txn)
        mdb_txn_reset(s->txn);
    return error;
}

void scrub_end(struct scrub *s)
{
    if (s->cursor)
        mdb_cursor_close(s->cursor);
    if (s->txn)
        mdb_txn_abort(s->txn);
    s->cursor = NULL;
    s->txn = NULL;
}
