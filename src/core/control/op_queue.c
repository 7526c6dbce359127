/* queue.list, queue.show, queue.stats, queue.idle, and what an operator does with messages. */
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/units.h"

#include "ipc/control.h"
#include "ipc/inbound_core.h"

#include "core/control/mail_json.h"
#include "core/control/op.h"
#include "core/control/queue_json.h"
#include "core/core.h"
#include "core/queue/holds.h"
#include "core/queue/pattern.h"
#include "core/queue/queue.h"

enum {
    ARENA_MAX = 64 << 20,
    PAGE_ROWS = 100,
    PAGE_FULL = CONTROL_PAGE / 3, /* a message more may follow */
    RECIPIENTS_LISTED = 50,       /* recipient_count says how many there are */
    RECIPIENTS_SHOWN = 1000,      /* at most; octets are the closer limit */
    IDS_MAX = 8192,
    SITES_SHOWN = 50,
    MISSING_MAX = 1000,
};

int op_queue_idle(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)request;
    (void)result;
    return queue_wait_idle(c->core->queue, e);
}

/* ---- what an operator means */

/* A request's filter: parsed, in an arena of its own. */
struct chosen {
    struct arena arena;
    struct queue_filter filter;
    json_t *missing; /* ids that are not in the queue */
    bool any;        /* something was said at all */
};

static int take_ids(struct control *c, struct chosen *ch, const json_t *request, struct err *e)
{
    struct spool_found found;
    struct str *text;
    uint64_t *id;
    uint32_t count;

    if (op_strs(&ch->arena, request, "ids", &text, &count, IDS_MAX, e) < 0)
        return -1;
    id = arena_array(&ch->arena, count + 1, sizeof *id);
    if (!id)
        return err_memory(e, "control");
    for (uint32_t i = 0; i < count; i++) {
        if (ic_id_parse(text[i], &id[ch->filter.ids]) &&
            spool_find(c->core->spool, id[ch->filter.ids], &found))
            ch->filter.ids++;
        else if (json_array_size(ch->missing) < MISSING_MAX)
            json_array_append_new(ch->missing, op_json_str(text[i]));
    }
    ch->any |= count > 0;
    if (count)
        ch->filter.id = id;
    return 0;
}

static int take_pattern(struct chosen *ch, const json_t *request, const char *member,
    struct str *pattern, struct err *e)
{
    const char *problem;

    if (op_str_optional(request, member, pattern, e) < 0)
        return -1;
    problem = pattern->n ? pattern_problem(*pattern) : NULL;
    if (problem)
        return err_set(e, ERR_PERMANENT, "control", "%s: a pattern that %s", member, problem);
    ch->any |= pattern->n > 0;
    return 0;
}

static int take_state(struct chosen *ch, struct str text, struct err *e)
{
    for (int i = 0; text.n && i < QUEUE_STATES; i++)
        if (str_eq(text, str_c(queue_state_name((enum queue_state)i)))) {
            ch->filter.has_state = ch->any = true;
            ch->filter.state = (enum queue_state)i;
        }
    if (text.n && !ch->filter.has_state)
        return err_set(e, ERR_PERMANENT, "control", "status: queued, active, deferred or held");
    return 0;
}

static int take_age(struct chosen *ch, struct str text, struct err *e)
{
    if (text.n && !units_parse_time(text, &ch->filter.older_ms))
        return err_set(e, ERR_PERMANENT, "control", "older: not a time such as 90s, 15m, 4h or 5d");
    ch->any |= text.n > 0;
    return 0;
}

static int choose(struct control *c, struct chosen *ch, const json_t *request, struct err *e)
{
    struct str older, state;

    *ch = (struct chosen){.missing = json_array()};
    arena_init(&ch->arena, ARENA_MAX);
    if (take_ids(c, ch, request, e) < 0 || take_pattern(ch, request, "to", &ch->filter.to, e) < 0 ||
        take_pattern(ch, request, "from", &ch->filter.from, e) < 0 ||
        take_pattern(ch, request, "site", &ch->filter.site, e) < 0 ||
        op_str_optional(request, "older", &older, e) < 0 ||
        op_str_optional(request, "status", &state, e) < 0)
        return -1;
    return take_age(ch, older, e) < 0 ? -1 : take_state(ch, state, e);
}

