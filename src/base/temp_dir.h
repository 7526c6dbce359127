/* base/temp_dir.h: a directory of one's own for a short while, by tests and the demonstration.
 *
 * Blocks. Who has made one removes it.
 */
#pragma once

#include <stddef.h>

/* Makes PARENT/veredus-NAME-XXXXXX, mode 0700, and writes its path; no parent: $TMPDIR, else /tmp.
 * -1 with errno, ENAMETOOLONG too. */
int temp_dir_make(char *path, size_t size, const char *parent, const char *name);

/* Removes it with all that it holds; follows no link. -1 with errno. */
int temp_dir_remove(const char *path);
