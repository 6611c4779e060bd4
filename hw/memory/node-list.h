/* Sets of NUMA nodes or CPUs as people write them: "0-3,8". */
#ifndef HW_MEMORY_NODE_LIST_H
#define HW_MEMORY_NODE_LIST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Sets the bits of `text`, all below `limit`, in `set`, which holds as many.  False: that is no such list. */
bool node_list_parse(const char *text, uint64_t *set, unsigned limit);
static inline bool node_list_has(const uint64_t *set, unsigned n) { return set[n / 64] >> n % 64 & 1; }

#endif
