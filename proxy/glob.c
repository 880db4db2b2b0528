#include "proxy/glob.h"

/* A small letter instead of a capital, if they are the same. */
static uint8_t folded(uint8_t c, bool fold)
{
    return fold && c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* Matches one character against the class that begins after '['. *at is moved behind its ']', or to
 * the end when there is none: as in Redis, the last character then closes it. */
static bool match_class(struct bytes p, size_t *at, uint8_t c, bool fold)
{
    size_t i = *at;
    bool negated = i < p.size && p.data[i] == '^';
    bool found = false;

    i += negated;
    for (; i < p.size && p.data[i] != ']'; i++) {
        if (p.data[i] == '\\' && i + 1 < p.size) {
            found |= folded(p.data[++i], fold) == c;
        } else if (i + 2 < p.size && p.data[i + 1] == '-') {
            uint8_t from = folded(p.data[i], fold), to = folded(p.data[i + 2], fold);

            found |= from <= to ? from <= c && c <= to : to <= c && c <= from;
            i += 2;
        } else {
            found |= folded(p.data[i], fold) == c;
        }
    }
    *at = i < p.size ? i + 1 : i;
    return found != negated;
}

/* Matches one character against what stands at *at, which is not '*', and moves behind it. */
static bool match_one(struct bytes p, size_t *at, uint8_t c, bool fold)
{
    uint8_t first = p.data[(*at)++];

    if (first == '?')
        return true;
    if (first == '[')
        return match_class(p, at, c, fold);
    if (first == '\\' && *at < p.size)
        first = p.data[(*at)++];
    return folded(first, fold) == c;
}

bool glob_match(struct bytes p, struct bytes text, bool fold)
{
    size_t at = 0, i = 0;
    size_t star = SIZE_MAX, star_i = 0; /* behind the last '*', and where it ends at the moment */

    while (i < text.size) {
        if (at < p.size && p.data[at] == '*') {
            star = ++at;
            star_i = i;
        } else if (at < p.size && match_one(p, &at, folded(text.data[i], fold), fold)) {
            i++;
        } else if (star != SIZE_MAX) {
            /* Only the last star need give way: whatever the earlier ones could take, it can. */
            at = star;
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (at < p.size && p.data[at] == '*')
        at++;
    return at == p.size;
}
