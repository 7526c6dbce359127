#include "core/queue/expanded.h"

#include "base/mem.h"
#include "base/timefmt.h"

enum {
    ARENA_MAX = 16 << 20,
};

struct expanded {
    struct arena arena;
    struct buf text;
    struct envelope envelope; /* as it was, SUCCESS included */
    struct report_rcpt *rcpt;
    uint32_t rcpts;
};

void expanded_free(struct expanded *x)
{
    if (!x)
        return;
    arena_done(&x->arena);
    buf_done(&x->text);
    mem_free(x);
}

static bool asks(const struct ic_recipient *rcpt)
{
    return rcpt->notify & IC_NOTIFY_SUCCESS;
}

/* It is rare that anybody asks for success. */
static bool may_concern(const struct envelope *v)
{
    if (str_empty(v->given.reverse_path) || v->targets <= v->given.count)
        return false;
    for (uint32_t i = 0; i < v->given.count; i++)
        if (asks(&v->given.rcpt[i]))
            return true;
    return false;
}

static int keep(struct expanded *x, const struct envelope *v, struct err *e)
{
    envelope_encode(v, &x->text);
    if (!buf_ok(&x->text))
        return err_memory(e, "expanded");
    return envelope_decode(&x->arena, buf_str(&x->text), &x->envelope, e);
}

static void add(struct expanded *x, uint32_t target)
{
    x->rcpt[x->rcpts++] = (struct report_rcpt){
        .index = target,
        .kind = REPORT_EXPANDED,
        .status = {2, 1, 5},
        .when_ms = wall_ms(),
    };
}

/* One target stands for all of a recipient's: its fellows are nobody's business. */
static int select_rcpts(struct expanded *x, struct envelope *v, struct err *e)
{
    uint32_t *members = arena_array(&x->arena, v->given.count, sizeof *members);

    x->rcpt = arena_array(&x->arena, v->given.count, sizeof *x->rcpt);
    if (!members || !x->rcpt)
        return err_memory(e, "expanded");
    for (uint32_t i = 0; i < v->targets; i++) {
        uint32_t given = v->target[i].given;
        if (asks(&x->envelope.given.rcpt[given]) && ++members[given] == 2)
            add(x, i);
    }
    for (uint32_t i = 0; i < x->rcpts; i++) {
        struct target *target = &x->envelope.target[x->rcpt[i].index];
        struct ic_recipient *rcpt = &v->given.rcpt[target->given];
        target->address = x->envelope.given.rcpt[target->given].address;
        rcpt->notify &= (uint8_t)~IC_NOTIFY_SUCCESS;
        if (rcpt->notify == 0)
            rcpt->notify = IC_NOTIFY_NEVER;
    }
    return 0;
}

int expanded_take(struct envelope *v, struct expanded **out, struct err *e)
{
    struct expanded *x;

    *out = NULL;
    if (!may_concern(v))
        return 0;
    x = MEM_NEW(struct expanded);
    if (!x)
        return err_memory(e, "expanded");
    arena_init(&x->arena, ARENA_MAX);
    buf_init(&x->text, ENVELOPE_MAX);
    if (keep(x, v, e) < 0 || select_rcpts(x, v, e) < 0) {
        expanded_free(x);
        return -1;
    }
    if (x->rcpts)
        *out = x;
    else
        expanded_free(x);
    return 0;
}

void expanded_tell(struct expanded *x, struct reporter *r, const struct event *event)
{
    struct report what = {
        .id = x->envelope.given.id, .envelope = &x->envelope, .rcpt = x->rcpt, .rcpts = x->rcpts};
    char id[IC_ID_CHARS + 1];
    struct err e;

    if (report(r, &what, &e) == 0)
        return;
    /* The message itself is safe and goes on. */
    ic_id_format(what.id, id);
    log_warning(event, "expansion_not_told", kv_c("id", id), kv_err(&e));
}
