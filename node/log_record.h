/* Pure: the log's formats. Numbers are little-endian.
 *
 * A segment is a file of fixed size: a head, then records, then whatever the file held before
 * (zeros, or records of an earlier use of the file). The head has a random salt that enters the
 * checksum of every record, so that nothing from an earlier use, and nothing that a client stored,
 * can pass for a record.
 *
 *   head    magic 8 bytes, format u32, head size u32, number u64, first position u64, salt u64,
 *           file size u64, reserved u64 (0), reserved u32 (0), CRC-32C of all before it u32
 *   record  CRC-32C u32 of the rest and the salt, kind and body size u32, position u64, body
 *
 * A batch's position is one more than the batch's before it. A mark says up to which position
 * everything was on stable storage when it was written: what is damaged at or before a mark's
 * position was acknowledged once, so it is damage; what is damaged behind every mark may be a write
 * that a power cut tore.
 */
#ifndef RINGKV_NODE_LOG_RECORD_H
#define RINGKV_NODE_LOG_RECORD_H

#include "node/store.h"
#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdint.h>

enum {
    LOG_FORMAT = 1,
    LOG_HEAD_SIZE = 64,
    LOG_RECORD_HEAD_SIZE = 16,
    LOG_MARK_SIZE = LOG_RECORD_HEAD_SIZE + 8, /* its body is the salt again, to be searched for */
};

struct log_head {
    uint64_t number;         /* of the segment: one more than that of the segment before */
    uint64_t first_position; /* of its first batch */
    uint64_t salt;
    uint64_t size; /* of the file */
};

void log_head_write(const struct log_head *head, uint8_t to[LOG_HEAD_SIZE]);

/* 0, RK_VERSION (another format's), RK_CORRUPT. */
int log_head_read(const uint8_t from[LOG_HEAD_SIZE], struct log_head *out);

enum log_kind { LOG_BATCH = 1, LOG_MARK = 2 };

struct log_record {
    enum log_kind kind;
    uint64_t position;
    struct bytes body;
    size_t size; /* of the whole record */
};

/* How many bytes a batch takes in the log. */
size_t log_record_batch_size(const struct store_batch *batch);

/* Appends a record. 0 or RK_NOMEM. */
int log_record_append_batch(struct buf *to, uint64_t salt, uint64_t position,
                            const struct store_batch *batch);
int log_record_append_mark(struct buf *to, uint64_t salt, uint64_t position);

/* Reads the record at the front. 0, or RK_CORRUPT when there is none. */
int log_record_read(struct bytes from, uint64_t salt, struct log_record *out);

/* The highest position that a mark anywhere in these bytes tells, 0 when there is no mark. */
uint64_t log_record_find_marks(struct bytes in, uint64_t salt);

#endif
