#include "shared/log_quota.h"

bool log_quota_take(struct log_quota *q, uint64_t now_ms, uint64_t *unsaid)
{
    if (q->lines == 0 || now_ms - q->since_ms >= LOG_QUOTA_MS) {
        q->since_ms = now_ms;
        q->lines = 0;
    }
    if (q->lines == LOG_QUOTA_LINES) {
        q->unsaid++;
        return false;
    }
    q->lines++;
    *unsaid = q->unsaid;
    q->unsaid = 0;
    return true;
}
