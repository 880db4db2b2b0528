/* CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected; RFC 3720 appendix B.4 has vectors). */
#ifndef RINGKV_SHARED_CRC32C_H
#define RINGKV_SHARED_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `size` bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
