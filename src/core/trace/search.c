#include "core/trace/search.h"

#include <errno.h>

#include "base/mem.h"

#include "core/trace/index.h"

struct search {
    const struct trace_source *source;
    struct index_keys keys;
    const bool *whole;
    int64_t since_ms;
    char room[EVENT_FRAME_MAX]; /* a frame, and the slices of its event */
};

/* What one segment has. */
struct hits {
    struct segment segment;
    uint32_t *place;
    size_t count;
};

/* 0 also where the segment is not there any more, is damaged, or is all older: nothing is found
 * there. */
static int hits_open(struct hits *h, const struct search *s, uint64_t number, uint64_t after)
{
    const struct trace_source *from = s->source;
    struct sys_stat st;
    int rc;

    *h = (struct hits){0};
    rc = segment_open(&h->segment, from->sys, from->path, number, false);
    if (rc < 0) {
        h->segment.h = -1;
        return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
    }
    if (from->sys->fstat(from->sys, h->segment.h, &st) == 0 && st.mtime_ns / 1000000 < s->since_ms)
        return 0;
    return trace_index_find(&h->segment, from->path, &s->keys, after, &h->place, &h->count);
}

static void hits_close(struct hits *h)
{
    mem_free(h->place);
    if (h->segment.sys)
        segment_close(&h->segment);
}

static int fail(int rc, struct err *e)
{
    if (rc == -ENOMEM)
        return err_memory(e, "trace");
    return err_os(e, -rc, "trace", "cannot read the history");
}

/* ---- ids */

/* The place of a message among those found, or their count. */
static uint32_t place_of(const struct trace_ids *found, uint64_t id)
{
    for (uint32_t i = found->count; i > 0; i--)
        if (found->id[i - 1] == id)
            return i - 1;
    return found->count;
}

/* Newest first. True when there are enough. */
static bool take_ids(
    struct search *s, const struct hits *h, uint32_t limit, struct trace_ids *found)
{
    struct trace_event ev;

    for (size_t i = h->count; i > 0; i--) {
        uint32_t at;
        if (!segment_get(&h->segment, h->place[i - 1], s->room, &ev) || ev.when_ms < s->since_ms ||
            !event_names(&ev, s->keys.address))
            continue;
        if (ev.id == 0) {
            found->refused = true;
            continue;
        }
        at = place_of(found, ev.id);
        if (at == limit) {
            found->more = true;
            return true;
        }
        if (at == found->count)
            found->id[found->count++] = ev.id;
        found->sent[at] |= str_eq_ascii(ev.from, s->keys.address);
    }
    return false;
}

int trace_search_ids(const struct trace_source *source, struct arena *arena, struct str address,
    int64_t since_ms, uint32_t limit, struct trace_ids *found, struct err *e)
{
    uint32_t most = limit && limit < TRACE_IDS_MAX ? limit : TRACE_IDS_MAX;
    struct search *s = MEM_NEW(struct search);
    uint64_t *number = NULL;
    size_t count = 0;
    int rc = -ENOMEM;

    *found = (struct trace_ids){
        .id = arena_array(arena, most, sizeof *found->id),
        .sent = arena_array(arena, most, sizeof *found->sent),
    };
    if (s && found->id && found->sent)
        rc = segment_list(source->sys, source->path, &number, &count);
    if (rc == -ENOENT)
        rc = 0;
    if (rc == 0)
        *s = (struct search){.source = source, .keys.address = address, .since_ms = since_ms};
    for (bool enough = false; rc == 0 && count > 0 && !enough; count--) {
        struct hits h;
        rc = hits_open(&h, s, number[count - 1], 0);
        if (rc == 0)
            enough = take_ids(s, &h, most, found);
        hits_close(&h);
    }
    mem_free(number);
    mem_free(s);
    return rc < 0 ? fail(rc, e) : 0;
}

/* ---- events */

static bool is_wanted(const struct search *s, const struct trace_event *ev)
{
    bool concerns = s->keys.address.n && event_names(ev, s->keys.address);

    if (ev->when_ms < s->since_ms)
        return false;
    for (uint32_t i = 0; i < s->keys.ids && ev->id; i++)
        if (s->keys.id[i] == ev->id)
            return concerns || ev->to.n == 0 || !s->whole || s->whole[i];
    return concerns && ev->id == 0;
}

static bool copy(struct arena *arena, struct trace_event *ev)
{
    return arena_dup(arena, ev->from, &ev->from) && arena_dup(arena, ev->to, &ev->to) &&
           arena_dup(arena, ev->client, &ev->client) && arena_dup(arena, ev->helo, &ev->helo) &&
           arena_dup(arena, ev->protocol, &ev->protocol) && arena_dup(arena, ev->host, &ev->host) &&
           arena_dup(arena, ev->address, &ev->address) && arena_dup(arena, ev->text, &ev->text);
}

struct page {
    struct arena *arena;
    struct trace_query *query;
    struct trace_event *v;
    uint32_t count;
    bool full;
};

static int take_events(struct search *s, const struct hits *h, struct page *page)
{
    struct trace_event ev;

    for (size_t i = 0; i < h->count && !page->full; i++) {
        if (!segment_get(&h->segment, h->place[i], s->room, &ev) || !is_wanted(s, &ev))
            continue;
        if (page->count == page->query->limit || !copy(page->arena, &ev)) {
            page->full = true;
            return page->count ? 0 : -ENOMEM;
        }
        page->v[page->count++] = ev;
        page->query->after =
            (struct trace_place){.segment = h->segment.number, .offset = h->place[i]};
        page->query->place[page->count - 1] = page->query->after;
    }
    return 0;
}

static int search_all(struct search *s, struct page *page)
{
    const struct trace_place from = page->query->after;
    uint64_t *number = NULL;
    size_t count = 0;
    int rc = segment_list(s->source->sys, s->source->path, &number, &count);

    for (size_t i = 0; rc == 0 && i < count && !page->full; i++) {
        struct hits h;
        if (number[i] < from.segment)
            continue;
        rc = hits_open(&h, s, number[i], number[i] == from.segment ? from.offset : 0);
        if (rc == 0)
            rc = take_events(s, &h, page);
        hits_close(&h);
    }
    mem_free(number);
    return rc == -ENOENT ? 0 : rc;
}

int trace_search(const struct trace_source *source, struct arena *arena, struct trace_query *query,
    struct trace_event **found, uint32_t *count, struct err *e)
{
    struct search *s = MEM_NEW(struct search);
    struct page page = {.arena = arena, .query = query};
    int rc = -ENOMEM;

    page.v = arena_array(arena, query->limit, sizeof *page.v);
    query->place = arena_array(arena, query->limit, sizeof *query->place);
    if (s && page.v && query->place) {
        s->source = source;
        s->keys = (struct index_keys){query->id, query->ids, query->address};
        s->whole = query->whole;
        s->since_ms = query->since_ms;
        rc = search_all(s, &page);
    }
    mem_free(s);
    if (rc < 0)
        return fail(rc, e);
    query->done = !page.full;
    *found = page.v;
    *count = page.count;
    return 0;
}
