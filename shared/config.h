/* Configuration files: INI, read through inih, checked against a table.
 *
 * A program describes its settings in a table; reading refuses what is not in it (unknown section
 * or key), what occurs twice, and what is out of range, with file, line and what would be right.
 * Later `--set section.key=value` overrides win over the file.
 *
 *   ; a comment: a line that begins with ; or #. After a value, only " ;" begins one.
 *   [section]
 *   key = value
 *
 * Refused rather than guessed at: lines that are indented (INI dialects disagree whether they go on
 * the line before), values in quotes, control characters, lines over CONFIG_LINE_MAX, files over
 * CONFIG_FILE_MAX, an empty file, and a last line without its newline: such a file was cut short.
 * A UTF-8 byte order mark at the beginning is skipped.
 */
#ifndef RINGKV_SHARED_CONFIG_H
#define RINGKV_SHARED_CONFIG_H

#include "shared/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_FILE_MAX = 1 << 20,
    CONFIG_LINE_MAX = 198, /* bytes; of comments any number. inih's buffer of 200 sets it */
    CONFIG_WHY_SIZE = 512, /* for every `why` here and in the options of a program */
};

enum config_type {
    CONFIG_TEXT,     /* char *, malloced; min..max is the length */
    CONFIG_NUMBER,   /* int64_t */
    CONFIG_SIZE,     /* int64_t bytes: 512, 64k, 16m, 1g, 1t (powers of 1024; k, kb, kib alike) */
    CONFIG_DURATION, /* int64_t milliseconds: 300ms, 2s, 5m, 1h; no bare number but 0 */
    CONFIG_BOOL,     /* bool: yes no true false on off */
    CONFIG_CHOICE,   /* int: index into `choices` */
    CONFIG_ADDRESS,  /* char *: HOST:PORT, [V6]:PORT, or *:PORT (all addresses); port 1..65535 */
    CONFIG_ADDRESSES /* char *: at least one HOST:PORT, commas between; no *, and none twice */
};

struct config_setting {
    const char *section;
    const char *key;
    enum config_type type;
    size_t offset;              /* of the field in the program's options struct */
    const char *initial;        /* default, written as in a file; NULL: must be set */
    int64_t min, max;           /* for numbers, sizes, durations; lengths for text */
    const char *const *choices; /* for CONFIG_CHOICE: names, ending with NULL */
    const char *help;           /* one line, with the unit; printed by --help-config */
};

struct config {
    const struct config_setting *settings; /* ends with section NULL */
    void *options;                         /* the program's struct, fields at `offset` */
    /* To be read only: */
    const char *name; /* of the file that was read, borrowed until config_close; or NULL */
    unsigned *line;   /* per setting: the line of the file that set it, or 0 */
    bool *seen;       /* per setting: whether anything but its default set it */
};

/* Sets every default; what the options struct held is overwritten, not freed. 0, RK_NOMEM, or
 * RK_INVALID when the table's own defaults are wrong. `why` gets what is wrong whenever a function
 * here fails; it should have CONFIG_WHY_SIZE bytes. After a failure only config_free is to be
 * called. */
int config_init(struct config *c, const struct config_setting *settings, void *options, char *why,
                size_t why_size);

/* Reads a file. 0, RK_IO, RK_INVALID, RK_NOMEM. (Edge, as are config_load and config_print.) */
int config_read(struct config *c, const char *path, char *why, size_t why_size);

/* Takes the text of a file; `name` is what messages call it. 0, RK_INVALID, RK_NOMEM. */
int config_parse(struct config *c, const char *name, struct bytes text, char *why, size_t why_size);

/* Applies one "section.key=value" from the command line; the last one for a key wins. 0,
 * RK_INVALID, RK_NOMEM. */
int config_set(struct config *c, const char *assignment, char *why, size_t why_size);

/* Checks that everything that must be set is. 0 or RK_INVALID. */
int config_finish(struct config *c, char *why, size_t why_size);

/* All of the above in order: defaults, the file (path may be NULL: none), the assignments, then
 * `check` (may be NULL) for what no single setting shows. 0 with the options struct filled in, to
 * be freed with config_free; RK_IO, RK_INVALID, RK_NOMEM with nothing to be freed. */
int config_load(const struct config_setting *settings, void *options, const char *path,
                char *const *sets, size_t set_count,
                int (*check)(const void *options, char *why, size_t why_size), char *why,
                size_t why_size);

/* Prints each setting with its default, range and help, as a commented INI file. Those with a
 * default can be read back as they stand; the others are comments to be filled in. */
void config_print(const struct config_setting *settings, FILE *to);

/* Frees what reading needed; the options struct and its texts stay. */
void config_close(struct config *c);

/* config_close, and frees the texts in the options struct. A config of which only `settings` and
 * `options` are set will do. */
void config_free(struct config *c);

#endif
