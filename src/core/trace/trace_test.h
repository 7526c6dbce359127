/* core/trace/trace_test.h: a directory for the history, on the real disk, for *_test.c. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/temp_dir.h"

#include "run/run_test.h"

#include "core/trace/append.h"
#include "core/trace/index.h"
#include "core/trace/search.h"

static char trace_dir[512];
static struct sys trace_sys; /* a copy of the real one, whose clock and calls tests may replace */

static inline int trace_test_setup(void **state)
{
    (void)state;
    trace_sys = sys_real;
    return temp_dir_make(trace_dir, sizeof trace_dir, NULL, "trace");
}

static inline int trace_test_teardown(void **state)
{
    (void)state;
    return temp_dir_remove(trace_dir);
}

/* How many files end so. */
static inline unsigned trace_files(const char *suffix)
{
    DIR *dir = opendir(trace_dir);
    struct dirent *entry;
    unsigned n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        n += str_ends(str_c(entry->d_name), str_c(suffix));
    closedir(dir);
    return n;
}

/* As the loop hands them over: length and event. */
static inline void trace_test_put(struct buf *events, const struct trace_event *ev)
{
    size_t before = buf_len(events), n;

    assert_int_equal(buf_put(events, STR("  ")), 0);
    assert_int_equal(event_encode(ev, 1000, events), 0);
    n = buf_len(events) - before - 2;
    events->p[events->start + before] = (char)n;
    events->p[events->start + before + 1] = (char)(n >> 8);
}

/* The life of message `id` from a@x.example to bN@y.example in four events, N = id % 10. */
static inline void trace_test_life(struct buf *events, uint64_t id)
{
    char to[32];

    snprintf(to, sizeof to, "b%u@y.example", (unsigned)(id % 10));
    trace_test_put(events, &(struct trace_event){.kind = TRACE_RECEIVED,
                               .id = id,
                               .from = STR("a@x.example"),
                               .has_from = true,
                               .client = STR("192.0.2.1"),
                               .size = 100});
    trace_test_put(events, &(struct trace_event){.kind = TRACE_QUEUED, .id = id, .to = str_c(to)});
    trace_test_put(events, &(struct trace_event){.kind = TRACE_DEFERRED,
                               .id = id,
                               .to = str_c(to),
                               .code = 450,
                               .status = {4, 2, 0},
                               .text = STR("later")});
    trace_test_put(events, &(struct trace_event){.kind = TRACE_RELAYED, .id = id, .to = str_c(to)});
}

static inline void trace_test_append(struct append *a, uint64_t first, uint64_t last)
{
    struct buf events;

    buf_init(&events, 64 << 20);
    for (uint64_t id = first; id <= last; id++)
        trace_test_life(&events, id);
    append_events(a, buf_str(&events));
    buf_done(&events);
}

static inline void trace_test_begin(struct append *a, uint64_t segment_max)
{
    append_init(a, &trace_sys, trace_dir);
    a->segment_max = segment_max;
    a->segment_ms = INT64_MAX;
}

/* How many events a search for this message gives. */
static inline uint32_t trace_test_count(uint64_t id)
{
    const struct trace_source source = {&trace_sys, trace_dir};
    struct trace_query query = {.id = &id, .ids = 1, .limit = 1000};
    struct trace_event *found;
    struct arena arena;
    uint32_t count;

    arena_init(&arena, 4 << 20);
    assert_int_equal(trace_search(&source, &arena, &query, &found, &count, NULL), 0);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(found[i].id, id);
    arena_done(&arena);
    return count;
}
