#include "base/mem.h"

#include "core/trace/append.h"
#include "core/trace/index.h"

struct kept {
    uint64_t octets;
    int64_t last_ms; /* when something was written to it last */
};

static struct kept measure(const struct keep *k, uint64_t number)
{
    char path[TRACE_PATH_MAX];
    struct kept kept = {0};
    struct sys_stat st;

    segment_path(path, k->dir, number, SEGMENT_EVENTS);
    if (k->sys->stat(k->sys, path, &st) == 0) {
        kept.octets = st.size;
        kept.last_ms = st.mtime_ns / 1000000;
    }
    segment_path(path, k->dir, number, SEGMENT_INDEX);
    if (k->sys->stat(k->sys, path, &st) == 0)
        kept.octets += st.size;
    return kept;
}

/* The index goes first: it must not be left behind alone. */
static bool forget(const struct keep *k, uint64_t number)
{
    char path[TRACE_PATH_MAX];

    segment_path(path, k->dir, number, SEGMENT_NEW);
    k->sys->unlink(k->sys, path);
    segment_path(path, k->dir, number, SEGMENT_INDEX);
    k->sys->unlink(k->sys, path);
    segment_path(path, k->dir, number, SEGMENT_EVENTS);
    return k->sys->unlink(k->sys, path) == 0;
}

static void index_one(struct keep *k, uint64_t number)
{
    uint64_t damaged = 0;
    struct segment s;

    if (trace_index_is_there(k->sys, k->dir, number))
        return;
    if (segment_open(&s, k->sys, k->dir, number, false) < 0)
        return;
    trace_index_build(&s, k->dir, &damaged);
    k->damaged += damaged;
    segment_close(&s);
}

void keep_in_order(struct keep *k)
{
    int64_t oldest = k->sys->wall_ns(k->sys) / 1000000 - (int64_t)k->keep_ms;
    uint64_t *number = NULL;
    size_t count = 0;

    k->segments = k->octets = 0;
    if (segment_list(k->sys, k->dir, &number, &count) < 0)
        return;
    /* From the newest back: what is beyond the size, or the age, and all before it, goes. */
    for (bool gone = false; count > 0; count--) {
        uint64_t n = number[count - 1];
        struct kept kept;
        if (n < k->writing && !gone)
            index_one(k, n);
        kept = measure(k, n);
        gone |= n < k->writing && (k->octets + kept.octets > k->size || kept.last_ms < oldest);
        if (gone && forget(k, n))
            continue;
        k->octets += kept.octets;
        k->segments++;
    }
    mem_free(number);
}
