#include "core/control/control.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"

#include "ipc/control.h"

#include "core/control/op.h"

enum {
    TEXT_MAX = 1 << 20,
    DEPTH_MAX = 4, /* a request is flat but for lists; the JSON reader is recursive */
};

struct op {
    const char *name;
    op_fn *fn;
    bool needs_server;
};

static const struct op ops[] = {
    {"account.add", op_account_add, false},
    {"account.disable", op_account_disable, false},
    {"account.enable", op_account_enable, false},
    {"account.list", op_account_list, false},
    {"account.passwd", op_account_passwd, false},
    {"account.remove", op_account_remove, false},
    {"account.show", op_account_show, false},
    {"alias.add", op_alias_add, false},
    {"alias.import", op_alias_import, false},
    {"alias.list", op_alias_list, false},
    {"alias.remove", op_alias_remove, false},
    {"domain.add", op_domain_add, false},
    {"domain.disable", op_domain_disable, false},
    {"domain.enable", op_domain_enable, false},
    {"domain.list", op_domain_list, false},
    {"domain.recipients", op_recipients_list, false},
    {"domain.recipients.add", op_recipients_add, false},
    {"domain.recipients.remove", op_recipients_remove, false},
    {"domain.remove", op_domain_remove, false},
    {"domain.set", op_domain_set, false},
    {"domain.show", op_domain_show, false},
    {"mail.find", op_mail_find, false},
    {"mail.list", op_mail_list, false},
    {"mail.raw", op_mail_raw, false},
    {"queue.hold", op_queue_hold, true},
    {"queue.idle", op_queue_idle, true},
    {"queue.list", op_queue_list, true},
    {"queue.release", op_queue_release, true},
    {"queue.remove", op_queue_remove, true},
    {"queue.retry", op_queue_retry, true},
    {"queue.rules", op_queue_rules, true},
    {"queue.show", op_queue_show, true},
    {"queue.stats", op_queue_stats, true},
    {"reload", op_reload, true},
    {"spool.quarantine", op_spool_quarantine, false},
    {"spool.quarantine.release", op_spool_quarantine_release, true},
    {"spool.quarantine.remove", op_spool_quarantine_remove, false},
    {"spool.quarantine.show", op_spool_quarantine_show, false},
    {"spool.repair", op_spool_repair, false},
    {"spool.verify", op_spool_verify, false},
    {"status", op_status, true},
    {"stop", op_stop, true},
    {"trace.events", op_trace_events, false},
    {"trace.find", op_trace_find, false},
};

int op_str_optional(const json_t *request, const char *member, struct str *value, struct err *e)
{
    const json_t *v = json_object_get(request, member);

    *value = STR_NONE;
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_string(v))
        return err_set(e, ERR_PERMANENT, "control", "%s: not a string", member);
    *value = str_of(json_string_value(v), json_string_length(v));
    return 0;
}

int op_str(const json_t *request, const char *member, struct str *value, struct err *e)
{
    if (op_str_optional(request, member, value, e) < 0)
        return -1;
    if (value->n == 0)
        return err_set(e, ERR_PERMANENT, "control", "%s: missing", member);
    return 0;
}

int op_u64_optional(const json_t *request, const char *member, uint64_t *value, struct err *e)
{
    const json_t *v = json_object_get(request, member);

    *value = 0;
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return err_set(e, ERR_PERMANENT, "control", "%s: not a number", member);
    *value = (uint64_t)json_integer_value(v);
    return 0;
}

bool op_flag(const json_t *request, const char *member)
{
    return json_is_true(json_object_get(request, member));
}

