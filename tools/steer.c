#include "tools/steer.h"
#include "shared/ring_change.h"
#include "tools/decide.h"

/* While another ringctl drives, each of its epochs may come before ours. */
enum { ATTEMPTS_MAX = 50 };

static bool alters(const struct ring_change *change, const struct steer *steer)
{
    return (steer->cancel && !change->cancelled) ||
           (steer->set_paused && steer->paused != change->paused) ||
           (steer->set_rate && steer->rate != change->rate);
}

static int make_next(const struct ring *ring, const struct steer *steer, struct ring **next,
                     char *why, size_t why_size)
{
    const struct ring_change *change = ring->change;

    if (steer->cancel)
        return ring_cancel(ring, next, why, why_size);
    return ring_edit(ring, steer->set_paused ? steer->paused : change->paused,
                     steer->set_rate ? steer->rate : change->rate, next, why, why_size);
}

int steer_change(struct survey *s, const struct steer *steer)
{
    char why[DECIDE_WHY_SIZE] = "out of memory";
    struct ring *next;

    if (!s->ring->change)
        return control_fail("nothing is being changed");
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        if (!s->ring->change)
            return control_fail("the change has ended meanwhile; 'ringctl history' tells how");
        if (!alters(s->ring->change, steer))
            return EXIT_DONE;
        if (make_next(s->ring, steer, &next, why, sizeof(why)) != 0)
            return control_fail("%s", why);
        switch (decide_ring(s, next, why, sizeof(why))) {
        case DECIDED:
            return EXIT_DONE;
        case DECIDED_OTHER:
            break;
        default:
            return control_fail("%s" DECIDE_AGAIN, why);
        }
    }
    return control_fail("the ring moves on faster than this can be said; try again");
}
