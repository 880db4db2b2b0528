/* What 'ringctl check' finds: what is wrong, or soon will be, each with what mends it. */
#ifndef RINGKV_TOOLS_CHECK_H
#define RINGKV_TOOLS_CHECK_H

#include "tools/survey.h"

enum {
    FINDINGS_MAX = 256,  /* a thousand dead nodes are no better understood one by one */
    FINDING_SIZE = 1024, /* room for the longest names of machines */
};

struct finding {
    char what[FINDING_SIZE], mend[FINDING_SIZE];
};

struct check {
    struct survey survey; /* with the members' status */
    struct finding *findings;
    size_t count, more; /* more: those over FINDINGS_MAX */
};

/* Notes a finding; `format` says what. */
void check_find(struct check *k, const char *mend, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The members, each alone, and what they should have in common. */
void check_members(struct check *k);

#endif
