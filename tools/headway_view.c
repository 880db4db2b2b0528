#include "tools/headway.h"
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BAR_EVERY_MS = 100,
    LINE_EVERY_MS = 10000,
    LINE_EVERY_MILLI = 100,
    SAY_AGAIN_MS = 60000,
    COLUMNS_DEFAULT = 80
};

void headway_open(struct headway_view *v, bool json)
{
    *v = (struct headway_view){.terminal = !json && isatty(STDOUT_FILENO),
                               .json = json,
                               .shown_ms = -LINE_EVERY_MS,
                               .said_ms = -SAY_AGAIN_MS};
}

static unsigned columns(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* For whom it waits, above the bar: again when it is another one, and for whoever looks later. */
static void say_waiting(struct headway_view *v, const char *waiting, int64_t now_ms)
{
    if (!waiting ||
        (now_ms < v->said_ms + SAY_AGAIN_MS && strncmp(v->said, waiting, sizeof(v->said) - 1) == 0))
        return;
    printf("\r\033[K%s\n", waiting);
    snprintf(v->said, sizeof(v->said), "%s", waiting);
    v->said_ms = now_ms;
}

static void draw(struct headway_view *v, const struct headway *p, int64_t now_ms)
{
    char line[HEADWAY_LINE_SIZE];

    say_waiting(v, p->waiting, now_ms);
    headway_bar(p, columns() - 1, line);
    printf("\r%s\033[K", line); /* and clears what the last one had more */
    fflush(stdout);
    v->drawn = true;
}

static void write_line(struct headway_view *v, const struct headway *p, uint64_t epoch)
{
    char line[HEADWAY_LINE_SIZE];

    if (v->json)
        headway_json(p, epoch, line);
    else
        headway_text(p, line);
    puts(line);
    fflush(stdout);
    v->shown_milli = headway_milli(p);
    v->waiting = p->waiting != NULL;
}

void headway_show(struct headway_view *v, const struct headway *p, uint64_t epoch, int64_t now_ms)
{
    uint32_t milli = headway_milli(p);
    int64_t since = now_ms - v->shown_ms;

    if (v->terminal) {
        if (since < BAR_EVERY_MS)
            return;
        draw(v, p, now_ms);
    } else {
        if (since < LINE_EVERY_MS && milli < v->shown_milli + LINE_EVERY_MILLI &&
            v->waiting == (p->waiting != NULL))
            return;
        write_line(v, p, epoch);
    }
    v->shown_ms = now_ms;
}

void headway_close(struct headway_view *v)
{
    if (v->drawn)
        putchar('\n');
    v->drawn = false;
}
