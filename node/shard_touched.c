/* What proxies are told of partitions whose replicas here have come to another state: so that one
 * question a turn proves many reads (doc/replication.md, "Reads"). */
#include "node/mutant.h"
#include "node/shard.h"
#include "shared/error.h"
#include "shared/wire.h"

void shard_touch(struct shard *s, uint32_t partition)
{
    if (MUTANT(s, UNTOUCHED))
        return;
    s->touched[++s->touches % TOUCHED_MAX] = partition;
}

/* No count that a proxy has heard of is so near that its partitions would be named. */
void shard_touch_all(struct shard *s)
{
    s->touches += TOUCHED_MAX + 1;
}

int shard_tell_touched(struct shard *s, uint64_t client, const struct touched_get *m)
{
    struct touched answer = {.tag = m->tag, .touches = s->touches};
    uint8_t partitions[4 * TOUCHED_MAX];
    struct buf *out = shard_client_out(s, client);

    if (m->since > s->touches)
        return RK_CORRUPT;
    answer.any = s->touches - m->since > TOUCHED_MAX;
    for (uint64_t touch = m->since; !answer.any && touch < s->touches; answer.count++)
        wire_put_u32(partitions + (size_t)4 * answer.count, s->touched[++touch % TOUCHED_MAX]);
    answer.partitions = bytes_of(partitions, (size_t)4 * answer.count);
    s->counters.touched_told++;
    return out ? message_put_touched(out, &answer) : 0;
}
