#include "node/ring_news.h"
#include <inttypes.h>
#include <stdio.h>

enum state { RUNS, PAUSED, GOES_BACK };

static enum state state_of(const struct ring_change *change)
{
    return change->cancelled ? GOES_BACK : change->paused ? PAUSED : RUNS;
}

/* NULL: it is as it was. */
static const char *became(const struct ring *before, const struct ring_change *change)
{
    const struct ring_change *was = before ? before->change : NULL;
    bool same = was && was->begun_epoch == change->begun_epoch;

    if (same && state_of(was) == state_of(change))
        return NULL;
    switch (state_of(change)) {
    case GOES_BACK:
        return "cancelled: it goes back";
    case PAUSED:
        return "paused";
    default:
        return same ? "goes on" : before ? "begun" : "under way";
    }
}

bool ring_news(const struct ring *before, const struct ring *ring, char text[RING_NEWS_SIZE])
{
    const struct ring_event *last = ring->log_count ? &ring->log[ring->log_count - 1] : NULL;
    const char *what, *who, *news;

    if (ring->change) {
        news = became(before, ring->change);
        what = ring->change->what;
        who = ring->change->who;
    } else if (before && last && last->ended_epoch > before->epoch) {
        news = last->cancelled ? "taken back: the ring is as before" : "done";
        what = last->what;
        who = last->who;
    } else {
        return false;
    }
    if (!news)
        return false;
    snprintf(text, RING_NEWS_SIZE, "change %s what=\"%s\" who=%s epoch=%" PRIu64, news, what, who,
             ring->epoch);
    return true;
}
