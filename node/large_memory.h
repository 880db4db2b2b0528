/* Memory of some size that is looked at here and there: tables of hashes, trees. In huge pages,
 * when the system has them: a look that misses the processor's table of pages walks it first, which
 * in a virtual machine takes as long as several looks.
 */
#ifndef RINGKV_NODE_LARGE_MEMORY_H
#define RINGKV_NODE_LARGE_MEMORY_H

#include <stddef.h>

enum { LARGE_PAGE_SIZE = 2 << 20 }; /* smaller pieces come as from malloc */

/* Not zeroed; to be given to free. NULL: out of memory. */
void *large_memory_new(size_t size);

#endif
