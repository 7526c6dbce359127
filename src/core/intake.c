#include "core/intake.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/timefmt.h"

#include "ipc/note.h"

#include "core/admit.h"
#include "core/core.h"
#include "core/directory/directory.h"
#include "core/history.h"
#include "core/message.h"
#include "core/queue/expanded.h"
#include "core/recipients.h"
#include "core/upload.h"

enum {
    LEASE_SHIFT = IC_LEASE_BITS,
    LEASES_HELD = 8,       /* of one channel */
    LEASE_EVERY_MS = 1000, /* one inbound that is broken must not use up everybody's */
    SCRATCH_MAX = 4 << 20,
    ANSWERS_MAX = CHANNEL_FRAME_MAX,
    QUESTIONS_MAX = 64, /* that wait for somebody: they hold credit of the channel */
};

struct intake {
    struct list link;
    struct core *core;
    struct channel *channel;
    struct scope scope;  /* its commits and uploads */
    struct scope asking; /* questions about recipients */
    struct upload_set uploads;
    struct arena scratch;
    uint32_t owner;
    enum role_class class;
    uint32_t questions;
    uint64_t lease[LEASES_HELD]; /* bases; the newest first */
    uint64_t next_lease;         /* of run_now(): no other is given before */
    bool closing;
};

/* ---- ids */

static void on_lease(struct intake *in, struct channel_call from)
{
    struct core *core = in->core;
    struct ic_lease lease;
    struct buf reply;

    if (run_now() < in->next_lease) {
        log_warning(core->event, "leases_too_often");
        channel_reply(from, STR(""));
        return;
    }
    in->next_lease = run_now() + LEASE_EVERY_MS;
    if (!core_lease_ids(core, &lease.base)) {
        channel_reply(from, STR(""));
        return;
    }
    memmove(in->lease + 1, in->lease, sizeof in->lease - sizeof *in->lease);
    in->lease[0] = lease.base;
    buf_init(&reply, 64);
    ic_lease_encode(&lease, &reply);
    channel_reply(from, buf_str(&reply));
    buf_done(&reply);
}

static bool id_is_leased(const struct intake *in, uint64_t id)
{
    uint64_t base = id >> LEASE_SHIFT << LEASE_SHIFT;

    for (unsigned i = 0; i < LEASES_HELD; i++)
        if (in->lease[i] && in->lease[i] == base)
            return true;
    return false;
}

/* ---- connections */

static void on_admit(struct intake *in, struct channel_call from, struct str payload)
{
    struct ic_admitted answer = {0};
    struct ic_admit ask;
    struct buf reply;

    if (ic_admit_decode(payload, &ask, &answer.why) == 0)
        admit_connect(in->core->admit, in->core->config, in->owner, in->class, &ask, &answer);
    buf_init(&reply, 1024);
    ic_admitted_encode(&answer, &reply);
    channel_reply(from, buf_str(&reply));
    buf_done(&reply);
}

static void on_release(struct intake *in, struct str payload)
{
    struct dec d = dec_of(payload);
    uint32_t slot = dec_u32(&d);

    if (dec_done(&d, "release", NULL) == 0)
        admit_release(in->core->admit, in->owner, slot);
}

/* ---- recipients */

static void answer_rcpt(struct core *core, struct channel_call to, const struct ic_rcpt *ask,
    const struct ic_rcpt_answer *answer)
{
    struct buf reply;

    buf_init(&reply, ANSWERS_MAX);
    for (uint32_t i = 0; i < ask->count; i++) {
        if (answer[i].verdict == IC_REFUSED)
            history_refused(core, ask->reverse_path, ask->address[i], &answer[i].why);
        ic_rcpt_answer_encode(&answer[i], &reply);
    }
    channel_reply(to, buf_ok(&reply) ? buf_str(&reply) : STR(""));
    buf_done(&reply);
}

/* A question for which somebody has to be waited for: it does not hold up those behind it. */
struct question {
    struct intake *in;
    struct channel_call from;
    struct arena arena;
    struct ic_rcpt ask;
    struct ic_rcpt_answer *answer;
};

static void question_free(struct question *q)
{
    arena_done(&q->arena);
    mem_free(q);
}

static void question_fiber(void *arg)
{
    struct question *q = arg;
    struct intake *in = q->in;

    recipients_answer(in->core->recipients, admit_right(in->core->admit, in->owner, q->ask.slot),
        &q->ask, q->answer);
    answer_rcpt(in->core, q->from, &q->ask, q->answer);
    in->questions--;
    question_free(q);
}

static bool start_question(struct intake *in, struct channel_call from, struct str payload)
{
    struct question *q = in->questions < QUESTIONS_MAX ? MEM_NEW(struct question) : NULL;
    struct str copy;

    if (!q)
        return false;
    q->in = in;
    q->from = from;
    arena_init(&q->arena, SCRATCH_MAX);
    if (arena_dup(&q->arena, payload, &copy) &&
        ic_rcpt_decode(&q->arena, copy, &q->ask, NULL) == 0 &&
        (q->answer = arena_array(&q->arena, q->ask.count, sizeof *q->answer)) &&
        fiber_start(&in->asking, "rcpt", question_fiber, q, NULL) == 0) {
        in->questions++;
        return true;
    }
    question_free(q);
    return false;
}

