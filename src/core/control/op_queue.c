#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include "ipc/control.h"
#include "ipc/inbound_core.h"

#include "core/control/op.h"
#include "core/core.h"
#include "core/envelope.h"
#include "core/queue/queue.h"

enum {
    ARENA_MAX = 32 << 20,
    PAGE_ROWS = 100,
    RECIPIENTS_SHOWN = 50, /* recipient_count says how many there are */
    RCPT_JSON = 200,       /* octets about, without the address */
};

int op_queue_idle(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)request;
    (void)result;
    return queue_wait_idle(c->core->queue, e);
}

/* Still to be delivered: its message's state says why it is not yet. */
static const char *rcpt_state(const struct queue_row *row, const struct spool_rcpt *rcpt)
{
    static const char *const waiting[] = {[QUEUE_QUEUED] = "queued",
        [QUEUE_ACTIVE] = "active",
        [QUEUE_DEFERRED] = "deferred",
        [QUEUE_HELD] = "held"};
    static const char *const done[SPOOL_RCPT_STATES] = {
        [SPOOL_DELIVERED] = "delivered", [SPOOL_FAILED] = "failed", [SPOOL_REMOVED] = "removed"};
    const char *word = rcpt ? done[rcpt->state] : NULL;

    return word ? word : waiting[row->state];
}

static bool is_done(const struct spool_rcpt *rcpt)
{
    return rcpt && rcpt->state != SPOOL_PENDING && rcpt->state != SPOOL_DEFERRED;
}

static const char *why_of(const struct queue_row *row, const struct target *t)
{
    if (row->state != QUEUE_HELD)
        return NULL;
    return t->kind == TARGET_ADDRESS ? "this server has no route for it" : "the queue is held";
}

static json_t *rcpt_json(
    const struct queue_row *row, const struct target *t, const struct spool_rcpt *rcpt)
{
    bool done = is_done(rcpt);

    return json_pack("{s:o, s:s, s:s?, s:i, s:n, s:n, s:s?}", "address", op_json_str(t->address),
        "state", rcpt_state(row, rcpt), "route", t->kind == TARGET_ACCOUNT ? "local" : NULL,
        "attempts", rcpt ? (int)rcpt->attempts : 0, "next", "last", "why",
        done ? NULL : why_of(row, t));
}

static json_t *message_json(
    struct core *core, const struct queue_row *row, const struct envelope *v, size_t *size)
{
    json_t *rcpts = json_array();
    struct spool_found found;
    char id[IC_ID_CHARS + 1];
    uint32_t shown = v->targets < RECIPIENTS_SHOWN ? v->targets : RECIPIENTS_SHOWN;

    if (!spool_find(core->spool, row->id, &found)) {
        json_decref(rcpts);
        return NULL;
    }
    ic_id_format(row->id, id);
    *size += RCPT_JSON + v->given.reverse_path.n;
    for (uint32_t i = 0; i < shown; i++) {
        const struct spool_rcpt *rcpt = found.rcpt && i < found.rcpts ? &found.rcpt[i] : NULL;
        json_array_append_new(rcpts, rcpt_json(row, &v->target[i], rcpt));
        *size += RCPT_JSON + v->target[i].address.n;
    }
    return json_pack("{s:s, s:o, s:I, s:o, s:s, s:o, s:I}", "id", id, "from",
        op_json_str(v->given.reverse_path), "size", (json_int_t)(found.prefix + found.content),
        "arrived", op_json_time(v->arrived_ms), "state", rcpt_state(row, NULL), "recipients", rcpts,
        "recipient_count", (json_int_t)v->targets);
}

/* NULL where the message has gone meanwhile, or is damaged: then the spool has said so. */
static json_t *read_message(
    struct core *core, struct arena *arena, const struct queue_row *row, size_t *size)
{
    struct envelope envelope;
    struct buf text;
    json_t *json = NULL;

    arena_reset(arena);
    buf_init(&text, ENVELOPE_MAX);
    if (spool_load(core->spool, row->id, SPOOL_ENVELOPE, &text, NULL) == 0 &&
        envelope_decode(arena, buf_str(&text), &envelope, NULL) == 0)
        json = message_json(core, row, &envelope, size);
    buf_done(&text);
    return json;
}

/* Rows are copied before anything suspends: messages end while their neighbours are read. */
int op_queue_list(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct queue_row *row = mem_array(PAGE_ROWS, sizeof *row);
    json_t *items = json_array();
    char number[24];
    struct str text;
    struct arena arena;
    uint64_t after = 0;
    uint32_t count, i = 0;
    size_t size = 0;

    if (!row || !items || op_str_optional(request, "after", &text, e) < 0 ||
        (text.n && !str_to_u64(text, UINT64_MAX, &after))) {
        mem_free(row);
        json_decref(items);
        return err_set(e, ERR_PERMANENT, "control", "after: not a place in a list");
    }
    arena_init(&arena, ARENA_MAX);
    if (queue_list(c->core->queue, &after, NULL, row, PAGE_ROWS, &count, e) < 0)
        count = 0;
    while (i < count && size < CONTROL_PAGE / 2) {
        json_t *json = read_message(c->core, &arena, &row[i++], &size);
        if (json)
            json_array_append_new(items, json);
    }
    if (i < count)
        after = row[i - 1].number;
    snprintf(number, sizeof number, "%llu", (unsigned long long)after);
    result->json = op_page(items, after ? str_c(number) : STR_NONE);
    arena_done(&arena);
    mem_free(row);
    return 0;
}
