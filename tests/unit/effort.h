/* What tests do otherwise with a sanitizer: less, where they take seconds even in a plain build, as
 * everything takes some ten times as long, and what a sanitizer looks for shows in fewer rounds. */
#ifndef RINGKV_TESTS_EFFORT_H
#define RINGKV_TESTS_EFFORT_H

#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* gcc */
#define SANITIZED true
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* `rounds`, or a quarter of them with a sanitizer. */
static inline unsigned long effort(unsigned long rounds)
{
    return SANITIZED ? (rounds + 3) / 4 : rounds;
}

#endif
