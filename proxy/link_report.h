/* Edge: the news of all threads' links (proxy/link_news.h), written to the log by the main thread.
 */
#ifndef RINGKV_PROXY_LINK_REPORT_H
#define RINGKV_PROXY_LINK_REPORT_H

#include "proxy/link_news.h"

struct link_report;
struct loop;

/* `l` is the main thread's. NULL: out of memory. */
struct link_report *link_report_new(struct loop *l);

/* Writes what is left. No link may be there any more, nor the loop run. */
void link_report_free(struct link_report *r);

/* As in link_news.h, from any thread. */
struct link_member *link_report_join(struct link_report *r, const struct ring_member *member);
void link_report_leave(struct link_report *r, struct link_member *m, bool was_up);
void link_report_note(struct link_report *r, struct link_member *m, enum link_event event,
                      uint16_t shard, const char *why);

#endif
