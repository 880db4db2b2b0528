/* The simulator's source of chance: all of a run comes from one seed (xoshiro256**, seeded by
 * splitmix64; Blackman and Vigna 2018). */
#ifndef RINGKV_TESTS_SIM_RANDOM_H
#define RINGKV_TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t s[4];
};

static inline void sim_random_seed(struct sim_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        r->s[i] = z ^ z >> 31;
    }
}

static inline uint64_t sim_random_next(struct sim_random *r)
{
    uint64_t *s = r->s, x = s[1] * 5, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return (x << 7 | x >> 57) * 9;
}

/* 0 .. n - 1; n > 0. */
static inline uint64_t sim_random_below(struct sim_random *r, uint64_t n)
{
    return sim_random_next(r) % n;
}

/* low .. high. */
static inline uint64_t sim_random_range(struct sim_random *r, uint64_t low, uint64_t high)
{
    return low + sim_random_below(r, high - low + 1);
}

/* True in so many of a thousand cases. */
static inline bool sim_random_chance(struct sim_random *r, uint64_t per_mille)
{
    return sim_random_below(r, 1000) < per_mille;
}

#endif
