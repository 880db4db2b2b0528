/* Numbers as a person reads them. */
#ifndef RINGKV_TOOLS_HUMAN_H
#define RINGKV_TOOLS_HUMAN_H

#include <stdint.h>

enum { HUMAN_SIZE = 24 };

/* "17.3 M": bytes in powers of 1024, at most 8 characters. Returns `to`. */
const char *human_bytes(uint64_t bytes, char to[HUMAN_SIZE]);

/* "2.5 MB/s", "0.04 MB/s": as --rate takes it, in 10^6 bytes a second. */
const char *human_rate(uint64_t bytes_per_second, char to[HUMAN_SIZE]);

/* "8 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
const char *human_seconds(uint64_t seconds, char to[HUMAN_SIZE]);

/* "1,500,000". */
const char *human_count(uint64_t count, char to[HUMAN_SIZE + 8]);

#endif
