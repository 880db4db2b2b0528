/* Behind the modules whose allocations may fail; see nomem.h. The test's own do not. */
#undef malloc
#undef calloc
#undef realloc
#undef strdup
#undef strndup
