#include "node/damage_note.h"
#include "shared/error.h"
#include "shared/file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTE_SIZE_MAX = 1024 };

static char *note_path(const char *tree_path)
{
    char *path;

    return asprintf(&path, "%s-damaged", tree_path) < 0 ? NULL : path;
}

void damage_note_leave(const char *tree_path, const char *what)
{
    char *path = note_path(tree_path);

    if (path)
        file_replace(path, bytes_from(what), 0600);
    free(path);
}

int damage_note_look(const char *tree_path, char *why, size_t why_size)
{
    char *path = note_path(tree_path);
    struct buf what = {0};
    int error = path ? file_read(path, NOTE_SIZE_MAX, &what) : RK_NOMEM;

    if (error == RK_NOTFOUND) {
        error = 0;
    } else if (!error || error == RK_TOOBIG) {
        snprintf(
            why, why_size,
            "%.*s. The node ended over this, and would again at its next checkpoint; to have it "
            "serve until then all the same, remove %s",
            (int)buf_len(&what), (const char *)buf_head(&what), path);
        error = RK_CORRUPT;
    } else if (error == RK_IO) {
        snprintf(why, why_size,
                 "cannot read %s, which is there when the node ended over a damaged page: %s", path,
                 strerror(errno));
    }
    buf_free(&what);
    free(path);
    return error;
}
