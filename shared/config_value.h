/* Configuration, inner part: one setting's value, from text into its field and back. */
#ifndef RINGKV_SHARED_CONFIG_VALUE_H
#define RINGKV_SHARED_CONFIG_VALUE_H

#include "shared/bytes.h"
#include "shared/config.h"

enum {
    CONFIG_PROBLEM_SIZE = 384, /* for every `problem` below */
    CONFIG_QUOTE_SIZE = 72,    /* for text from outside that a message repeats */
    CONFIG_RANGE_SIZE = 128,
};

/* Whether the setting's field is a malloced text. */
bool config_value_is_text(const struct config_setting *s);

/* Sets the field from text. 0, RK_NOMEM, or RK_INVALID with "what is wrong; what would be right" in
 * `problem`; on failure the field is as it was. */
int config_value_set(const struct config_setting *s, void *options, const char *text,
                     char problem[CONFIG_PROBLEM_SIZE]);

/* Frees the field when it is a text. */
void config_value_free(const struct config_setting *s, void *options);

/* What may stand in the setting: "a size from 1k to 64m". */
void config_value_range(const struct config_setting *s, char range[CONFIG_RANGE_SIZE]);

/* Copies text from outside for a message: what cannot be printed becomes '?', the rest is cut. */
void config_quote(char quoted[CONFIG_QUOTE_SIZE], struct bytes text);

#endif
