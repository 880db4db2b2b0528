/* Any bytes as a configuration file of ringnode: what is accepted is in range, what is refused says
 * in which line and why, and neither leaks. The input's first byte chooses whether the rest is a
 * file, an assignment, or both (the line before the first newline, and what follows). */
#include "node/options.h"
#include "shared/address.h"
#include "shared/error.h"
#include "tests/fuzz/check.h"
#include <string.h>

static void check_why(const char *why, const char *prefix)
{
    CHECK(strncmp(why, prefix, strlen(prefix)) == 0);
    for (; *why; why++)
        CHECK(*why >= 0x20 && *why < 0x7f);
}

static void check_address(const char *address)
{
    uint16_t port;
    char *host;

    CHECK(address_split(address, &host, &port) == 0);
    CHECK(port > 0 && host[0]);
    free(host);
}

/* Whatever was read, each field is one that the table allows. */
static void check_options(struct node_options *o)
{
    for (const struct config_setting *s = node_settings; s->section; s++) {
        const void *field = (const char *)o + s->offset;
        const char *text;

        switch (s->type) {
        case CONFIG_NUMBER:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
            CHECK(*(const int64_t *)field >= s->min && *(const int64_t *)field <= s->max);
            break;
        case CONFIG_CHOICE:
            CHECK(*(const int *)field >= 0 && *(const int *)field < 4);
            break;
        case CONFIG_TEXT:
            text = *(char *const *)field;
            CHECK(!text || strlen(text) <= (size_t)s->max);
            for (; text && *text; text++)
                CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
            break;
        case CONFIG_ADDRESS:
            check_address(*(char *const *)field);
            break;
        default:
            abort(); /* no type that ringnode has */
        }
    }
}

static void try_file(struct config *c, struct bytes text)
{
    char why[CONFIG_WHY_SIZE] = "";
    int failed = config_parse(c, "fuzz", text, why, sizeof(why));

    CHECK(failed == 0 || failed == RK_INVALID);
    if (failed)
        check_why(why, "fuzz:");
}

static void try_assignment(struct config *c, struct bytes text)
{
    char *assignment = strndup((const char *)text.data, text.size);
    char why[CONFIG_WHY_SIZE] = "";
    int failed;

    CHECK(assignment);
    failed = config_set(c, assignment, why, sizeof(why));
    CHECK(failed == 0 || failed == RK_INVALID);
    if (failed)
        check_why(why, "--set ");
    free(assignment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[CONFIG_WHY_SIZE] = "";
    struct node_options options;
    const uint8_t *newline;
    struct bytes rest;
    struct config c;

    if (size < 1)
        return 0;
    rest = bytes_of(data + 1, size - 1);
    newline = rest.size ? memchr(rest.data, '\n', rest.size) : NULL;
    CHECK(config_init(&c, node_settings, &options, why, sizeof(why)) == 0);
    if (data[0] % 3 == 0) {
        try_file(&c, rest);
    } else if (data[0] % 3 == 1 || !newline) {
        try_assignment(&c, rest);
    } else {
        size_t first = (size_t)(newline - rest.data);

        try_assignment(&c, bytes_of(rest.data, first));
        try_file(&c, bytes_of(newline + 1, rest.size - first - 1));
    }
    check_options(&options);
    if (config_finish(&c, why, sizeof(why)) == 0)
        node_options_check(&options, why, sizeof(why));
    config_free(&c);
    return 0;
}
