#include "tests/sim/keys.h"
#include "shared/error.h"
#include "shared/position.h"
#include <stdio.h>

int sim_keys_make(struct sim_keys *keys)
{
    struct positioner *p = positioner_new(POSITION_MD5);
    uint32_t found[1 << KEYS_BITS] = {0}, missing = KEYS_TAGS;

    if (!p)
        return RK_NOMEM;
    for (unsigned number = 0; missing; number++) {
        struct sim_key key;

        snprintf(key.text, sizeof(key.text), "{%u}", number);
        key.position = position_of(p, bytes_from(key.text));

        uint32_t slice = sim_key_partition(&key, KEYS_BITS);

        if (found[slice] == KEYS_TAGS_OF_SLICE)
            continue;

        struct sim_key *to = &keys->keys[(slice + (found[slice]++ << KEYS_BITS)) * KEYS_OF_TAG];

        for (unsigned k = 0; k < KEYS_OF_TAG; k++) {
            snprintf(to[k].text, sizeof(to[k].text), "{%u}%u", number, k);
            to[k].position = key.position;
        }
        missing--;
    }
    positioner_free(p);
    return 0;
}
