/* ringctl: makes, inspects and changes a ring. */
#include "tools/ringctl.h"
#include "shared/config.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS_DEFAULT = 3000 };

static const struct control_command *const commands[] = {
    &command_init,    &command_status,    &command_check, &command_verify, &command_locate,
    &command_history, &command_metrics,   &command_add,   &command_remove, &command_replace,
    &command_set,     &command_rebalance, &command_plan,  &command_resume, &command_pause,
    &command_cancel,  &command_rate,
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *to)
{
    fputs("Usage: ringctl [--nodes HOST:PORT,...] [--json] COMMAND [ARGUMENT]...\n"
          "\n"
          "ringctl makes, inspects and changes a ring of ringnodes.\n"
          "\n"
          "Commands:\n",
          to);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-9s  %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n"
          "Options:\n"
          "  --nodes HOST:PORT,...  nodes to ask for the ring; any of its members will do\n"
          "                         (default: the environment's RINGCTL_NODES)\n"
          "  --secret-file FILE     the cluster's secret, where the nodes have one\n"
          "                         (default: the environment's RINGCTL_SECRET_FILE)\n"
          "  --timeout MS           how long to wait for a node's answer (default: 3000)\n"
          "  --json                 answer for programs\n"
          "  -V, --version          print the version and end\n"
          "  -h, --help             print this, or after a COMMAND its own help, and end;\n"
          "                         'ringctl help [COMMAND]' does so too\n"
          "\n"
          "Exit codes: 0 done, 1 could not be done, 2 wrong usage.\n"
          "\n"
          "Example:\n"
          "  ringctl init n1=10.0.0.1:7400 n2=10.0.0.2:7400 n3=10.0.0.3:7400\n"
          "  ringctl --nodes 10.0.0.1:7400 status\n"
          "  ringctl --nodes 10.0.0.1:7400 add n4=10.0.0.4:7400 --dry-run\n",
          to);
}

static void print_command_help(const struct control_command *command, FILE *to)
{
    fprintf(to, "Usage: ringctl [--nodes HOST:PORT,...] [--json] %s%s%s\n\n%s\n\n%s", command->name,
            command->arguments[0] ? " " : "", command->arguments, command->summary,
            command->details);
}

int control_usage(const struct control_command *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "ringctl %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nUsage: ringctl %s%s%s\nSee 'ringctl %s --help'.\n", command->name,
            command->arguments[0] ? " " : "", command->arguments, command->name);
    return EXIT_USAGE;
}

int control_fail(const char *format, ...)
{
    va_list args;

    fputs("ringctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_COULD_NOT;
}

void json_string(struct bytes text)
{
    putchar('"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static int wrong_usage(const char *format, const char *what)
{
    fputs("ringctl: ", stderr);
    fprintf(stderr, format, what);
    fputs("\nSee 'ringctl --help'.\n", stderr);
    return EXIT_USAGE;
}

/* Cuts "--option=value" into two words; behind "--" stand no options. NULL: out of memory. */
static char **cut_words(int *argc, char **argv)
{
    char **words = calloc(2 * (size_t)*argc + 1, sizeof(*words));
    bool plain = false;
    int count = 0;

    for (int i = 0; words && i < *argc; i++) {
        char *equals = strncmp(argv[i], "--", 2) == 0 && !plain ? strchr(argv[i], '=') : NULL;

        plain |= strcmp(argv[i], "--") == 0;
        words[count++] = argv[i];
        if (!equals)
            continue;
        *equals = '\0';
        words[count++] = equals + 1;
    }
    *argc = count;
    return words;
}

/* Takes an option that may stand before or behind the command. Returns how many words it took, 0
 * when it is none of these, -1 when it is wrong (said). */
static int take_option(struct control *c, int argc, char **argv)
{
    char *end;

    if (strcmp(argv[0], "--json") == 0) {
        c->json = true;
        return 1;
    }
    if (strcmp(argv[0], "--nodes") != 0 && strcmp(argv[0], "--timeout") != 0 &&
        strcmp(argv[0], "--secret-file") != 0)
        return 0;
    if (argc < 2) {
        wrong_usage("%s needs a value", argv[0]);
        return -1;
    }
    if (strcmp(argv[0], "--nodes") == 0) {
        c->nodes = argv[1];
        return 2;
    }
    if (strcmp(argv[0], "--secret-file") == 0) {
        c->secret_file = argv[1];
        return 2;
    }

    long value = strtol(argv[1], &end, 10);

    if (*end || value < 1 || value > 3600000) {
        wrong_usage("--timeout is in milliseconds, 1 to 3600000, not '%s'", argv[1]);
        return -1;
    }
    c->timeout_ms = (int)value;
    return 2;
}

static const struct control_command *command_named(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i];
    return NULL;
}

/* What -h, --help and help print before any command; `topic` stands behind, NULL: nothing does. */
static int help(const char *topic)
{
    const struct control_command *command = topic ? command_named(topic) : NULL;

    if (topic && topic[0] != '-' && !command)
        return wrong_usage("unknown command '%s'", topic);
    if (command)
        print_command_help(command, stdout);
    else
        print_help(stdout);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct control c = {.nodes = getenv("RINGCTL_NODES"),
                        .secret_file = getenv("RINGCTL_SECRET_FILE"),
                        .timeout_ms = TIMEOUT_MS_DEFAULT};
    char why[CONFIG_WHY_SIZE];
    const struct control_command *command;
    int left = 0, plain = INT_MAX; /* how many are left; the first of them that is no option */

    /* What is not a common option stays for the command, in its order. */
    for (int i = 1; i < argc;) {
        int taken = left < plain ? take_option(&c, argc - i, argv + i) : 0;

        if (taken < 0)
            return EXIT_USAGE;
        if (taken == 0 && plain == INT_MAX && strcmp(argv[i], "--") == 0) {
            plain = left;
            i++;
        } else if (taken == 0) {
            argv[left++] = argv[i++];
        }
        i += taken;
    }
    argv[left] = NULL;
    if (left == 0) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0 ||
        strcmp(argv[0], "help") == 0)
        return help(argv[1]);
    if (strcmp(argv[0], "-V") == 0 || strcmp(argv[0], "--version") == 0) {
        puts("ringctl (ringkv) " PACKAGE_VERSION);
        return EXIT_DONE;
    }
    command = command_named(argv[0]);
    if (!command)
        return wrong_usage(argv[0][0] == '-' ? "unknown option '%s'" : "unknown command '%s'",
                           argv[0]);
    for (int i = 1; i < left && i < plain; i++)
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            print_command_help(command, stdout);
            return EXIT_DONE;
        }
    if (secret_load(&c.secret, c.secret_file ? c.secret_file : "", why, sizeof(why)) != 0)
        return control_fail("%s", why);
    return command->run(&c, left, argv);
}

/* What could not be written (a full disk, say) must not pass for the whole answer. */
int main(int argc, char **argv)
{
    char **words = cut_words(&argc, argv);
    int code = words ? run(argc, words) : control_fail("out of memory");

    free(words);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return control_fail("not all could be written to standard output%s%s", errno ? ": " : "",
                        errno ? strerror(errno) : "");
}
