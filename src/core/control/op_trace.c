/* trace.find and trace.events: the history of messages. */
#include <stdio.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "base/units.h"
#include "base/utf8.h"

#include "ipc/control.h"
#include "ipc/inbound_core.h"

#include "core/control/mail_json.h"
#include "core/control/op.h"
#include "core/core.h"
#include "core/trace/search.h"

enum {
    ARENA_MAX = 8 << 20,
    PAGE_EVENTS = 200,
    PAGE_FULL = CONTROL_PAGE / 3,
    NAME_SHOWN = 512, /* octets */
    PATH_SIZE = 1100,
    MESSAGES_SHOWN = 100, /* where nothing else is said */
};

/* Without a server: the same on the directory, in a thread of the pool. */
struct offline_find {
    struct trace_source source;
    char path[PATH_SIZE];
    struct arena *arena;
    struct str address;
    int64_t since_ms;
    uint32_t limit;
    struct trace_ids ids;
    struct trace_query query;
    struct trace_event *found;
    uint32_t count;
    int status;
    struct err e;
};

static void ids_job(void *arg)
{
    struct offline_find *f = arg;

    f->status =
        trace_search_ids(&f->source, f->arena, f->address, f->since_ms, f->limit, &f->ids, &f->e);
}

static void events_job(void *arg)
{
    struct offline_find *f = arg;

    f->status = trace_search(&f->source, f->arena, &f->query, &f->found, &f->count, &f->e);
}

static struct offline_find *offline_new(const struct control *c, struct arena *arena)
{
    struct offline_find *f = MEM_NEW(struct offline_find);

    if (!f)
        return NULL;
    snprintf(f->path, sizeof f->path, "%.*s/trace", STR_ARG(c->config->data));
    f->source = (struct trace_source){&sys_real, f->path};
    f->arena = arena;
    return f;
}

static int offline_run(
    struct control *c, struct offline_find *f, void (*job)(void *arg), struct err *e)
{
    if (pool_run(c->hashing, job, f, e) < 0)
        return -1;
    if (f->status < 0)
        *e = f->e;
    return f->status;
}

static int find_ids(struct control *c, struct arena *arena, struct str address, int64_t since_ms,
    uint32_t limit, struct trace_ids *ids, struct err *e)
{
    struct offline_find *f;
    int status;

    if (c->core)
        return trace_find_ids(c->core->trace, arena, address, since_ms, limit, ids, e);
    f = offline_new(c, arena);
    if (!f)
        return err_memory(e, "control");
    f->address = address;
    f->since_ms = since_ms;
    f->limit = limit;
    status = offline_run(c, f, ids_job, e);
    *ids = f->ids;
    mem_free(f);
    return status;
}

static int find_events(struct control *c, struct arena *arena, struct trace_query *query,
    struct trace_event **found, uint32_t *count, struct err *e)
{
    struct offline_find *f;
    int status;

    if (c->core)
        return trace_find(c->core->trace, arena, query, found, count, e);
    f = offline_new(c, arena);
    if (!f)
        return err_memory(e, "control");
    f->query = *query;
    status = offline_run(c, f, events_job, e);
    *query = f->query;
    *found = f->found;
    *count = f->count;
    mem_free(f);
    return status;
}

/* "since": a time as RFC 3339, or how long ago. */
static int take_since(const json_t *request, int64_t *since_ms, struct err *e)
{
    struct str text;
    uint64_t ago;

    *since_ms = 0;
    if (op_str_optional(request, "since", &text, e) < 0)
        return -1;
    if (text.n == 0 || time_parse_rfc3339(text, since_ms))
        return 0;
    if (!units_parse_time(text, &ago) || ago > INT64_MAX / 2)
        return err_set(e, ERR_PERMANENT, "control",
            "since: neither a time such as 2026-11-22T04:00:00Z nor how long ago, such as 4h");
    *since_ms = wall_ms() - (int64_t)ago;
    return 0;
}

/* ---- trace.find: {ids: [{id, sent}], more, refused} */

static json_t *ids_json(const struct trace_ids *ids)
{
    json_t *list = json_array();
    char id[IC_ID_CHARS + 1];

    for (uint32_t i = 0; i < ids->count; i++) {
        ic_id_format(ids->id[i], id);
        json_array_append_new(list, json_pack("{s:s, s:b}", "id", id, "sent", ids->sent[i]));
    }
    return json_pack("{s:o, s:b, s:b}", "ids", list, "more", ids->more, "refused", ids->refused);
}

int op_trace_find(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct trace_ids ids;
    struct arena arena;
    struct str address;
    uint64_t limit;
    int64_t since;
    int status;

    if (op_str(request, "address", &address, e) < 0 ||
        op_u64_optional(request, "limit", &limit, e) < 0 || take_since(request, &since, e) < 0)
        return -1;
    if (limit == 0)
        limit = MESSAGES_SHOWN;
    if (limit > TRACE_IDS_MAX)
        return err_set(e, ERR_PERMANENT, "control", "limit: at most %u messages", TRACE_IDS_MAX);
    arena_init(&arena, ARENA_MAX);
    status = find_ids(c, &arena, address, since, (uint32_t)limit, &ids, e);
    if (status == 0)
        result->json = ids_json(&ids);
    arena_done(&arena);
    return status;
}

