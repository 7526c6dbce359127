#include "core/control/queue_json.h"

#include "base/utf8.h"

#include "ipc/inbound_core.h"

#include "core/control/mail_json.h"
#include "core/control/op.h"

enum {
    TEXT_MAX = 1024, /* octets */
};

static json_t *text(struct str s)
{
    return op_json_or_null(utf8_head(s, TEXT_MAX));
}

static json_t *last_json(const struct queue_rcpt *r)
{
    if (!r->last.time_ms && !r->last.code && !r->last.text.n)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "time", op_json_time(r->last.time_ms), "host",
        text(r->last.host), "code", op_json_code(r->last.code), "enhanced",
        op_json_enhanced(r->last.enhanced), "text", text(r->last.text));
}

static json_t *rcpt_json(const struct queue_rcpt *r)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:i, s:o, s:o, s:o}", "address",
        op_json_str(utf8_head(r->address, TEXT_MAX)), "state", queue_rcpt_state_name(r->state),
        "route", text(r->route), "site", text(r->site), "attempts", (int)r->attempts, "next",
        op_json_time(r->next_ms), "last", last_json(r), "why", text(r->why));
}

json_t *queue_json(const struct queue_detail *d)
{
    json_t *rcpts = json_array();
    char id[IC_ID_CHARS + 1];
    size_t size = 0;

    ic_id_format(d->row.id, id);
    for (uint32_t i = 0; i < d->rcpts && size < QUEUE_JSON_MAX; i++) {
        json_t *rcpt = rcpt_json(&d->rcpt[i]);
        size += mail_json_size(rcpt);
        json_array_append_new(rcpts, rcpt);
    }
    return json_pack("{s:s, s:o, s:I, s:o, s:s, s:o, s:I, s:I}", "id", id, "from",
        op_json_str(utf8_head(d->from, TEXT_MAX)), "size", (json_int_t)d->row.size, "arrived",
        op_json_time(d->row.arrived_ms), "state", queue_state_name(d->row.state), "recipients",
        rcpts, "recipient_count", (json_int_t)d->row.rcpts, "left", (json_int_t)d->row.left);
}

json_t *queue_json_stats(const struct queue_stats *s)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"messages", s->messages},
        {"queued", s->waiting},
        {"active", s->active},
        {"deferred", s->deferred},
        {"held", s->held},
        {"unread", s->unread},
        {"delivered", s->delivered},
        {"duplicates", s->duplicates},
        {"relayed", s->relayed},
        {"failures", s->failures},
        {"failed", s->failed},
        {"expired", s->expired},
        {"discarded", s->discarded},
        {"removed", s->removed},
        {"unknown", s->unknown},
        {"connections", s->connections},
        {"sites", s->sites},
        {"sites_in_back_off", s->sites_in_back_off},
        {"destinations", s->destinations},
        {"memory", s->memory},
    };
    json_t *json = json_object();

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_object_set_new(json, rows[i].name, json_integer((json_int_t)rows[i].value));
    return json;
}

json_t *queue_json_site(const struct queue_site *s)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:I}", "site", text(s->name), "queued",
        (json_int_t)s->queued, "connections", (json_int_t)s->connections, "limit",
        (json_int_t)s->limit, "back_off", (json_int_t)(s->back_off_ms + 999) / 1000, "error",
        text(s->error), "error_time", op_json_time(s->error_ms), "delivered",
        (json_int_t)s->delivered);
}
