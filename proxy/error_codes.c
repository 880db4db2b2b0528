#include "proxy/error_codes.h"
#include <string.h>

static const char *const names[ERROR_CODE_COUNT] = {
#define X(name) #name,
    ERROR_CODES(X)
#undef X
};

const char *error_code_name(enum error_code code)
{
    return names[code];
}

enum error_code error_code_of(struct bytes text)
{
    const uint8_t *space = text.size ? memchr(text.data, ' ', text.size) : NULL;
    size_t size = space ? (size_t)(space - text.data) : text.size;

    for (int i = 0; i < ERROR_CODE_COUNT; i++)
        if (strlen(names[i]) == size && memcmp(names[i], text.data, size) == 0)
            return (enum error_code)i;
    return ERROR_ERR;
}
