#include "shared/program.h"
#include "shared/error.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_SET = 256, OPTION_HELP_CONFIG };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check", no_argument, NULL, 'n'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {"set", required_argument, NULL, OPTION_SET},
    {"help-config", no_argument, NULL, OPTION_HELP_CONFIG},
    {NULL, 0, NULL, 0},
};

static const char options_help[] =
    "  -c, --config FILE          read the settings in FILE\n"
    "      --set SECTION.KEY=VALUE\n"
    "                             set one, over what FILE says; may be given again\n"
    "  -n, --check                check the settings, say what is wrong with them, and end\n"
    "      --help-config          print every setting with its meaning, range and default,\n"
    "                             in the form of a FILE, and end\n"
    "  -V, --version              print the version and end\n"
    "  -h, --help                 print this and end\n";

static void help_print(const struct program_description *d)
{
    printf("Usage: %s [-c FILE] [--set SECTION.KEY=VALUE]... [-n]\n\n", d->name);
    printf("%s %s.\n\n%s", d->name, d->summary, options_help);
    printf("\nExit codes: 0 done, 1 could not, 2 wrong usage.\n");
    if (d->details)
        printf("\n%s", d->details);
}

/* Ends a request for text: what was printed must have arrived. */
static int text_end(const struct program_description *d, struct program_arguments *out)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        out->exit_code = PROGRAM_DONE;
        return RK_CLOSED;
    }
    fprintf(stderr, "%s: standard output cannot be written: %s\n", d->name, strerror(errno));
    out->exit_code = PROGRAM_COULD_NOT;
    return RK_IO;
}

static int usage_end(const struct program_description *d, struct program_arguments *out)
{
    fprintf(stderr, "Usage: %s [-c FILE] [--set SECTION.KEY=VALUE]... [-n]; %s --help tells more\n",
            d->name, d->name);
    out->exit_code = PROGRAM_USAGE;
    return RK_INVALID;
}

static int option_take(int option, const struct program_description *d,
                       struct program_arguments *out)
{
    switch (option) {
    case 'c':
        if (out->config) {
            fprintf(stderr, "%s: -c is given twice; one file holds all settings\n", d->name);
            return usage_end(d, out);
        }
        out->config = optarg;
        return 0;
    case OPTION_SET:
        out->sets[out->set_count++] = optarg;
        return 0;
    case 'n':
        out->check_only = true;
        return 0;
    case 'V':
        printf("%s (ringkv) %s\n", d->name, PACKAGE_VERSION);
        return text_end(d, out);
    case 'h':
        help_print(d);
        return text_end(d, out);
    case OPTION_HELP_CONFIG:
        config_print(d->settings, stdout);
        return text_end(d, out);
    default: /* getopt has said what is wrong */
        return usage_end(d, out);
    }
}

int program_parse(int argc, char **argv, const struct program_description *d,
                  struct program_arguments *out)
{
    int option, failed = 0;

    *out = (struct program_arguments){.exit_code = PROGRAM_COULD_NOT};
    out->sets = calloc((size_t)argc + 1, sizeof(*out->sets)); /* there cannot be more */
    if (!out->sets) {
        fprintf(stderr, "%s: %s\n", d->name, rk_error_text(RK_NOMEM));
        return RK_NOMEM;
    }
    optind = 0; /* glibc: begin anew, whatever was parsed before */
    while (!failed && (option = getopt_long(argc, argv, "+c:nVh", long_options, NULL)) != -1)
        failed = option_take(option, d, out);
    if (!failed && optind < argc) {
        fprintf(stderr, "%s: '%s' is not an option\n", d->name, argv[optind]);
        failed = usage_end(d, out);
    }
    if (!failed && !out->config && out->set_count == 0) {
        fprintf(stderr, "%s: no settings are given; name a file of them with -c\n", d->name);
        failed = usage_end(d, out);
    }
    if (failed)
        program_arguments_free(out);
    return failed;
}

int program_report(const struct program_description *d, int failed, const char *why)
{
    if (failed) {
        fprintf(stderr, "%s: %s\n", d->name, why);
        return PROGRAM_COULD_NOT;
    }
    printf("%s: the configuration is good\n", d->name);
    return fflush(stdout) == 0 ? PROGRAM_DONE : PROGRAM_COULD_NOT;
}

void program_arguments_free(struct program_arguments *a)
{
    free(a->sets);
    a->sets = NULL;
    a->set_count = 0;
}

uint32_t program_threads(uint32_t max)
{
    long half = sysconf(_SC_NPROCESSORS_ONLN) / 2;

    return half < 1 ? 1 : half > (long)max ? max : (uint32_t)half;
}
