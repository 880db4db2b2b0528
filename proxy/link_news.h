/* What there is to tell of the links to each member, gathered: a node that restarts ends and makes
 * a link for each thread and shard, and whoever reads the log wants one line for it.
 *
 * No clock and no log: the time is handed in, lines are handed out.
 */
#ifndef RINGKV_PROXY_LINK_NEWS_H
#define RINGKV_PROXY_LINK_NEWS_H

#include "shared/limits.h"
#include <stdbool.h>
#include <stdint.h>

enum link_event {
    LINK_LOST,   /* it was up */
    LINK_FAILED, /* it could not be made */
    LINK_UP,
};

enum {
    LINK_WHY_MAX = 200,
    LINK_REASONS_MAX = 4, /* that wait to be told of one member */
    LINK_GATHER_MS = 250, /* how long others may join the first one, */
    LINK_UP_MS = 2000,    /* and those that come up, unless all are there before */
    LINK_LINE_MAX = 1024,
};

/* Links of one event for one reason. */
struct link_reason {
    enum link_event event;
    uint32_t count;
    uint64_t shards; /* a bit for each */
    uint64_t due_ms;
    char why[LINK_WHY_MAX];
};
_Static_assert(SHARDS_MAX <= 64, "a bit for each shard");

/* The links to one member at one address. */
struct link_member {
    struct link_member *next;
    uint8_t identity[IDENTITY_SIZE];
    char name[NAME_SIZE_MAX + 1], host[HOST_SIZE_MAX + 1];
    uint16_t port;
    uint32_t links, up;
    uint32_t reason_count;
    struct link_reason reasons[LINK_REASONS_MAX]; /* in the order of their first link */
};

struct link_news {
    struct link_member *members;
};

struct link_line {
    bool warning;
    char text[LINK_LINE_MAX];
};

struct ring_member;

/* One more link to a member. NULL: out of memory. */
struct link_member *link_news_join(struct link_news *n, const struct ring_member *member);

/* One less, which was up or not. What is still to be told of a member goes with its last link. */
void link_news_leave(struct link_news *n, struct link_member *m, bool was_up);

/* Whether one more can be noted; else all lines have to be taken first, due or not. */
bool link_news_has_room(struct link_member *m, enum link_event event, const char *why);

/* Something happened to a link; `why` is "" when it is up. There must be room. */
void link_news_note(struct link_member *m, enum link_event event, uint16_t shard, const char *why,
                    uint64_t now_ms);

/* Takes the next line that is due. False: there is none. */
bool link_news_take(struct link_news *n, uint64_t now_ms, struct link_line *line);

/* When the next one is due; UINT64_MAX: nothing is to be told. */
uint64_t link_news_due_ms(const struct link_news *n);

#endif