static void chosen_done(struct chosen *ch)
{
    arena_done(&ch->arena);
    json_decref(ch->missing);
}

/* Of the ids that were named none is there: then nothing is meant, rather than anything. */
static bool is_nothing(const struct chosen *ch)
{
    return ch->filter.id && ch->filter.ids == 0;
}

/* ---- lists */

/* NULL where the message has gone meanwhile, or is damaged: then the spool has said so. */
static json_t *read_message(struct control *c, uint64_t id, uint32_t limit, struct err *e)
{
    struct queue_detail detail;
    struct arena arena;
    json_t *json = NULL;

    arena_init(&arena, ARENA_MAX);
    if (queue_show(c->core->queue, &arena, id, limit, &detail, e) == 0)
        json = queue_json(&detail);
    arena_done(&arena);
    return json;
}

/* Rows are copied before anything suspends: messages end while their neighbours are read. */
static int list_page(struct control *c, const struct chosen *ch, uint64_t *after, json_t *items,
    struct queue_row *row, struct err *e)
{
    uint32_t count = 0, i = 0;
    size_t size = 0;

    if (is_nothing(ch)) {
        *after = 0;
        return 0;
    }
    if (queue_list(c->core->queue, after, &ch->filter, row, PAGE_ROWS, &count, e) < 0)
        return -1;
    while (i < count && size < PAGE_FULL) {
        json_t *json = read_message(c, row[i++].id, RECIPIENTS_LISTED, NULL);
        if (!json)
            continue;
        size += mail_json_size(json);
        json_array_append_new(items, json);
    }
    if (i < count)
        *after = row[i - 1].number;
    return 0;
}

static int parse_after(const json_t *request, uint64_t *after, struct err *e)
{
    struct str text;

    *after = 0;
    if (op_str_optional(request, "after", &text, e) < 0)
        return -1;
    if (text.n && !str_to_u64(text, UINT64_MAX, after))
        return err_set(e, ERR_PERMANENT, "control", "after: not a place in a list");
    return 0;
}

int op_queue_list(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct queue_row *row = mem_array(PAGE_ROWS, sizeof *row);
    json_t *items = json_array();
    struct chosen ch;
    char number[24];
    uint64_t after;
    int status = choose(c, &ch, request, e);

    if (status == 0)
        status = parse_after(request, &after, e);
    if (status == 0 && !row)
        status = err_memory(e, "control");
    if (status == 0)
        status = list_page(c, &ch, &after, items, row, e);
    if (status == 0) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)after);
        result->json = op_page(json_incref(items), after ? str_c(number) : STR_NONE);
        json_object_set(result->json, "missing", ch.missing);
    }
    json_decref(items);
    chosen_done(&ch);
    mem_free(row);
    return status;
}

int op_queue_show(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct str text;
    uint64_t id;

    if (op_str(request, "id", &text, e) < 0)
        return -1;
    if (!ic_id_parse(text, &id))
        return err_set(e, ERR_PERMANENT, "control", "%.*s: not a message id", STR_ARG(text));
    result->json = read_message(c, id, RECIPIENTS_SHOWN, e);
    return result->json ? 0 : -1;
}

static json_t *rule_json(const struct hold_rule *r)
{
    return json_pack("{s:o, s:o, s:o}", "to", op_json_or_null(r->to), "from",
        op_json_or_null(r->from), "since", op_json_time(r->since_ms));
}