/* Nobody can be waited for. */
static void refuse_all(struct ic_rcpt_answer *answer, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        answer[i].verdict = IC_REFUSED;
        err_set_status(&answer[i].why, ERR_TEMPORARY, (struct err_status){4, 3, 2}, "core",
            "too busy to look this recipient up, try again later");
    }
}

static void on_rcpt(struct intake *in, struct channel_call from, struct str payload)
{
    struct ic_rcpt ask;
    struct ic_rcpt_answer *answer;

    arena_reset(&in->scratch);
    if (ic_rcpt_decode(&in->scratch, payload, &ask, NULL) < 0 ||
        !(answer = arena_array(&in->scratch, ask.count, sizeof *answer))) {
        channel_reply(from, STR(""));
        return;
    }
    if (!recipients_answer(in->core->recipients, admit_right(in->core->admit, in->owner, ask.slot),
            &ask, answer)) {
        if (start_question(in, from, payload))
            return;
        refuse_all(answer, ask.count);
    }
    answer_rcpt(in->core, from, &ask, answer);
}

/* ---- commits */

struct commit {
    struct intake *in;
    struct channel_call from;
    struct message *m;
    struct expanded *expanded; /* what to tell the sender afterwards */
};

static void answer_commit(struct channel_call to, const struct err *e)
{
    struct buf reply;

    buf_init(&reply, 1024);
    enc_err(&reply, e);
    channel_reply(to, buf_str(&reply));
    buf_done(&reply);
}

/* A recipient may have gone since its RCPT. While the client is still here to be told, a message
 * that nobody whom it named would get is refused rather than returned. */
static int refuse_if_nobody(struct core *core, const struct message *m, uint32_t own, struct err *e)
{
    for (uint32_t i = 0; i < m->envelope.targets; i++) {
        const struct target *t = &m->envelope.target[i];
        if (t->given < own && (t->kind == TARGET_ACCOUNT ||
                                  !directory_refusal(core->stores.directory, t->address, e)))
            return 0;
    }
    return -1;
}

/* The final recipients, as things are now. */
static int expand(struct intake *in, struct message *m, struct err *e)
{
    struct core *core = in->core;
    enum ic_right right = admit_right(core->admit, in->owner, m->commit.slot);
    uint32_t own;

    if (recipients_expand(core->recipients, &m->arena, right, &m->commit.envelope, &own,
            &m->envelope.target, &m->envelope.targets, e) < 0)
        return -1;
    return refuse_if_nobody(core, m, own, e);
}

static int take_commit(struct commit *c, struct err *e)
{
    struct core *core = c->in->core;
    struct message *m = c->m;
    struct spool_large *large = NULL;
    struct spool_message *spool;

    if (!id_is_leased(c->in, m->commit.envelope.id))
        return err_set(e, ERR_BUG, "core", "a message id that was not leased");
    if (m->upload && upload_wait(m->upload, e) < 0)
        return -1;
    if (message_decode(m, e) < 0 || expand(c->in, m, e) < 0)
        return -1;
    m->envelope.arrived_ms = wall_ms();
    m->envelope.given = m->commit.envelope;
    if (expanded_take(&m->envelope, &c->expanded, e) < 0)
        return -1;
    if (m->upload && m->upload->large) {
        if (m->commit.content.n && spool_large_write(m->upload->large, m->commit.content, e) < 0)
            return -1;
        if (spool_large_finish(m->upload->large, e) < 0)
            return -1;
        large = upload_take_large(m->upload);
        m->commit.content = STR_NONE;
    }
    if (message_seal(m, large, e) < 0)
        return -1;
    history_received(core, m);
    spool = &m->spool;
    c->m = NULL; /* the spool's from here on */
    return spool_commit(core->spool, &spool, 1, NULL, 0, SPOOL_MAIL, e);
}

static void commit_fiber(void *arg)
{
    struct commit *c = arg;
    struct core *core = c->in->core;
    uint64_t id = c->m->commit.envelope.id, size = c->m->commit.content_size;
    struct err e = {0};

    note_message(id, NOTE_COMMIT);
    if (take_commit(c, &e) == 0) {
        core->counts.accepted++;
        core->counts.octets += size;
        e = (struct err){0};
    } else {
        char text[IC_ID_CHARS + 1];
        core->counts.refused++;
        ic_id_format(id, text);
        log_warning(core->event, "commit_refused", kv_c("id", text), kv_err(&e));
        history_not_kept(core, id, &e);
    }
    answer_commit(c->from, &e);
    if (c->expanded && e.class == ERR_NONE)
        expanded_tell(c->expanded, core->reporter, core->event);
    expanded_free(c->expanded);
    message_free(c->m);
    mem_free(c);
}

