#include "proxy/keyspace.h"
#include "shared/status_lines.h"

/* `count` of `held` partitions, as of all of them, rounded. */
static uint64_t stretch(uint64_t count, uint64_t held, uint64_t partitions)
{
    return (uint64_t)((double)count * (double)partitions / (double)held + 0.5);
}

bool keyspace_estimate(struct bytes status, uint64_t partitions, struct keyspace *out)
{
    /* A partition of a node is in one of these states; what it learns, it will have only later. */
    static const char *const states[] = {"partitions_primary", "partitions_backup",
                                         "partitions_behind", "partitions_transfer",
                                         "partitions_idle"};
    uint64_t keys = status_number(status, "keys"), expiring = status_number(status, "expiring");
    uint64_t held = 0;

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        uint64_t count = status_number(status, states[i]);

        if (count > partitions)
            return false;
        held += count;
    }
    if (held == 0 || held > partitions || keys >= UINT64_MAX / partitions || expiring > keys)
        return false;
    out->keys = stretch(keys, held, partitions);
    out->expiring = stretch(expiring, held, partitions);
    return true;
}
