/* ringctl plan: several edits, from a file, as one change. */
#include "tools/change.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The whole of a file, "-" for standard input; at most one byte more than a plan may have. */
static int read_file(const char *path, struct buf *text)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    int code = EXIT_DONE;
    size_t size = 1;

    if (!file)
        return control_fail("cannot open %s: %s", path, strerror(errno));
    while (size > 0 && buf_len(text) <= EDIT_FILE_MAX && !code) {
        uint8_t *to = buf_reserve(text, 64 << 10);

        if (!to)
            code = control_fail("out of memory");
        else
            buf_commit(text, size = fread(to, 1, 64 << 10, file));
    }
    if (!code && ferror(file))
        code = control_fail("cannot read %s: %s", path, strerror(errno));
    if (file != stdin)
        fclose(file);
    return code;
}

static int run(const struct control *c, int argc, char **argv)
{
    struct change_options options = {0};
    struct edits edits = {0};
    struct buf text = {0};
    char why[EDIT_WHY_SIZE] = "";
    int code = change_take_options(&command_plan, &argc, argv, &options);

    if (code)
        return code;
    if (argc != 3 || strcmp(argv[1], "-f") != 0)
        return control_usage(&command_plan, "-f FILE is needed, and nothing else");
    code = read_file(argv[2], &text);
    if (!code && edits_parse_text(&edits, buf_bytes(&text), why, sizeof(why)) != 0)
        code = control_fail("%s: %s", argv[2], why);
    buf_free(&text);
    if (!code)
        code = change_make(c, &edits, &options);
    edits_free(&edits);
    return code;
}

const struct control_command command_plan = {
    "plan", "-f FILE [OPTION]...", "Makes several changes as one: what moves, moves once.",
    "FILE has a command a line, as they are given to ringctl: add, remove, replace, set, "
    "rebalance.\n"
    "'#' begins a comment. '-f -' reads standard input.\n\n" CHANGE_OPTIONS_HELP "\n"
    "Example, of a file and its use:\n"
    "  add n4=10.0.0.4:7400 --zone east\n"
    "  remove n1\n"
    "  set n2 weight=2\n"
    "  ringctl plan -f FILE --dry-run\n",
    run};
