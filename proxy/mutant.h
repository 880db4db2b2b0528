/* The replication rules that the proxy keeps, each with a switch that breaks it, as node/mutant.h
 * has them for the nodes; the bits are others. Only a build with RINGKV_MUTANTS has them. */
#ifndef RINGKV_PROXY_MUTANT_H
#define RINGKV_PROXY_MUTANT_H

#define PROXY_MUTANTS(X)                                                                     \
    X(STAND_KEPT, 23)      /* a replica's state is taken for what it was when it was told */ \
    X(NO_VIEW_IN_READ, 24) /* a majority read compares versions alone */                     \
    X(OLD_ATTEMPT, 25)     /* the answer of an earlier attempt counts too */                 \
    X(ANY_UNCHANGED, 27)   /* a key unchanged on one replica agrees with whatever is told */ \
    X(READ_ALONE, 28)      /* one replica is enough for a majority read */                   \
    X(READ_IN_JOINT, 29)   /* a read takes one majority while two sets vote */               \
    X(TOLD_BEFORE, 30)     /* what was asked before a read began counts for it */            \
    X(LATE_STAND, 31)      /* what comes behind a later answer counts all the same */

#ifdef RINGKV_MUTANTS
enum proxy_mutant {
#define X(name, bit) PROXY_MUTANT_##name = (bit),
    PROXY_MUTANTS(X)
#undef X
};
#define PROXY_MUTANT(r, name) (((r)->mutants >> PROXY_MUTANT_##name & 1) != 0)
#else
#define PROXY_MUTANT(r, name) false
#endif

#endif
