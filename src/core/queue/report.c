#include "core/queue/report.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include "core/core.h"
#include "core/history.h"
#include "core/message.h"
#include "core/own_mail.h"
#include "core/queue/report_text.h"

enum {
    ARENA_MAX = 16 << 20,
    MINUTE_MS = 60 * 1000,
    MESSAGES_MAX = ENVELOPE_TARGETS_MAX / REPORT_RCPTS_MAX,
};

/* What the envelope of a notification says how it came: so the next one knows it. */
#define PROTOCOL_DSN           STR("DSN")
#define PROTOCOL_DOUBLE_BOUNCE STR("double-bounce")

struct reporter {
    struct core *core;
    uint64_t due; /* of run_now(): when the next one would be due if they came evenly */
};

int reporter_open(struct reporter **r, struct core *core, struct err *e)
{
    *r = MEM_NEW(struct reporter);
    if (!*r)
        return err_memory(e, "report");
    (*r)->core = core;
    return 0;
}

void reporter_close(struct reporter **r)
{
    mem_free(*r);
    *r = NULL;
}

/* ---- the rate: evenly spread, and a minute's worth at once */

bool reporter_ready(struct reporter *r, uint64_t *again)
{
    uint64_t now = run_now();

    if (r->core->config->dsn.rate == 0 || r->due <= now + MINUTE_MS)
        return true;
    *again = r->due - MINUTE_MS;
    return false;
}

static void count_one(struct reporter *r)
{
    uint64_t now = run_now(), rate = r->core->config->dsn.rate;

    if (rate == 0)
        return;
    if (r->due < now)
        r->due = now;
    r->due += MINUTE_MS / rate ? MINUTE_MS / rate : 1;
}

/* ---- who hears of what */

struct job {
    struct reporter *r;
    const struct report *what;
    struct arena arena;
    struct str recipient, protocol;
    struct message *made[MESSAGES_MAX];
    unsigned count;
};

static bool is_wanted(const struct job *job, const struct report_rcpt *r)
{
    const struct envelope *v = job->what->envelope;
    struct dsn_rules rules = {
        .delay = job->r->core->config->queue.warn_after_ms > 0,
        .success = true, /* what a stranger may not ask for was left out of the envelope */
    };
    uint8_t notify = v->given.rcpt[v->target[r->index].given].notify;

    if (r->kind == REPORT_RELAYED && r->relayed_dsn)
        return false;
    return dsn_wanted(notify, report_dsn_kind(r->kind), v->given.reverse_path, &rules);
}

static struct str postmaster(struct arena *a, const struct config *config)
{
    if (!str_empty(config->postmaster))
        return config->postmaster;
    return arena_printf(a, "postmaster@%.*s", STR_ARG(config->origin));
}

/* RFC 5321 4.5.5: nobody is told by the null reverse-path; but somebody here may want to know. */
static bool goes_to_postmaster(const struct job *job, const struct report_rcpt *r)
{
    const struct envelope *v = job->what->envelope;

    return job->r->core->config->dsn.double_bounces && r->kind == REPORT_FAILED &&
           str_empty(v->given.reverse_path) && !str_eq(v->protocol, PROTOCOL_DOUBLE_BOUNCE);
}

static void select_some(struct job *job, uint32_t *at, struct report_selection *s)
{
    const struct report *what = job->what;

    s->count = 0;
    for (; *at < what->rcpts && s->count < REPORT_RCPTS_MAX; ++*at) {
        const struct report_rcpt *r = &what->rcpt[*at];
        if (is_wanted(job, r)) {
            job->recipient = what->envelope->given.reverse_path;
            job->protocol = PROTOCOL_DSN;
            s->rcpt[s->count++] = r;
        } else if (goes_to_postmaster(job, r)) {
            job->recipient = postmaster(&job->arena, job->r->core->config);
            job->protocol = PROTOCOL_DOUBLE_BOUNCE;
            s->rcpt[s->count++] = r;
        }
    }
}

/* ---- one notification */

static int make_from(struct job *job, const struct report_selection *s, uint64_t id,
    struct str name, struct buf *content, struct err *e)
{
    struct core *core = job->r->core;
    struct report_text text = {
        .id = name,
        .recipient = job->recipient,
        .from = postmaster(&job->arena, core->config),
        .config = core->config,
        .spool = core->spool,
    };
    struct dsn_form form = {0};
    struct own_mail mail;

