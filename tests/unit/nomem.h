/* For tests in which the nth allocation of some modules fails: these are compiled into the test's
 * own file, between this header and nomem_end.h, with an allocator that can fail. Before cmocka.h,
 * which makes macros of common words. */
#ifndef RINGKV_TESTS_UNIT_NOMEM_H
#define RINGKV_TESTS_UNIT_NOMEM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static unsigned allocations_until_failure = UINT32_MAX;
static bool one_failed;

/* The nth allocation from now on fails, once; UINT32_MAX: none does. */
static inline void fail_allocation(unsigned n)
{
    allocations_until_failure = n;
    one_failed = false;
}

static inline bool allocation_fails(void)
{
    bool fails = --allocations_until_failure == 0;

    one_failed = one_failed || fails;
    return fails;
}

static inline void *malloc_or_fail(size_t size)
{
    return allocation_fails() ? NULL : malloc(size);
}

static inline void *calloc_or_fail(size_t count, size_t size)
{
    return allocation_fails() ? NULL : calloc(count, size);
}

static inline void *realloc_or_fail(void *block, size_t size)
{
    return allocation_fails() ? NULL : realloc(block, size);
}

static inline char *strdup_or_fail(const char *text)
{
    return allocation_fails() ? NULL : strdup(text);
}

static inline char *strndup_or_fail(const char *text, size_t size)
{
    return allocation_fails() ? NULL : strndup(text, size);
}

#undef strdup
#undef strndup
#define malloc  malloc_or_fail
#define calloc  calloc_or_fail
#define realloc realloc_or_fail
#define strdup  strdup_or_fail
#define strndup strndup_or_fail

#endif
