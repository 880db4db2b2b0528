/* The rules that the proxy's side keeps, each with a switch that breaks it; like node/mutant.h,
 * whose bits come first. */
#ifndef RINGKV_TESTS_SIM_MUTANT_H
#define RINGKV_TESTS_SIM_MUTANT_H

enum sim_mutant {
    SIM_MUTANT_NO_VIEW_IN_READ = 1 << 24, /* a majority read compares versions alone */
    SIM_MUTANT_OLD_ATTEMPT = 1 << 25,     /* the answer of an earlier attempt counts */
};

#endif
