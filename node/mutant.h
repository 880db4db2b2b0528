/* The replication rules, each with a switch that breaks it: so that the simulator can show that it
 * would notice. Only a build with RINGKV_MUTANTS has them; in any other MUTANT() is false, and
 * costs nothing. The bits are of one word of 64, with those of proxy/mutant.h and
 * tests/sim/rings.h. */
#ifndef RINGKV_NODE_MUTANT_H
#define RINGKV_NODE_MUTANT_H

#define MUTANTS(X)                                                                                \
    X(LOWER_VIEW, 0)       /* a view below the promised one is not refused */                     \
    X(UNSYNCED, 1)         /* what a message tells of is not on stable storage yet */             \
    X(OWN_STATE, 2)        /* a new primary starts from its own state, not from the newest */     \
    X(PARTIAL_SOURCE, 3)   /* a mixture leads */                                                  \
    X(PARTIAL_MARK, 4)     /* a mixture is not marked as one */                                   \
    X(OUT_OF_ORDER, 5)     /* a step is taken though one before it is missing */                  \
    X(COMMIT_ALONE, 6)     /* answered when one replica holds it */                               \
    X(NO_MIRROR, 7)        /* what the primary does not have stays */                             \
    X(NO_PROMISES, 8)      /* a candidate leads without a majority */                             \
    X(UNBOUND, 9)          /* a request for another view is carried out */                        \
    X(FORGETFUL, 10)       /* a request that was carried out is carried out again */              \
    X(UNCONFIRMED, 11)     /* a primary reads without asking whether it still is one */           \
    X(OLD_EPOCH, 12)       /* what is said by an earlier epoch counts */                          \
    X(JOINT_ALONE, 13)     /* while two sets vote, a majority of one suffices */                  \
    X(LEARNER_VOTES, 14)   /* who learns has a vote already */                                    \
    X(UNWATCHED, 15)       /* EXEC does not look whether a watched key has changed */             \
    X(UNCOMPARED, 16)      /* CAS sets whatever is there */                                       \
    X(TRACELESS, 17)       /* a key that came and went while it was watched goes unseen */        \
    X(PARTIAL_READ, 18)    /* a mixture is read */                                                \
    X(EARLY_SWEEP, 19)     /* a delete is forgotten before every replica holds it */              \
    X(EXPIRED_SEEN, 20)    /* what has expired is still there */                                  \
    X(UNTOUCHED, 21)       /* a proxy is not told that a replica's state is another one */        \
    X(TOUCH_UNSYNCED, 22)  /* a state is told to be the newest that is not on stable storage */   \
    X(READY_COMMITTED, 32) /* a change goes on when the operations are committed, by whomever */  \
    X(UNCOUNTED, 33)       /* a majority is not counted anew when others have the votes */        \
    X(SOURCE_UNSYNCED, 34) /* a replica is brought up from what is not on stable storage */       \
    X(EXPIRED_JUDGED, 35)  /* any replica tells that a key has expired */                         \
    X(MIXTURE_AWAITED, 36) /* a candidate waits for a mixture that it could do without */         \
    X(UNLED, 37)           /* nobody minds that requests are bound to a view that nobody leads */ \
    X(ACK_KEPT, 38)        /* what was acknowledged before an epoch counts in it at once */       \
    X(ACK_REVIVED, 39)     /* it counts again when the view is confirmed under that epoch */

#ifdef RINGKV_MUTANTS
enum mutant {
#define X(name, bit) MUTANT_##name = (bit),
    MUTANTS(X)
#undef X
};
/* The bits of a shard; and whether one is among bits that were handed on from there. */
#define MUTANTS_OF(s)            ((s)->options.mutants)
#define MUTANT_OF(mutants, name) (((mutants) >> MUTANT_##name & 1) != 0)
#else
#define MUTANTS_OF(s)            0
#define MUTANT_OF(mutants, name) false
#endif
#define MUTANT(s, name) MUTANT_OF(MUTANTS_OF(s), name)

#endif
