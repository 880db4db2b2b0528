/* Edge: the LMDB tree of a shard, in one file of its folder.
 *
 *   records  store key → record (tree_record.h)
 *   expiry   rank of the expiry, 7 bytes big-endian, then the store key → nothing
 *   states   partition, 4 bytes big-endian → state row
 *   meta     "store" → format, log position, counts
 *
 * The shard's thread reads, through one read transaction that it ends once a turn; the checkpoint
 * writes. LMDB 0.9.24 cannot reuse pages that an open read transaction may see, and cannot grow its
 * map while one is open.
 */
#ifndef RINGKV_NODE_TREE_H
#define RINGKV_NODE_TREE_H

#include "node/memory_table.h"
#include "node/read_fault.h"
#include "node/store.h"
#include "node/store_files.h"
#include "node/tree_guard.h"
#include "node/tree_pages.h"
#include "node/tree_scan.h"
#include <lmdb.h>

struct tree {
    MDB_env *env;
    MDB_dbi records, expiry, states, meta;
    MDB_dbi tables; /* their rows */
    const struct store_files *files;
    char *path;
    struct tree_file file; /* map NULL: not known */
    struct mapped_file mapped;
    bool told;               /* that a page is damaged */
    MDB_txn *reader;         /* of the shard's thread */
    bool reading;            /* it is open */
    struct tree_pages pages; /* of records, as of transaction: */
    size_t located;          /* 0: none */
    bool pages_known;        /* this LMDB has the format that tree_pages.h reads */
    /* As of the last commit; owned by whoever writes. */
    uint64_t position;
    struct record_counts counts;
    uint64_t reserved_end; /* the file has room on the disk up to here */
};

/* Opens or makes the tree in a folder. `map_size`: bytes of address space to begin with. 0, or
 * RK_NOSPACE, RK_VERSION, RK_CORRUPT (also: damage_note.h), RK_IO, RK_NOMEM with the reason in
 * `why`.
 */
int tree_open(struct tree *t, const char *folder, size_t map_size, const struct store_files *files,
              char *why, size_t why_size);
void tree_close(struct tree *t);

/* ---- reading, for the shard's thread; what is returned is valid until tree_end_turn ---- */

/* 0, RK_NOTFOUND, RK_CORRUPT, RK_IO. */
int tree_get(struct tree *t, struct bytes key, struct store_record *out);

/* Whether there is one that can be read, without a look at its checksum: for what is not told. */
bool tree_peek(struct tree *t, struct bytes key, struct store_record *out);

/* The state row of a partition. 0, RK_NOTFOUND, RK_CORRUPT, RK_IO. */
int tree_state(struct tree *t, uint32_t partition, struct bytes *out);

/* Says that these keys, at most STORE_EXPECTED_MAX, will be read in a moment. */
void tree_expect(struct tree *t, const struct bytes *keys, size_t count);

/* Ends the read transaction. */
void tree_end_turn(struct tree *t);

/* ---- reading in order, for each thread in a transaction of its own ---- */

struct tree_cursor {
    struct tree *tree;
    size_t key_size_max;
    struct tree_file file;
    struct tree_scan scan;
    MDB_cursor *lmdb; /* instead, where the format of the pages is not known */
};

/* In records, expiry or states; `txn` NULL: in the shard's read transaction, which is begun. 0 or
 * RK_IO; to be closed in any case, before the transaction ends. */
int tree_cursor_open(struct tree_cursor *c, struct tree *t, MDB_txn *txn, MDB_dbi table);
void tree_cursor_close(struct tree_cursor *c);

/* Goes to the first key at or behind `from`, or (from NULL) to the next. 0; RK_NOTFOUND at the end;
 * RK_IO: it cannot be said what comes, as when a page is damaged. A key is no longer than those
 * that are written, and a value, which may be damaged, ends within the file. */
int tree_cursor_move(struct tree_cursor *c, const struct bytes *from, struct bytes *key,
                     struct bytes *value);

/* ---- for both threads ---- */

/* What an LMDB result means: RK_NOTFOUND, RK_CORRUPT, RK_NOSPACE, RK_NOMEM, RK_IO. */
int tree_error(int result);

/* Bytes of the file that are in use or were. */
uint64_t tree_file_bytes(const struct tree *t);

/* The pages that a transaction of this snapshot may look at; false: the format, and so their place,
 * is not known. */
bool tree_file_of(const struct tree *t, struct tree_file *out);

/* What the guard found, and what to do about it. */
void tree_tell_damage(const struct tree *t, const struct tree_guard *g, char *why, size_t why_size);

/* Doubles the map. No transaction may be open in any thread. 0; RK_NOMEM, with the reason in `why`:
 * nothing has happened; RK_CORRUPT, RK_IO: no transaction may begin any more. */
int tree_grow(struct tree *t, char *why, size_t why_size);

#endif