/* ---- trace.events */

static json_t *text(struct str s, size_t max)
{
    return op_json_or_null(utf8_head(s, max));
}

static json_t *number(uint64_t value)
{
    return value ? json_integer((json_int_t)value) : json_null();
}

static json_t *message_id(uint64_t value)
{
    char id[IC_ID_CHARS + 1];

    if (!value)
        return json_null();
    ic_id_format(value, id);
    return json_string(id);
}

static json_t *event_json(const struct trace_event *ev)
{
    json_t *json = json_pack("{s:o, s:o, s:s}", "time", op_json_time(ev->when_ms), "id",
        message_id(ev->id), "event", trace_kind_name(ev->kind));

    if (!json)
        return NULL;
    json_object_set_new(
        json, "from", ev->has_from ? op_json_str(utf8_head(ev->from, NAME_SHOWN)) : json_null());
    json_object_set_new(json, "to", text(ev->to, NAME_SHOWN));
    json_object_set_new(json, "client", text(ev->client, NAME_SHOWN));
    json_object_set_new(json, "helo", text(ev->helo, NAME_SHOWN));
    json_object_set_new(json, "protocol", text(ev->protocol, NAME_SHOWN));
    json_object_set_new(json, "size", number(ev->size));
    json_object_set_new(json, "count", number(ev->count));
    json_object_set_new(json, "attempt", number(ev->attempt));
    json_object_set_new(json, "host", text(ev->host, NAME_SHOWN));
    json_object_set_new(json, "address", text(ev->address, NAME_SHOWN));
    json_object_set_new(json, "code", number(ev->code));
    json_object_set_new(json, "enhanced", op_json_enhanced(ev->status));
    json_object_set_new(json, "text", text(ev->text, TRACE_TEXT_MAX));
    json_object_set_new(json, "until", op_json_time(ev->until_ms));
    json_object_set_new(json, "other", message_id(ev->other));
    return json;
}

struct asked {
    struct arena arena;
    struct trace_query query;
};

static int take_id(struct str text, uint64_t *id, struct err *e)
{
    if (ic_id_parse(text, id))
        return 0;
    return err_set(e, ERR_PERMANENT, "control", "%.*s: not a message id", STR_ARG(text));
}

/* "ids": all of these messages; "part": only what concerns the address. */
static int take_ids(struct asked *a, const json_t *request, struct err *e)
{
    struct str *whole, *part;
    uint32_t wholes, parts;
    uint64_t *id;
    bool *all;

    if (op_strs(&a->arena, request, "ids", &whole, &wholes, TRACE_IDS_MAX, e) < 0 ||
        op_strs(&a->arena, request, "part", &part, &parts, TRACE_IDS_MAX, e) < 0)
        return -1;
    id = arena_array(&a->arena, wholes + parts + 1, sizeof *id);
    all = arena_array(&a->arena, wholes + parts + 1, sizeof *all);
    if (!id || !all)
        return err_memory(e, "control");
    for (uint32_t i = 0; i < wholes + parts; i++) {
        all[i] = i < wholes;
        if (take_id(all[i] ? whole[i] : part[i - wholes], &id[i], e) < 0)
            return -1;
    }
    a->query.id = id;
    a->query.whole = all;
    a->query.ids = wholes + parts;
    return 0;
}

/* "SEGMENT:OFFSET" */
static int take_after(struct asked *a, const json_t *request, struct err *e)
{
    struct trace_place *after = &a->query.after;
    struct str text, head;

    if (op_str_optional(request, "after", &text, e) < 0)
        return -1;
    if (text.n == 0)
        return 0;
    if (str_cut(&text, ':', &head) && str_to_u64(head, UINT64_MAX, &after->segment) &&
        str_to_u64(text, UINT64_MAX, &after->offset))
        return 0;
    return err_set(e, ERR_PERMANENT, "control", "after: not a place in a list");
}

/* What does not fit comes with the next page. */
static json_t *page_json(const struct trace_event *found, uint32_t count, struct trace_query *query)
{
    json_t *items = json_array();
    char after[48];
    size_t size = 0;
    uint32_t i = 0;

    while (i < count && size < PAGE_FULL) {
        json_t *json = event_json(&found[i++]);
        size += mail_json_size(json);
        json_array_append_new(items, json);
    }
    if (i < count) {
        query->after = query->place[i - 1];
        query->done = false;
    }
    snprintf(after, sizeof after, "%llu:%llu", (unsigned long long)query->after.segment,
        (unsigned long long)query->after.offset);
    return op_page(items, query->done ? STR_NONE : str_c(after));
}

int op_trace_events(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct asked a = {.query.limit = PAGE_EVENTS};
    struct trace_event *found;
    uint32_t count;
    int status = -1;

    arena_init(&a.arena, ARENA_MAX);
    if (op_str_optional(request, "address", &a.query.address, e) == 0 &&
        take_ids(&a, request, e) == 0 && take_after(&a, request, e) == 0 &&
        take_since(request, &a.query.since_ms, e) == 0)
        status = find_events(c, &a.arena, &a.query, &found, &count, e);
    if (status == 0)
        result->json = page_json(found, count, &a.query);
    arena_done(&a.arena);
    return status;
}
