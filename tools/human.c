#include "tools/human.h"
#include <inttypes.h>
#include <stdio.h>

const char *human_bytes(uint64_t bytes, char to[HUMAN_SIZE])
{
    static const char *const units[] = {"B", "K", "M", "G", "T", "P"};
    double value = (double)bytes;
    int unit = 0;

    while (value >= 1000 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(to, HUMAN_SIZE, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return to;
}

const char *human_rate(uint64_t bytes_per_second, char to[HUMAN_SIZE])
{
    double value = (double)bytes_per_second / 1e6;

    snprintf(to, HUMAN_SIZE, value < 1 ? "%.2g MB/s" : "%.1f MB/s", value);
    return to;
}

const char *human_seconds(uint64_t seconds, char to[HUMAN_SIZE])
{
    static const struct {
        uint64_t seconds, part;
        const char *name, *part_name;
    } units[] = {{86400, 3600, "d", "h"}, {3600, 60, "h", "min"}, {60, 1, "min", "s"}};

    for (int i = 0; i < 3; i++) {
        uint64_t count = seconds / units[i].seconds, rest = seconds % units[i].seconds;

        /* Days have at most 15 digits, and the rest at most two. */
        if (count > 999999999)
            count = 999999999;
        if (count > 0) {
            snprintf(to, HUMAN_SIZE, "%u %s %u %s", (unsigned)count, units[i].name,
                     (unsigned)(rest / units[i].part), units[i].part_name);
            return to;
        }
    }
    snprintf(to, HUMAN_SIZE, "%" PRIu64 " s", seconds);
    return to;
}

const char *human_count(uint64_t count, char to[HUMAN_SIZE + 8])
{
    char digits[HUMAN_SIZE];
    int size = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    char *at = to;

    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return to;
}
