/* Checks a history that was recorded outside the simulator, for linearizability.
 *
 * One operation a line, in any order:
 *
 *     GROUP KEYS OPERATION VALUES INVOKED RETURNED KIND RESULTS
 *
 * GROUP a number; the keys of one group are checked together. KEYS numbers within the group, below
 * LINEAR_KEYS_MAX. OPERATION as in shared/operation.h, EXEC being GETSETs in one piece. VALUES,
 * RESULTS without white space and commas, "-" where there is none; of a key that was not there,
 * too. Lists have commas between their elements. INVOKED, RETURNED moments, all different, RETURNED
 * "never" when there was no answer; KIND one of ok, nil, integer, bulk, array, error, "-" without
 * an answer.
 */
#include "tests/sim/linear.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_LINEARIZABLE, EXIT_VIOLATED, EXIT_UNREADABLE, EXIT_UNDECIDED };
enum { CONFIGURATIONS_MAX = 2000000 };

enum field { GROUP, KEYS, OPERATION, VALUES, INVOKED, RETURNED, KIND, RESULTS, FIELDS };

struct line {
    uint64_t group;
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

/* A moment, or LINEAR_NEVER. */
static bool read_moment(const char *text, uint64_t *out)
{
    *out = LINEAR_NEVER;
    return strcmp(text, "never") == 0 || read_number(text, out);
}

/* Cuts a list up; how many elements it has, 0 when they are more than an operation can have. */
static uint8_t read_list(char *text, const char *elements[LINEAR_OP_KEYS_MAX])
{
    uint8_t count = 0;

    for (char *element; (element = strsep(&text, ",")) != NULL; elements[count++] = element)
        if (count == LINEAR_OP_KEYS_MAX)
            return 0;
    return count;
}

static bool read_keys(char *text, struct linear_op *op)
{
    const char *elements[LINEAR_OP_KEYS_MAX];

    op->key_count = read_list(text, elements);
    for (uint8_t k = 0; k < op->key_count; k++) {
        uint64_t key;

        if (!read_number(elements[k], &key) || key >= LINEAR_KEYS_MAX)
            return false;
        op->keys[k] = (uint16_t)key;
    }
    return op->key_count > 0;
}

static bool read_operation(const char *name, char *values, struct linear_op *op)
{
    const char *elements[LINEAR_OP_KEYS_MAX];
    uint8_t count = read_list(values, elements);

    for (unsigned number = 1; number < UINT8_MAX && !op->op; number++) {
        const struct operation_info *info = operation_info((uint8_t)number);

        if (info && strcmp(info->name, name) == 0)
            op->op = (uint8_t)number;
    }
    for (uint8_t k = 0; k < count; k++)
        op->values[k] = bytes_from(elements[k]);
    /* What writes a value for each key needs them all; CAS has two for its one. */
    if (op->op == OP_CAS || op->op == OP_MSET || op->op == OP_EXEC)
        return count == (op->op == OP_CAS ? 2 : op->key_count);
    return op->op && count == 1 && (op->op != OP_INCRBY || read_integer(elements[0], &op->by));
}

static bool read_results(char *results, struct linear_op *op)
{
    const char *elements[LINEAR_OP_KEYS_MAX];
    uint8_t count = read_list(results, elements);

    if (count != (op->kind == REPLY_ARRAY ? op->key_count : 1))
        return false;
    for (uint8_t k = 0; k < count; k++) {
        op->results[k] = bytes_from(elements[k]);
        if (strcmp(elements[k], "-") == 0)
            op->nils |= (uint8_t)(1 << k);
    }
    return op->kind != REPLY_INTEGER || read_integer(elements[0], &op->integer);
}

static bool read_answer(const char *kind, char *results, struct linear_op *op)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } kinds[] = {{"ok", REPLY_OK},     {"nil", REPLY_NIL},     {"integer", REPLY_INTEGER},
                 {"bulk", REPLY_BULK}, {"array", REPLY_ARRAY}, {"error", REPLY_ERROR}};

    if (op->returned == LINEAR_NEVER)
        return strcmp(kind, "-") == 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, kinds[i].name) == 0)
            op->kind = kinds[i].kind;
    return op->kind && op->invoked < op->returned && read_results(results, op);
}

/* The fields point into `text`, which is cut up. */
static bool read_line(char *text, struct line *line)
{
    char *fields[FIELDS], *rest = text;
    struct linear_op *op = &line->op;

    for (int i = 0; i < FIELDS; i++)
        if ((fields[i] = strsep(&rest, " ")) == NULL || !fields[i][0])
            return false;
    return !rest && read_number(fields[GROUP], &line->group) && read_keys(fields[KEYS], op) &&
           read_operation(fields[OPERATION], fields[VALUES], op) &&
           read_number(fields[INVOKED], &op->invoked) &&
           read_moment(fields[RETURNED], &op->returned) &&
           read_answer(fields[KIND], fields[RESULTS], op);
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

static int by_group_and_time(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (x->group != y->group)
        return (x->group > y->group) - (x->group < y->group);
    return (x->op.invoked > y->op.invoked) - (x->op.invoked < y->op.invoked);
}

/* Checks the lines of one group. */
static int check_group(const struct line *lines, size_t count)
{
    struct linear_op ops[LINEAR_OPS_MAX];
    enum linear_verdict verdict;
    uint16_t key;

    if (count > LINEAR_OPS_MAX) {
        fprintf(stderr, "check_history: group %" PRIu64 " has %zu operations, %d can be checked\n",
                lines[0].group, count, LINEAR_OPS_MAX);
        return EXIT_UNREADABLE;
    }
    for (size_t i = 0; i < count; i++)
        ops[i] = lines[i].op;
    verdict = linear_check(ops, count, CONFIGURATIONS_MAX, &key);
    if (verdict == LINEAR_YES)
        return EXIT_LINEARIZABLE;
    printf("group %" PRIu64 " %s\n", lines[0].group,
           verdict == LINEAR_NO ? "is not linearizable:" : "could not be decided:");
    for (size_t i = 0; i < count; i++)
        printf("%s\n", lines[i].text);
    return verdict == LINEAR_NO ? EXIT_VIOLATED : EXIT_UNDECIDED;
}

/* All groups, so that each violation is shown; the worst of what was found. */
static int check_all(struct history *h)
{
    int worst = EXIT_LINEARIZABLE;
    size_t groups = 0;

    if (h->count)
        qsort(h->lines, h->count, sizeof(*h->lines), by_group_and_time);
    for (size_t first = 0, next; first < h->count; first = next, groups++) {
        int found;

        for (next = first; next < h->count && h->lines[next].group == h->lines[first].group;)
            next++;
        found = check_group(h->lines + first, next - first);
        if (worst != EXIT_VIOLATED && found != EXIT_LINEARIZABLE)
            worst = found;
    }
    if (worst == EXIT_LINEARIZABLE)
        printf("%zu operations in %zu groups of keys: linearizable\n", h->count, groups);
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
