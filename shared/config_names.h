/* Configuration, inner part: sections and keys by name, and what to say about those that are not
 * known. */
#ifndef RINGKV_SHARED_CONFIG_NAMES_H
#define RINGKV_SHARED_CONFIG_NAMES_H

#include "shared/bytes.h"
#include "shared/config.h"
#include "shared/config_value.h"

/* The index of a setting, or RK_NOTFOUND. */
int config_find(const struct config_setting *settings, struct bytes section, struct bytes key);

bool config_section_known(const struct config_setting *settings, struct bytes section);

/* Says that a section, or a key in it, is not known, and which was probably meant. An empty section
 * means that the key stands before any. */
void config_section_problem(const struct config_setting *settings, struct bytes section,
                            char problem[CONFIG_PROBLEM_SIZE]);
void config_key_problem(const struct config_setting *settings, struct bytes section,
                        struct bytes key, char problem[CONFIG_PROBLEM_SIZE]);

#endif
