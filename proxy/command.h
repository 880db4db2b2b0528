/* The command table: one row for each command, and everything that follows from it.
 *
 * A row says what a command is called, how many arguments it takes, where its keys stand, which
 * operation it becomes and which function runs it. Routing, COMMAND and the documentation read the
 * same row.
 */
#ifndef RINGKV_PROXY_COMMAND_H
#define RINGKV_PROXY_COMMAND_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

struct execution;

/* As COMMAND INFO names them, in Redis's order. */
#define COMMAND_FLAGS(X)                        \
    X(WRITE, 0, "write")                        \
    X(READONLY, 1, "readonly")                  \
    X(DENYOOM, 2, "denyoom")                    \
    X(ADMIN, 3, "admin")                        \
    X(NOSCRIPT, 4, "noscript")                  \
    X(LOADING, 5, "loading")                    \
    X(STALE, 6, "stale")                        \
    X(SKIP_SLOWLOG, 12, "skip_slowlog")         \
    X(FAST, 7, "fast")                          \
    X(NO_AUTH, 8, "no_auth")                    \
    X(ALLOW_BUSY, 9, "allow_busy")              \
    X(NO_ASYNC_LOADING, 10, "no_async_loading") \
    X(NO_MULTI, 11, "no_multi")

/* Categories of access control, likewise. READ, WRITE, ADMIN, FAST and SLOW follow from the flags.
 */
#define COMMAND_CATEGORIES(X)       \
    X(KEYSPACE, 0, "@keyspace")     \
    X(READ, 1, "@read")             \
    X(WRITE, 2, "@write")           \
    X(STRING, 3, "@string")         \
    X(BITMAP, 10, "@bitmap")        \
    X(ADMIN, 4, "@admin")           \
    X(FAST, 5, "@fast")             \
    X(SLOW, 6, "@slow")             \
    X(DANGEROUS, 7, "@dangerous")   \
    X(CONNECTION, 8, "@connection") \
    X(TRANSACTION, 9, "@transaction")

enum command_flag {
#define X(name, bit, text) COMMAND_##name = 1 << bit,
    COMMAND_FLAGS(X)
#undef X
};

enum command_category {
#define X(name, bit, text) CATEGORY_##name = 1 << bit,
    COMMAND_CATEGORIES(X)
#undef X
};

enum { COMMAND_NAME_MAX = 16 };

/* What becomes of a command between MULTI and EXEC. */
enum command_in_multi {
    COMMAND_QUEUED,
    COMMAND_AT_ONCE, /* it is run, as at any other time */
    COMMAND_OUTSIDE, /* it is refused */
};

struct command {
    const char *name;  /* lower case; of a subcommand "client|id" */
    int arity;         /* arguments with the name(s); negative: at least so many */
    uint16_t flags;    /* enum command_flag */
    uint16_t category; /* enum command_category */
    int8_t first_key;  /* 0: none */
    int8_t last_key;   /* negative: counted from the end */
    int8_t key_step;
    uint8_t op;              /* enum operation that it becomes; 0: none */
    uint8_t shape;           /* enum shape_kind, for run_key */
    const char *key_access;  /* COMMAND INFO's flags of the keys, separated by spaces */
    const char *last_access; /* those of the last of two, when they differ; else NULL */
    const char *key_note;    /* why, where Redis tells it; else NULL */
    const char *tips;        /* likewise; NULL: none */
    const char *group;
    const char *since; /* Redis's version */
    const char *complexity;
    const char *syntax; /* the arguments */
    const char *summary;
    void (*run)(struct execution *x);
    enum command_in_multi in_multi;
    const struct command *subcommands; /* ends with name NULL; NULL: none */
};

enum { COMMAND_INDEX_SIZE = 256, COMMAND_COUNT_MAX = COMMAND_INDEX_SIZE / 2 };

/* All commands, by name and in the order of their names; made once, then read only. */
struct command_index {
    const struct command *all[COMMAND_COUNT_MAX];
    uint32_t count;
    struct {
        uint64_t name[2]; /* folded */
        const struct command *command;
    } places[COMMAND_INDEX_SIZE];
};

void command_index_init(struct command_index *index);

/* Without regard to case; NULL: there is none. */
const struct command *command_find(const struct command_index *index, struct bytes name);

/* Likewise among a command's subcommands; `name` without the command's. */
const struct command *command_find_sub(const struct command *command, struct bytes name);

/* Likewise by its whole name: "get", or "client|id". */
const struct command *command_find_full(const struct command_index *index, struct bytes name);

/* The rows, family by family: each in the order of names, ends with name NULL; the list with NULL.
 */
const struct command *const *command_families(void);

static inline bool command_takes(const struct command *c, uint32_t count)
{
    return c->arity >= 0 ? count == (uint32_t)c->arity : count >= (uint32_t)-c->arity;
}

/* The categories that follow from the row: bits of enum command_category. */
uint32_t command_categories(const struct command *c);

/* The bit of a category, by its name without '@' and without regard to case; 0: there is none. */
uint32_t command_category_named(struct bytes name);

/* Appends what COMMAND INFO and COMMAND DOCS tell of a command, for RESP `version`. 0 or RK_NOMEM.
 */
int command_put_info(struct buf *out, const struct command *c, int version);
int command_put_docs(struct buf *out, const struct command *c, int version);

/* Appends two tables as Markdown: of the commands, with how like Redis they are, and of those of
 * Redis that are not there. 0 or RK_NOMEM. */
int command_put_table(struct buf *out, const struct command_index *index);

#endif
