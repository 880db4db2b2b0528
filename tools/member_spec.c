#include "tools/member_spec.h"
#include "shared/address.h"
#include "shared/error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cuts the last ":..." off, unless what would be left has no port. */
static char *cut_last(char *text)
{
    char *colon = strrchr(text, ':'), *before = NULL;

    if (!colon)
        return NULL;
    for (char *at = text; at < colon; at++)
        if (*at == ':')
            before = at;
    /* A host in brackets has colons of its own. */
    if (!before || strchr(before, ']'))
        return NULL;
    *colon = '\0';
    return colon + 1;
}

int member_weight_parse(const char *text, struct ring_member *m, struct why *why)
{
    size_t digits = strspn(text, "0123456789");
    /* strtol would take blanks and signs, too. */
    long weight = digits && !text[digits] ? strtol(text, NULL, 10) : 0;

    if (weight < 1 || weight > WEIGHT_MAX)
        return why_set(why, RK_INVALID,
                       "the weight of %s is '%s'; a weight is a whole number from 1 to %d", m->name,
                       text, WEIGHT_MAX);
    m->weight = (uint32_t)weight;
    return 0;
}

int member_zone_parse(const char *text, struct ring_member *m, struct why *why)
{
    if (!ring_name_valid(text))
        return why_set(why, RK_INVALID,
                       "'%s' is not a zone for %s; a zone is 1 to %d letters, digits, '-', '_' or "
                       "'.'",
                       text, m->name, NAME_SIZE_MAX);
    snprintf(m->zone, sizeof(m->zone), "%s", text);
    return 0;
}

/* Splits HOST:PORT[:ZONE[:WEIGHT]]; `rest` is a copy that may be cut. */
static int parse_place(char *rest, struct ring_member *m, struct why *why)
{
    char *last = cut_last(rest), *zone = last, *weight = NULL;
    char *host = NULL;
    int error = 0;

    if (last) {
        char *before = cut_last(rest);

        if (before) {
            zone = before;
            weight = last;
        }
    }
    if (address_split(rest, &host, &m->port) != 0 || strlen(host) > HOST_SIZE_MAX) {
        free(host);
        return why_set(
            why, RK_INVALID,
            "'%s' is not the address of %s; write HOST:PORT, with a port from 1 to 65535", rest,
            m->name);
    }
    memcpy(m->host, host, strlen(host) + 1);
    free(host);
    if (strcmp(m->host, "*") == 0)
        return why_set(why, RK_INVALID, "'*' is no address to connect to; name the machine of %s",
                       m->name);
    if (zone && *zone)
        error = member_zone_parse(zone, m, why);
    return error || !weight ? error : member_weight_parse(weight, m, why);
}

int member_spec_parse(const char *text, struct ring_member *m, char *why, size_t why_size)
{
    struct why reason = why_in(why, why_size);
    const char *equals = strchr(text, '=');
    size_t size = equals ? (size_t)(equals - text) : 0;
    char *rest;
    int error;

    *m = (struct ring_member){.weight = 1};
    if (equals && size <= NAME_SIZE_MAX)
        memcpy(m->name, text, size);
    if (!ring_name_valid(m->name))
        return why_set(&reason, RK_INVALID,
                       "'%s' is not NAME=HOST:PORT[:ZONE[:WEIGHT]]; a NAME is 1 to %d letters, "
                       "digits, '-', '_' or '.'",
                       text, NAME_SIZE_MAX);
    rest = strdup(equals + 1);
    if (!rest)
        return RK_NOMEM;
    error = parse_place(rest, m, &reason);
    free(rest);
    return error;
}