/* The rules of queue.hold, in pages. */
int op_queue_rules(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    const struct holds *holds = c->core->holds;
    json_t *items = json_array();
    char number[24];
    uint64_t at;
    size_t size = 0;

    if (parse_after(request, &at, e) < 0) {
        json_decref(items);
        return -1;
    }
    while (at < holds_count(holds) && size < PAGE_FULL) {
        json_t *rule = rule_json(holds_get(holds, (uint32_t)at++));
        size += mail_json_size(rule);
        json_array_append_new(items, rule);
    }
    snprintf(number, sizeof number, "%llu", (unsigned long long)at);
    result->json = op_page(items, at < holds_count(holds) ? str_c(number) : STR_NONE);
    return 0;
}

json_t *op_json_sites(struct core *core, uint32_t limit)
{
    json_t *sites = json_array();
    struct queue_site *site;
    struct arena arena;
    uint32_t count = 0;

    arena_init(&arena, ARENA_MAX);
    if (queue_sites(core->queue, &arena, limit, &site, &count, NULL) < 0)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(sites, queue_json_site(&site[i]));
    arena_done(&arena);
    return sites;
}

int op_queue_stats(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct queue_stats stats;

    (void)request;
    queue_stats(c->core->queue, &stats);
    result->json = queue_json_stats(&stats);
    json_object_set_new(result->json, "rules", json_integer(holds_count(c->core->holds)));
    json_object_set_new(result->json, "busiest", op_json_sites(c->core, SITES_SHOWN));
    return result->json ? 0 : err_memory(e, "control");
}

/* ---- acts */

typedef int act_fn(
    struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e);

static const char nothing_chosen[] =
    "which messages? Name IDs, or --to, --from, --site, --older, --status";

/* {messages, missing}. Retrying alone may be meant for all. */
static int act(
    struct control *c, struct chosen *ch, act_fn *fn, struct op_result *result, struct err *e)
{
    uint64_t count = 0;

    if (!is_nothing(ch) && fn(c->core->queue, &ch->filter, &count, e) < 0)
        return -1;
    result->json = json_pack("{s:I, s:O}", "messages", (json_int_t)count, "missing", ch->missing);
    return result->json ? 0 : err_memory(e, "control");
}

static int act_on_chosen(
    struct control *c, const json_t *request, act_fn *fn, struct op_result *result, struct err *e)
{
    struct chosen ch;
    int status = choose(c, &ch, request, e);

    if (status == 0 && !ch.any && fn != queue_retry)
        status = err_set(e, ERR_PERMANENT, "control", "%s", nothing_chosen);
    if (status == 0)
        status = act(c, &ch, fn, result, e);
    chosen_done(&ch);
    return status;
}

int op_queue_retry(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    return act_on_chosen(c, request, queue_retry, result, e);
}

int op_queue_remove(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    return act_on_chosen(c, request, queue_remove, result, e);
}

/* Recipients or senders, and nothing else, are a rule: it holds also what comes later. */
static bool is_rule(const struct chosen *ch)
{
    const struct queue_filter *f = &ch->filter;

    return (f->to.n || f->from.n) && !f->id && !f->site.n && !f->older_ms && !f->has_state;
}

typedef int rule_fn(
    struct holds *h, struct pool *pool, struct str to, struct str from, struct err *e);

static int act_with_rule(struct control *c, const json_t *request, rule_fn *rule, act_fn *fn,
    struct op_result *result, struct err *e)
{
    struct chosen ch;
    int status = choose(c, &ch, request, e), changed = 1;

    if (status == 0 && !ch.any)
        status = err_set(e, ERR_PERMANENT, "control", "%s", nothing_chosen);
    if (status == 0 && is_rule(&ch)) {
        changed = rule(c->core->holds, c->hashing, ch.filter.to, ch.filter.from, e);
        status = changed < 0 ? -1 : 0;
    }
    if (status == 0)
        status = act(c, &ch, fn, result, e);
    if (status == 0)
        json_object_set_new(result->json, "rule", json_boolean(changed == 0));
    chosen_done(&ch);
    return status;
}

/* The rule first: what comes while the others are held is held by it. */
int op_queue_hold(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    return act_with_rule(c, request, holds_add, queue_hold, result, e);
}

int op_queue_release(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    return act_with_rule(c, request, holds_remove, queue_release, result, e);
}
