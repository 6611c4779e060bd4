/* The kernel inside of a bzImage. */
#ifndef HW_FIRMWARE_UNPACK_H
#define HW_FIRMWARE_UNPACK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The ELF file that a bzImage has packed by xz or gzip, of at most `most` bytes.  NULL: it has none, another packer made it,
 * or it is damaged; then it is for the guest to unpack. */
GBytes *kernel_unpack(const uint8_t *image, size_t len, uint64_t most);

#endif
