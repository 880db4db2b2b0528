/* Edge: files written so that a crash leaves the old or the new, never something between.
 *
 * Where RK_IO is returned, errno says why. RK_NOSPACE stands for ENOSPC and EDQUOT.
 */
#ifndef RINGKV_SHARED_FILE_H
#define RINGKV_SHARED_FILE_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stddef.h>

/* Writes path through path.tmp: write, fsync, rename, fsync of the folder. The file gets exactly
 * `mode` (which must let its owner write), whatever the umask. A symlink at path is refused (RK_IO,
 * errno ELOOP), and so is anything else that is not a regular file (EEXIST). Two writers of one
 * path exclude each other through a lock on path.tmp; a path.tmp that a crash left behind is taken
 * over. 0; RK_BUSY (somebody else is writing path just now), RK_NOSPACE, RK_NOMEM, RK_IO, all with
 * the old file in place. Except: when only the folder's fsync failed (RK_IO, RK_NOSPACE), the new
 * file is in place, but a power cut may bring the old one back. */
int file_replace(const char *path, struct bytes content, int mode);

/* Appends a whole regular file of at most `size_max` bytes to `out`; a symlink is followed. 0,
 * RK_NOTFOUND, RK_TOOBIG, RK_NOMEM, RK_IO, all with `out` as it was. */
int file_read(const char *path, size_t size_max, struct buf *out);

/* Whether every user of the machine may read a file. 0, RK_NOTFOUND or RK_IO. */
int file_open_to_all(const char *path, bool *open);

/* Makes a folder (parents must exist) unless it is there, and syncs its parent. 0, RK_NOSPACE,
 * RK_NOMEM or RK_IO (ENOTDIR: something else has the name). */
int file_make_folder(const char *path, int mode);

/* fsync of a folder, so that names made in it last. 0, RK_NOSPACE or RK_IO. */
int file_sync_folder(const char *path);

#endif
