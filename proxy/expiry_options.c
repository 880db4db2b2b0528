#include "proxy/expiry_options.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/resp.h"
#include <stddef.h>

struct option {
    const char *word;
    uint32_t option;
    uint32_t excludes; /* one of these before it is a syntax error */
};

#define OTHER_TIMES(option) ((uint32_t)OPTIONS_OF_TIME & ~(uint32_t)(option))

static const struct option options[] = {
    {"nx", OPTION_NX, OPTION_XX},
    {"xx", OPTION_XX, OPTION_NX},
    {"get", OPTION_GET, 0},
    {"keepttl", OPTION_KEEPTTL, OPTIONS_OF_TIME},
    {"persist", OPTION_PERSIST, OPTIONS_OF_TIME},
    {"ex", OPTION_EX, OTHER_TIMES(OPTION_EX) | OPTION_KEEPTTL | OPTION_PERSIST},
    {"px", OPTION_PX, OTHER_TIMES(OPTION_PX) | OPTION_KEEPTTL | OPTION_PERSIST},
    {"exat", OPTION_EXAT, OTHER_TIMES(OPTION_EXAT) | OPTION_KEEPTTL | OPTION_PERSIST},
    {"pxat", OPTION_PXAT, OTHER_TIMES(OPTION_PXAT) | OPTION_KEEPTTL | OPTION_PERSIST},
    {0},
};

static const struct option *option_find(struct bytes word, uint32_t allowed)
{
    for (const struct option *o = options; o->word; o++)
        if (o->option & allowed && resp_word_is(word, o->word))
            return o;
    return NULL;
}

int expiry_options_read(struct expiry_options *o, const struct bytes *args, uint32_t count,
                        uint32_t allowed)
{
    *o = (struct expiry_options){0};
    for (uint32_t i = 0; i < count; i++) {
        const struct option *option = option_find(args[i], allowed);

        if (!option || option->excludes & o->given)
            return RK_INVALID;
        o->given |= option->option;
        if (!(option->option & OPTIONS_OF_TIME))
            continue;
        if (++i == count)
            return RK_INVALID;
        o->time = args[i];
    }
    return 0;
}

struct time_form expiry_options_form(const struct expiry_options *o)
{
    return (struct time_form){
        .seconds = o->given & (OPTION_EX | OPTION_EXAT),
        .relative = o->given & OPTIONS_RELATIVE,
    };
}

int expiry_time_read(struct bytes text, struct time_form form, int64_t *ms)
{
    int64_t unit = form.seconds ? 1000 : 1;

    if (resp_read_integer(text, ms) != 0)
        return RK_INVALID;
    if ((!form.any && *ms <= 0) || *ms > INT64_MAX / unit || *ms < INT64_MIN / unit)
        return RK_TOOBIG;
    *ms *= unit;
    return form.relative && *ms > OPERATION_RELATIVE_MAX ? RK_TOOBIG : 0;
}

/* --- EXPIRE --------------------------------------------------------------------------------- */

static int64_t expire_flag_of(struct bytes word)
{
    static const struct {
        const char *word;
        int64_t flag;
    } words[] = {{"nx", EXPIRE_NX}, {"xx", EXPIRE_XX}, {"gt", EXPIRE_GT}, {"lt", EXPIRE_LT}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (resp_word_is(word, words[i].word))
            return words[i].flag;
    return 0;
}

const char *expire_flags_read(const struct bytes *args, uint32_t count, int64_t *flags,
                              struct bytes *unsupported)
{
    *flags = 0;
    *unsupported = (struct bytes){0};
    for (uint32_t i = 0; i < count; i++) {
        int64_t flag = expire_flag_of(args[i]);

        if (!flag) {
            *unsupported = args[i];
            return "ERR Unsupported option ";
        }
        *flags |= flag;
    }
    if (*flags & EXPIRE_NX && *flags & (EXPIRE_XX | EXPIRE_GT | EXPIRE_LT))
        return "ERR NX and XX, GT or LT options at the same time are not compatible";
    if (*flags & EXPIRE_GT && *flags & EXPIRE_LT)
        return "ERR GT and LT options at the same time are not compatible";
    return NULL;
}
