/* Patterns as Redis has them: * ? [a-z] [^a-z] and \ before a character that stands for itself. */
#ifndef RINGKV_PROXY_GLOB_H
#define RINGKV_PROXY_GLOB_H

#include "shared/bytes.h"
#include <stdbool.h>

/* Whether the whole text matches; with `fold`, capitals and small letters are the same. Takes at
 * most pattern times text steps, whatever the pattern. */
bool glob_match(struct bytes pattern, struct bytes text, bool fold);

#endif