int op_strs(struct arena *a, const json_t *request, const char *member, struct str **values,
    uint32_t *count, uint32_t max, struct err *e)
{
    const json_t *list = json_object_get(request, member), *v;
    size_t i;

    *count = 0;
    *values = NULL;
    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) > max)
        return err_set(e, ERR_PERMANENT, "control", "%s: not a list of at most %u", member, max);
    *values = arena_array(a, json_array_size(list) + 1, sizeof **values);
    if (!*values)
        return err_memory(e, "control");
    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v))
            return err_set(e, ERR_PERMANENT, "control", "%s: not a list of strings", member);
        (*values)[(*count)++] = str_of(json_string_value(v), json_string_length(v));
    }
    return 0;
}

json_t *op_json_str(struct str s)
{
    json_t *value = json_stringn(s.p ? s.p : "", s.n);
    struct buf clean;
    char octets[4];

    if (value)
        return value;
    buf_init(&clean, TEXT_MAX);
    while (s.n) {
        uint32_t point = utf8_next(&s);
        buf_put(
            &clean, str_of(octets, utf8_encode(point == UTF8_INVALID ? 0xfffd : point, octets)));
    }
    value = json_stringn(buf_str(&clean).p, buf_len(&clean));
    buf_done(&clean);
    return value;
}

json_t *op_json_or_null(struct str s)
{
    return s.n ? op_json_str(s) : json_null();
}

json_t *op_json_time(int64_t ms)
{
    char text[TIME_RFC3339_SIZE];

    return ms ? op_json_str(time_rfc3339(ms, text)) : json_null();
}

json_t *op_json_enhanced(struct err_status s)
{
    char out[32];

    if (s.class == 0)
        return json_null();
    snprintf(out, sizeof out, "%u.%u.%u", s.class, s.subject, s.detail);
    return op_json_str(str_c(out));
}

json_t *op_json_code(uint16_t code)
{
    return code ? json_integer(code) : json_null();
}

json_t *op_page(json_t *items, struct str next)
{
    return json_pack("{s:o, s:o}", "items", items, "next", op_json_or_null(next));
}

static const struct op *find(struct str name)
{
    size_t low = 0, high = sizeof ops / sizeof *ops;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(name, str_c(ops[middle].name));
        if (order == 0)
            return &ops[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool is_flat(struct str text)
{
    bool quoted = false;
    int depth = 0;

    for (size_t i = 0; i < text.n && depth <= DEPTH_MAX; i++) {
        char c = text.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']'))
            depth--;
    }
    return depth <= DEPTH_MAX;
}

static int execute(struct control *c, struct str text, struct op_result *result, struct err *e)
{
    json_t *request =
        is_flat(text) ? json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const struct op *op = NULL;
    struct str name;
    int status = -1;

    if (!json_is_object(request))
        err_set(e, ERR_PERMANENT, "control", "a request that is no flat JSON object");
    else if (op_str(request, "op", &name, e) == 0 && !(op = find(name)))
        err_set(e, ERR_PERMANENT, "control", "op: unknown operation");
    else if (op && op->needs_server && !c->core)
        err_set(e, ERR_PERMANENT, "control", "no server is running");
    else if (op)
        status = op->fn(c, request, result, e);
    json_decref(request);
    return status;
}

static int put_json(struct buf *reply, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    int status = text ? buf_put(reply, str_c(text)) : -1;

    mem_free(text);
    return status;
}

void control_execute(struct control *c, struct str request, struct buf *reply)
{
    struct op_result result = {.raw = reply};
    struct err e;

    buf_put_c(reply, CONTROL_DONE);
    if (execute(c, request, &result, &e) == 0) {
        if (!result.json && !result.used_raw)
            result.json = json_null();
        if (buf_ok(reply) && (!result.json || put_json(reply, result.json) == 0)) {
            json_decref(result.json);
            return;
        }
        err_set(&e, ERR_TEMPORARY, "control", "the answer is too large");
    }
    json_decref(result.json);
    buf_clear(reply);
    buf_put_c(reply, e.class == ERR_PERMANENT ? CONTROL_REFUSED : CONTROL_LATER);
    buf_put(reply, str_c(e.text));
}
