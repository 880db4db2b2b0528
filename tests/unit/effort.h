/* How much a test does that takes seconds even in a plain build: a build with a sanitizer takes
 * some ten times as long for everything, and what it looks for shows in fewer rounds. */
#ifndef RINGKV_TESTS_EFFORT_H
#define RINGKV_TESTS_EFFORT_H

#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* gcc */
#define BUILD_IS_SLOW true
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BUILD_IS_SLOW true
#endif
#endif
#ifndef BUILD_IS_SLOW
#define BUILD_IS_SLOW false
#endif

/* `rounds` in a plain build, and a tenth of them, but at least one, in a slow one. */
static inline unsigned long effort(unsigned long rounds)
{
    return BUILD_IS_SLOW ? (rounds + 9) / 10 : rounds;
}

#endif
