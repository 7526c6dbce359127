/* core/trace/search.h: the searches of trace.h on a directory, also one that no server writes.
 *
 * Blocks; from any thread. A segment that goes away meanwhile, or is damaged, has nothing to say.
 */
#pragma once

#include "core/trace/trace.h"

struct trace_source {
    const struct sys *sys;
    const char *path;
};

int trace_search_ids(const struct trace_source *source, struct arena *arena, struct str address,
    int64_t since_ms, uint32_t limit, struct trace_ids *found, struct err *e);
int trace_search(const struct trace_source *source, struct arena *arena, struct trace_query *query,
    struct trace_event **found, uint32_t *count, struct err *e);
