#include "tools/member_spec.h"
#include "shared/config.h"
#include "shared/error.h"
#include <ctype.h>
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

static int parse_weight(const char *text, struct ring_member *m, char *why, size_t why_size)
{
    char *end;
    long weight = strtol(text, &end, 10);

    /* strtol would take blanks and signs, too. */
    if (!isdigit((unsigned char)*text) || *end || weight < 1 || weight > WEIGHT_MAX) {
        snprintf(why, why_size, "the weight of %s is '%s'; a weight is a number from 1 to %d",
                 m->name, text, WEIGHT_MAX);
        return RK_INVALID;
    }
    m->weight = (uint32_t)weight;
    return 0;
}

/* Splits HOST:PORT[:ZONE[:WEIGHT]]; `rest` is a copy that may be cut. */
static int parse_place(char *rest, struct ring_member *m, char *why, size_t why_size)
{
    char *last = cut_last(rest), *zone = last, *weight = NULL;
    char *host = NULL;

    if (last) {
        char *before = cut_last(rest);

        if (before) {
            zone = before;
            weight = last;
        }
    }
    if (config_split_address(rest, &host, &m->port) != 0 || strlen(host) > HOST_SIZE_MAX) {
        free(host);
        snprintf(why, why_size, "'%s' is not the address of %s; write HOST:PORT", rest, m->name);
        return RK_INVALID;
    }
    memcpy(m->host, host, strlen(host) + 1);
    free(host);
    if (strcmp(m->host, "*") == 0) {
        snprintf(why, why_size, "'*' is no address to connect to; name the machine of %s", m->name);
        return RK_INVALID;
    }
    if (zone && *zone) {
        if (!ring_name_valid(zone)) {
            snprintf(why, why_size,
                     "'%s' is not a zone; a zone is 1 to %d letters, digits, '-', "
                     "'_' or '.'",
                     zone, NAME_SIZE_MAX);
            return RK_INVALID;
        }
        memcpy(m->zone, zone, strlen(zone) + 1);
    }
    return weight ? parse_weight(weight, m, why, why_size) : 0;
}

int member_spec_parse(const char *text, struct ring_member *m, char *why, size_t why_size)
{
    const char *equals = strchr(text, '=');
    size_t size = equals ? (size_t)(equals - text) : 0;
    char *rest;
    int error;

    *m = (struct ring_member){.weight = 1};
    if (equals && size <= NAME_SIZE_MAX)
        memcpy(m->name, text, size);
    if (!ring_name_valid(m->name)) {
        snprintf(why, why_size,
                 "'%s' is not NAME=HOST:PORT[:ZONE[:WEIGHT]]; a NAME is 1 to %d "
                 "letters, digits, '-', '_' or '.'",
                 text, NAME_SIZE_MAX);
        return RK_INVALID;
    }
    rest = strdup(equals + 1);
    if (!rest)
        return RK_NOMEM;
    error = parse_place(rest, m, why, why_size);
    free(rest);
    return error;
}
