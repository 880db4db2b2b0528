#include "node/lcs.h"
#include "shared/error.h"
#include <stdlib.h>

/* The length for the first i bytes of a and the first j of b. */
static inline uint32_t length_at(const struct lcs *l, size_t i, size_t j)
{
    return l->table[i * (l->b.size + 1) + j];
}

static void fill(struct lcs *l)
{
    size_t width = l->b.size + 1;

    for (size_t i = 1; i <= l->a.size; i++) {
        const uint32_t *above = l->table + (i - 1) * width;
        uint32_t *row = l->table + i * width;
        uint8_t byte = l->a.data[i - 1];

        for (size_t j = 1; j < width; j++) {
            uint32_t skipped = above[j] > row[j - 1] ? above[j] : row[j - 1];

            row[j] = byte == l->b.data[j - 1] ? above[j - 1] + 1 : skipped;
        }
    }
}

int lcs_begin(struct lcs *l, struct bytes a, struct bytes b)
{
    *l = (struct lcs){.a = a, .b = b};
    if (a.size >= LCS_ENTRIES_MAX || b.size >= LCS_ENTRIES_MAX ||
        (a.size + 1) * (b.size + 1) > LCS_ENTRIES_MAX)
        return RK_TOOBIG;
    l->table = calloc((a.size + 1) * (b.size + 1), sizeof(*l->table));
    if (!l->table)
        return RK_NOMEM;
    fill(l);
    return 0;
}

void lcs_free(struct lcs *l)
{
    free(l->table);
}

uint32_t lcs_length(const struct lcs *l)
{
    return length_at(l, l->a.size, l->b.size);
}

/* One step back through the table. True: the bytes at the new place are part of the subsequence. */
static bool step_back(const struct lcs *l, size_t *i, size_t *j)
{
    if (l->a.data[*i - 1] == l->b.data[*j - 1]) {
        --*i;
        --*j;
        return true;
    }
    if (length_at(l, *i - 1, *j) > length_at(l, *i, *j - 1))
        --*i;
    else
        --*j;
    return false;
}

void lcs_text(const struct lcs *l, uint8_t *to)
{
    size_t i = l->a.size, j = l->b.size, left = lcs_length(l);

    while (i && j)
        if (step_back(l, &i, &j))
            to[--left] = l->a.data[i];
}

static int give(const struct lcs_match *match, int64_t shortest,
                int (*each)(void *arg, const struct lcs_match *match), void *arg)
{
    return (int64_t)match->a_last - match->a_first + 1 >= shortest ? each(arg, match) : 0;
}

int lcs_matches(const struct lcs *l, int64_t shortest,
                int (*each)(void *arg, const struct lcs_match *match), void *arg)
{
    size_t i = l->a.size, j = l->b.size;
    struct lcs_match match = {0};
    bool open = false;
    int stop = 0;

    while (i && j && !stop) {
        bool matched = step_back(l, &i, &j);
        bool follows = open && matched && match.a_first == i + 1 && match.b_first == j + 1;

        if (open && !follows) {
            stop = give(&match, shortest, each, arg);
            open = false;
        }
        if (!matched || stop)
            continue;
        if (!follows)
            match = (struct lcs_match){.a_last = (uint32_t)i, .b_last = (uint32_t)j};
        match.a_first = (uint32_t)i;
        match.b_first = (uint32_t)j;
        open = true;
    }
    return open && !stop ? give(&match, shortest, each, arg) : stop;
}
