#include "shared/error.h"
#include "shared/ring.h"
#include "shared/ring_change.h"
#include "shared/wire.h"
#include "tests/fuzz/seeds.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 2, PARTITIONS = 1 << BITS };

static char why[256];

/* A ring of n0, n1 and so on, which own its partitions in turn. */
static struct ring *make(uint32_t members, uint8_t replicas, bool zones)
{
    struct ring *r = ring_new(members, BITS);

    CHECK(r);
    r->cluster[0] = 1;
    r->epoch = 1;
    r->hash = POSITION_MD5;
    r->replicas = replicas;
    r->next_number = (uint16_t)(members + 1);
    for (uint32_t i = 0; i < members; i++) {
        struct ring_member *m = &r->members[i];

        m->identity[0] = (uint8_t)(i + 1);
        m->number = (uint16_t)(i + 1);
        m->port = (uint16_t)(7000 + i);
        m->shards = 1;
        m->weight = 1;
        snprintf(m->name, sizeof(m->name), "n%u", (unsigned)i);
        snprintf(m->host, sizeof(m->host), "h");
        if (zones)
            snprintf(m->zone, sizeof(m->zone), "z%u", (unsigned)i);
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        r->owners[p] = (uint16_t)(p % members);
    CHECK(ring_finish(r, why, sizeof(why)) == 0);
    return r;
}

static void put(const char *name, const struct ring *r)
{
    struct buf out = {0};

    CHECK(ring_encode(r, &out) == 0);
    seed("ring", name, 0, buf_bytes(&out));
    buf_free(&out);
}

/* All partitions but the first go on. */
static struct ring *advance(struct ring *now, enum ring_phase phase)
{
    uint8_t phases[PARTITIONS];
    struct ring *next;

    for (uint32_t p = 0; p < PARTITIONS; p++)
        phases[p] = (uint8_t)(p == 0 ? ring_phase(now, p) : phase);
    CHECK(ring_advance(now, phases, &next, why, sizeof(why)) == 0);
    ring_free(now);
    return next;
}

static void seed_change(void)
{
    static const struct ring_asked asked = {"add n2", "who@where", 1000, 5000};
    struct ring *r = make(2, 2, false), *target = make(3, 3, false), *next;

    CHECK(ring_begin(r, target, &asked, &next, why, sizeof(why)) == 0);
    ring_free(r);
    ring_free(target);
    put("begun", next);
    next = advance(next, RING_LEARNING);
    put("learning", next);
    next = advance(next, RING_JOINT);
    put("joint", next);
    next = advance(next, RING_MOVED);
    put("moved", next);
    CHECK(ring_cancel(next, &r, why, sizeof(why)) == 0);
    put("cancelled", r);
    ring_free(r);
    ring_free(next);
}

void seed_rings(void)
{
    struct ring *plain = make(3, 3, false), *zones = make(3, 2, true);

    put("plain", plain);
    put("zones", zones);
    ring_free(plain);
    ring_free(zones);
    seed_change();
}
