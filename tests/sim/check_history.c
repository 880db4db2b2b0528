/* Checks a history that was recorded outside the simulator, for linearizability.
 *
 * One operation a line, of one key each, in any order:
 *
 *     KEY OPERATION VALUE INVOKED RETURNED KIND RESULT
 *
 * KEY a number; OPERATION as in shared/operation.h; VALUE, RESULT without white space, "-" where
 * there is none; INVOKED, RETURNED moments, all different, RETURNED "never" when there was no
 * answer; KIND one of ok, nil, integer, bulk, error, "-" without an answer.
 */
#include "tests/sim/linear.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_LINEARIZABLE, EXIT_VIOLATED, EXIT_UNREADABLE, EXIT_UNDECIDED };
enum { FIELDS = 7, CONFIGURATIONS_MAX = 2000000 };

struct line {
    uint64_t key;
    struct linear_op op;
    char *text, *fields; /* as it was, and cut into fields */
};

struct history {
    struct line *lines;
    size_t count, room;
};

static void *must(void *memory)
{
    if (!memory) {
        fprintf(stderr, "check_history: out of memory\n");
        exit(EXIT_UNREADABLE);
    }
    return memory;
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0;
}

static bool read_integer(const char *text, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && *end == 0 && errno == 0;
}

static bool read_operation(const char *name, const char *value, struct linear_op *op)
{
    for (unsigned number = 1; number < UINT8_MAX && !op->op; number++) {
        const struct operation_info *info = operation_info((uint8_t)number);

        if (info && strcmp(info->name, name) == 0)
            op->op = (uint8_t)number;
    }
    op->values[0] = bytes_from(value);
    return op->op && (op->op != OP_INCRBY || read_integer(value, &op->by));
}

static bool read_answer(const char *kind, const char *result, struct linear_op *op)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } kinds[] = {{"ok", REPLY_OK},
                 {"nil", REPLY_NIL},
                 {"integer", REPLY_INTEGER},
                 {"bulk", REPLY_BULK},
                 {"error", REPLY_ERROR}};

    if (op->returned == LINEAR_NEVER)
        return strcmp(kind, "-") == 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, kinds[i].name) == 0)
            op->kind = kinds[i].kind;
    op->results[0] = bytes_from(result);
    return op->kind && op->invoked < op->returned &&
           (op->kind != REPLY_INTEGER || read_integer(result, &op->integer));
}

/* The fields point into `text`, which is cut up. */
static bool read_line(char *text, struct line *line)
{
    char *fields[FIELDS], *rest = text;
    struct linear_op *op = &line->op;

    for (int i = 0; i < FIELDS; i++)
        if ((fields[i] = strsep(&rest, " ")) == NULL || !fields[i][0])
            return false;
    op->key_count = 1;
    if (strcmp(fields[4], "never") == 0)
        op->returned = LINEAR_NEVER;
    else if (!read_number(fields[4], &op->returned))
        return false;
    return !rest && read_number(fields[0], &line->key) && read_number(fields[3], &op->invoked) &&
           read_operation(fields[1], fields[2], op) && read_answer(fields[5], fields[6], op);
}

/* False: the file cannot be read; it was said why. */
static bool read_history(const char *path, struct history *h)
{
    FILE *in = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    ssize_t size;
    bool good = in != NULL;

    if (!in)
        fprintf(stderr, "check_history: %s: %s\n", path, strerror(errno));
    while (good && (size = getline(&text, &room, in)) > 0) {
        struct line line = {0};

        if (text[size - 1] == '\n')
            text[size - 1] = 0;
        line.text = must(strdup(text));
        line.fields = must(strdup(text));
        good = read_line(line.fields, &line);
        if (!good)
            fprintf(stderr, "check_history: %s:%zu: not an operation: %s\n", path, h->count + 1,
                    line.text);
        if (h->count == h->room) {
            h->room = h->room ? h->room * 2 : 1024;
            h->lines = must(realloc(h->lines, h->room * sizeof(*h->lines)));
        }
        h->lines[h->count++] = line;
    }
    free(text);
    if (in)
        fclose(in);
    return good;
}

static int by_key_and_time(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (x->key != y->key)
        return (x->key > y->key) - (x->key < y->key);
    return (x->op.invoked > y->op.invoked) - (x->op.invoked < y->op.invoked);
}

/* Checks the lines of one key. */
static int check_key(const struct line *lines, size_t count)
{
    struct linear_op ops[LINEAR_OPS_MAX];
    enum linear_verdict verdict;
    uint16_t key;

    if (count > LINEAR_OPS_MAX) {
        fprintf(stderr, "check_history: key %" PRIu64 " has %zu operations, %d can be checked\n",
                lines[0].key, count, LINEAR_OPS_MAX);
        return EXIT_UNREADABLE;
    }
    for (size_t i = 0; i < count; i++)
        ops[i] = lines[i].op;
    verdict = linear_check(ops, count, CONFIGURATIONS_MAX, &key);
    if (verdict == LINEAR_YES)
        return EXIT_LINEARIZABLE;
    printf("key %" PRIu64 " %s\n", lines[0].key,
           verdict == LINEAR_NO ? "is not linearizable:" : "could not be decided:");
    for (size_t i = 0; i < count; i++)
        printf("%s\n", lines[i].text);
    return verdict == LINEAR_NO ? EXIT_VIOLATED : EXIT_UNDECIDED;
}

/* All keys, so that each violation is shown; the worst of what was found. */
static int check_all(struct history *h)
{
    int worst = EXIT_LINEARIZABLE;
    size_t keys = 0;

    if (h->count)
        qsort(h->lines, h->count, sizeof(*h->lines), by_key_and_time);
    for (size_t first = 0, next; first < h->count; first = next, keys++) {
        int found;

        for (next = first; next < h->count && h->lines[next].key == h->lines[first].key;)
            next++;
        found = check_key(h->lines + first, next - first);
        if (worst != EXIT_VIOLATED && found != EXIT_LINEARIZABLE)
            worst = found;
    }
    if (worst == EXIT_LINEARIZABLE)
        printf("%zu operations on %zu keys: linearizable\n", h->count, keys);
    return worst;
}

int main(int argc, char **argv)
{
    struct history h = {0};
    int code = EXIT_UNREADABLE;

    if (argc != 2)
        fprintf(stderr, "usage: check_history FILE\n"
                        "Exit status: 0 linearizable, 1 not, 2 FILE is of no use, 3 undecided.\n");
    else if (read_history(argv[1], &h))
        code = check_all(&h);
    for (size_t i = 0; i < h.count; i++) {
        free(h.lines[i].text);
        free(h.lines[i].fields);
    }
    free(h.lines);
    return code;
}