static int start_commit(
    struct intake *in, struct channel_call from, struct str payload, struct err *e)
{
    struct commit *c = MEM_NEW(struct commit);

    if (c)
        c->m = message_new(payload);
    if (!c || !c->m) {
        mem_free(c);
        return err_memory(e, "core");
    }
    c->in = in;
    c->from = from;
    if (ic_commit_decode(&c->m->arena, buf_str(&c->m->frame), &c->m->commit, e) == 0) {
        if (c->m->commit.upload)
            c->m->upload = upload_take(&in->uploads, c->m->commit.upload);
        if (c->m->commit.upload && !c->m->upload)
            err_set(e, ERR_TEMPORARY, "core", "the message's parts were not kept");
        else if (fiber_start(&in->scope, "commit", commit_fiber, c, e) == 0)
            return 0;
    }
    message_free(c->m);
    mem_free(c);
    return -1;
}

static void on_commit(struct intake *in, struct channel_call from, struct str payload)
{
    struct err e;

    if (start_commit(in, from, payload, &e) < 0) {
        in->core->counts.refused++;
        answer_commit(from, &e);
    }
}

/* ---- the channel */

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct intake *in = arg;
    struct dec d = dec_of(payload);

    if (fd >= 0)
        close(fd);
    if (in->closing) { /* its uploads have ended; what is asked for now gets no answer that counts
                        */
        if (from.call)
            channel_reply(from, STR(""));
        return false;
    }
    switch ((enum ic_type)type) {
    case IC_LEASE:
        on_lease(in, from);
        return false;
    case IC_ADMIT:
        on_admit(in, from, payload);
        return false;
    case IC_RELEASE:
        on_release(in, payload);
        return false;
    case IC_RCPT:
        on_rcpt(in, from, payload);
        return false;
    case IC_PUT:
        return upload_put(&in->uploads, from, payload);
    case IC_ABORT:
        upload_abort(&in->uploads, dec_u32(&d));
        return false;
    case IC_COMMIT:
        on_commit(in, from, payload);
        return false;
    case IC_STATE:
    case IC_DIGEST_PUT:
    case IC_DIGEST_END:
        break;
    }
    if (from.call)
        channel_reply(from, STR(""));
    return false;
}

/* Commits that are on their way go on: the spool has them, or will refuse them. Nobody waits for
 * next hops any more. */
static void close_fiber(void *arg)
{
    struct intake *in = arg;

    scope_cancel(&in->asking);
    upload_set_end(&in->uploads);
    scope_join(&in->asking);
    scope_join(&in->scope);
    admit_channel_gone(in->core->admit, in->owner);
    channel_close(&in->channel);
    list_remove(&in->link);
    arena_done(&in->scratch);
    mem_free(in);
}

static void intake_close(struct intake *in)
{
    if (in->closing)
        return;
    in->closing = true;
    if (fiber_start(&in->core->scope, "intake-close", close_fiber, in, NULL) < 0)
        log_error(in->core->event, "intake_not_closed");
}

static void on_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct intake *in = arg;

    (void)channel;
    log_info(in->core->event, "inbound_gone", kv_err(why));
    intake_close(in);
}

static void tell_state(struct intake *in)
{
    static const enum ic_state states[] = {
        [SPOOL_READY] = IC_READY, [SPOOL_FULL] = IC_FULL, [SPOOL_BROKEN] = IC_BROKEN};
    char octet = (char)states[spool_state(in->core->spool)];

    /* Without credit the next change, or the commits' own answers, will tell. */
    channel_try_notify(in->channel, IC_STATE, str_of(&octet, 1));
}

int intake_open(struct core *core, int fd, enum role_class class, struct err *e)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct intake *in = MEM_NEW(struct intake);

    if (!in) {
        close(fd);
        return err_memory(e, "core");
    }
    if (channel_open(&in->channel, fd, "inbound", &handler, in, e) < 0) {
        mem_free(in);
        return -1;
    }
    in->core = core;
    in->class = class;
    in->owner = ++core->next_owner;
    scope_init(&in->scope);
    scope_init(&in->asking);
    arena_init(&in->scratch, SCRATCH_MAX);
    upload_set_init(&in->uploads, core->spool, &in->scope, core->config->spool.large,
        core->config->limits.message_size);
    list_add(&core->intakes, &in->link);
    tell_state(in);
    return 0;
}

void intake_tell_state(struct core *core)
{
    LIST_EACH(link, &core->intakes)
    {
        tell_state(LIST_ENTRY(link, struct intake, link));
    }
}

void intake_close_all(struct core *core)
{
    LIST_EACH(link, &core->intakes)
    {
        intake_close(LIST_ENTRY(link, struct intake, link));
    }
}

struct channel *intake_channel(struct core *core, uint32_t *owner)
{
    LIST_EACH(link, &core->intakes)
    {
        struct intake *in = LIST_ENTRY(link, struct intake, link);
        if (in->closing || (*owner && in->owner != *owner))
            continue;
        *owner = in->owner;
        return in->channel;
    }
    return NULL;
}
