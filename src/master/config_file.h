/* master/config_file.h: the configuration file as master reads it, at the start and at a reload. */
#pragma once

#include "base/buf.h"

#include "ipc/config.h"

/* The sound configuration, or NULL and lines "FILE:LINE: TEXT" in problems (whose ceiling may cut
 * them). */
struct config *config_file_read(const char *path, struct buf *problems);
