#include "proxy/session.h"
#include "shared/error.h"
#include <stdlib.h>

void session_init(struct session *s, uint64_t id, struct buf *out)
{
    *s = (struct session){.out = out, .id = id, .resp = 2};
}

void session_reset(struct session *s)
{
    free(s->texts[SESSION_NAME]);
    s->texts[SESSION_NAME] = NULL;
    s->resp = 2;
    s->any_replica = s->no_evict = false;
    /* Its own reply is given, but where CLIENT REPLY SKIP was the command before. */
    s->silent = s->silent && !s->reply_off;
    s->reply_off = s->skip_next = false;
}

void session_destroy(struct session *s)
{
    for (int i = 0; i < SESSION_TEXTS; i++)
        free(s->texts[i]);
    *s = (struct session){0};
}

const char *session_text(const struct session *s, enum session_text which)
{
    return s->texts[which] ? s->texts[which] : "";
}

int session_set_text(struct session *s, enum session_text which, struct bytes text)
{
    char *copy = NULL;

    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '!' || text.data[i] > '~')
            return RK_INVALID;
    if (text.size > SESSION_NAME_MAX)
        return RK_TOOBIG;
    if (text.size) {
        copy = malloc(text.size + 1);
        if (!copy)
            return RK_NOMEM;
        memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
    }
    free(s->texts[which]);
    s->texts[which] = copy;
    return 0;
}