    if (report_text(&job->arena, &text, job->what, s, content, &form, e) < 0)
        return -1;
    mail = (struct own_mail){
        .id = id,
        .recipient = job->recipient,
        .protocol = job->protocol,
        .content = buf_str(content),
        .eight_bit = form.eight_bit,
        .smtputf8 = form.smtputf8,
    };
    return own_mail_make(core, &mail, &job->made[job->count], e);
}

static void log_made(const struct job *job, struct str name, uint32_t rcpts)
{
    char about[IC_ID_CHARS + 1];

    ic_id_format(job->what->id, about);
    log_info(job->r->core->event, "dsn_made", kv_str("id", name), kv_c("about", about),
        kv_str("to", job->recipient), kv_u64("recipients", rcpts), kv_str("kind", job->protocol));
}

static int make_one(struct job *job, const struct report_selection *s, struct err *e)
{
    uint64_t id = core_own_id(job->r->core);
    char name[IC_ID_CHARS + 1];
    struct buf content;
    int rc;

    if (id == 0)
        return err_set(e, ERR_TEMPORARY, "report", "no message ids are left");
    ic_id_format(id, name);
    buf_init(&content, OWN_MAIL_MAX);
    rc = make_from(job, s, id, str_c(name), &content, e);
    buf_done(&content);
    if (rc < 0)
        return -1;
    job->count++;
    count_one(job->r);
    log_made(job, str_c(name), s->count);
    return 0;
}

static int make_all(struct job *job, struct err *e)
{
    struct report_selection *s = MEM_NEW(struct report_selection);
    uint32_t at = 0;
    int rc = s ? 0 : err_memory(e, "report");

    while (rc == 0 && at < job->what->rcpts && job->count < MESSAGES_MAX) {
        select_some(job, &at, s);
        if (s->count)
            rc = make_one(job, s, e);
    }
    mem_free(s);
    return rc;
}

static int commit(struct job *job, struct err *e)
{
    const struct report *what = job->what;
    struct spool_message *message[MESSAGES_MAX];
    unsigned count = job->count;

    for (unsigned i = 0; i < count; i++) {
        message[i] = &job->made[i]->spool;
        history_notified(job->r->core, what->id, job->made[i], what->rcpt->kind == REPORT_DELAYED);
    }
    job->count = 0; /* the spool's from here on */
    return spool_commit(
        job->r->core->spool, message, count, what->change, what->changes, SPOOL_OWN, e);
}

/* ---- reports */

static bool is_anybody_told(struct job *job)
{
    for (uint32_t i = 0; i < job->what->rcpts; i++)
        if (is_wanted(job, &job->what->rcpt[i]) || goes_to_postmaster(job, &job->what->rcpt[i]))
            return true;
    return false;
}

static void log_unheard(const struct job *job)
{
    char id[IC_ID_CHARS + 1];

    ic_id_format(job->what->id, id);
    for (uint32_t i = 0; i < job->what->rcpts; i++) {
        const struct report_rcpt *r = &job->what->rcpt[i];
        struct str to = job->what->envelope->target[r->index].address;
        if (r->kind != REPORT_FAILED)
            continue;
        log_info(job->r->core->event, "failed_unheard", kv_c("id", id), kv_str("to", to),
            kv_str("why", r->text));
        history_unheard(job->r->core, job->what->id, to);
    }
}

static int tell(struct job *job, struct err *e)
{
    uint64_t again;
    int rc;

    if (!reporter_ready(job->r, &again))
        return err_set(e, ERR_TEMPORARY, "report", "too many reports a minute");
    arena_init(&job->arena, ARENA_MAX);
    rc = make_all(job, e);
    if (rc == 0)
        rc = commit(job, e);
    for (unsigned i = 0; i < job->count; i++)
        message_free(job->made[i]);
    arena_done(&job->arena);
    return rc;
}

int report(struct reporter *r, const struct report *what, struct err *e)
{
    struct job *job;
    int rc;

    job = MEM_NEW(struct job);
    if (!job)
        return err_memory(e, "report");
    job->r = r;
    job->what = what;
    rc = is_anybody_told(job) ? tell(job, e) : 1;
    if (rc < 0 && e->class != ERR_TEMPORARY && e->class != ERR_CANCELLED &&
        e->class != ERR_DEADLINE) {
        /* It would never succeed, and until then what was delivered would be sent again. */
        log_error(r->core->event, "dsn_not_made", kv_err(e));
        rc = 1;
    }
    if (rc > 0) {
        log_unheard(job);
        rc = what->changes ? spool_change(r->core->spool, what->change, what->changes, e) : 0;
    }
    mem_free(job);
    return rc;
}
