#include "core/crash/remote_life.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include "ipc/channel.h"
#include "ipc/core_outbound.h"
#include "ipc/role.h"

#include "core/core.h"
#include "core/envelope.h"
#include "core/queue/queue.h"

enum {
    SEGMENT = 128 << 10,
    TURNS = 5000, /* of a millisecond, until something must have come */
};

/* SQLite's ways are made for one table, so it stays the same while disks come and go. */
static struct sys sys;

struct life {
    struct core core;
    struct channel *outbound;
    struct arena arena;
    uint32_t assignment, works, confirmed;
    char *why;
};

static bool wrong(struct life *l, const char *what, const char *detail)
{
    (void)snprintf(l->why, REMOTE_WHY, "%s%s%s", what, *detail ? ": " : "", detail);
    return false;
}

const char *remote_step(const struct remote_model *m)
{
    static const char *const names[] = {"while it was accepted", "when 250 had been said",
        "before the remote had answered", "when the remote had answered",
        "when that had been confirmed"};

    return names[m->step];
}

static struct config *configuration(void)
{
    static struct arena arena;
    static struct config *config;
    struct config_problems problems = {0};

    if (config)
        return config;
    arena_init(&arena, 1 << 20);
    config = config_parse(STR("hostname = \"mail.example.test\"\ndata = \"/data\"\n"
                              "origin = \"example.test\"\n"
                              "route \"*\" { via = \"smtp:[192.0.2.1]:25\" }\n"
                              "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n"),
        &arena, &problems);
    CHECK(config);
    config->spool.segment = config->spool.reserve = SEGMENT;
    return config;
}

/* ---- the outbound */

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct life *l = arg;
    struct co_flying *flying;
    struct co_open o;
    uint32_t count;

    (void)from;
    CHECK(fd < 0);
    if (type == CO_OPEN && co_open_decode(&l->arena, payload, &o, NULL) == 0)
        l->assignment = o.assignment;
    else if (type == CO_CONFIRM &&
             co_confirm_decode(&l->arena, payload, &flying, &count, NULL) == 0)
        l->confirmed += count;
    else
        l->works += type == CO_WORK;
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
}

static bool ask(struct life *l, uint16_t type, struct buf *payload, struct buf *reply)
{
    struct err e;
    int rc;

    CHECK(buf_ok(payload));
    buf_init(reply, CHANNEL_FRAME_MAX);
    rc = channel_ask(l->outbound, type, buf_str(payload), reply, &e);
    buf_done(payload);
    return rc == 0 || wrong(l, "outbound's question", e.text);
}

static bool connect_outbound(struct life *l)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct role_peer peer = {.kind = ROLE_OUTBOUND, .number = 1};
    struct co_attach first = {.last = true};
    struct buf payload, reply;
    struct err e;
    int ends[2];
    bool done;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    queue_peer(l->core.queue, &peer, ends[0]);
    if (channel_open(&l->outbound, ends[1], "core", &handler, l, &e) < 0)
        return wrong(l, "channel", e.text);
    buf_init(&payload, CHANNEL_FRAME_MAX);
    co_attach_encode(&first, &payload);
    done = ask(l, CO_ATTACH, &payload, &reply);
    buf_done(&reply);
    return done;
}

static bool next(struct life *l, const struct co_outcome *outcome, struct co_given *given)
{
    struct co_next n = {.assignment = l->assignment,
        .greeted = !outcome,
        .host = STR("mx.there.test"),
        .address = STR("192.0.2.1"),
        .has_outcome = outcome};
    struct buf payload, reply;
    struct str copy;
    bool done;

    if (outcome)
        n.outcome = *outcome;
    buf_init(&payload, CHANNEL_FRAME_MAX);
    co_next_encode(&n, &payload);
    done = ask(l, CO_NEXT, &payload, &reply);
    if (done) {
        CHECK(arena_dup(&l->arena, buf_str(&reply), &copy));
        CHECK(co_given_decode(&l->arena, copy, given, NULL) == 0);
    }
    buf_done(&reply);
    return done;
}

static bool answer(
    struct life *l, const struct co_delivery *d, enum remote_answer how, struct co_given *then)
{
    static const struct co_reply says[] = {
        [REMOTE_TAKES] = {250, {2, 0, 0}, STR("taken")},
        [REMOTE_REFUSES] = {550, {5, 1, 1}, STR("nobody of that name")},
        [REMOTE_DEFERS] = {451, {4, 7, 1}, STR("greylisted")},
    };
    static const enum co_verdict verdicts[] = {CO_RELAYED, CO_FAILED, CO_DEFERRED};
    struct co_reply reply = says[how];
    struct co_result result = {d->rcpt[0].index, verdicts[how], 0};
    struct co_outcome o = {.id = d->id,
        .attempt = d->attempt,
        .host = STR("mx.there.test"),
        .address = STR("192.0.2.1"),
        .reply = &reply,
        .replies = 1,
        .result = &result,
        .results = 1};

    return next(l, &o, then);
}

static bool turn(uint32_t *turns)
{
    return ++*turns < TURNS && fiber_sleep(1, NULL) == 0;
}

/* Once there is a connection: a delivery, over it. */
static bool take(struct life *l, bool *greeted, struct co_given *given)
{
    uint32_t turns = 0, seen = l->works;

    while (!l->assignment)
        if (!turn(&turns))
            return wrong(l, "no connection was asked for", "");
    for (;;) {
        if (*greeted) { /* an idle connection waits until it is told of work */
            while (l->works == seen)
                if (!turn(&turns))
                    return wrong(l, "it is not told of work", "");
            seen = l->works;
        }
        *greeted = true;
        if (!next(l, NULL, given))
            return false;
        if (given->kind == CO_DELIVERY)
            return true;
    }
}

/* ---- a life */

static uint64_t alive(struct life *l)
{
    struct spool_stats s;

    spool_stats(l->core.spool, &s);
    return s.messages;
}

static bool open_life(struct life *l, struct fake_disk *disk, char why[REMOTE_WHY])
{
    static const struct event event;
    struct err e;

    *l = (struct life){.why = why};
    arena_init(&l->arena, 1 << 22);
    sys = *fake_sys(disk);
    if (core_open(&l->core, &sys, configuration(), &event, &e) < 0) {
        arena_done(&l->arena);
        return wrong(l, "it does not start", e.text);
    }
    return true;
}

static void close_life(struct life *l)
{
    if (l->outbound)
        channel_close(&l->outbound);
    core_close(&l->core);
    arena_done(&l->arena);
}

struct fake_disk *remote_first_disk(void)
{
    struct fake_disk *disk = fake_new();
    struct life *l = MEM_NEW(struct life);
    char why[REMOTE_WHY];
    bool open;

    CHECK(l && fake_sys(disk)->mkdir(fake_sys(disk), "/data", 0700) == 0);
    open = open_life(l, disk, why);
    CHECK(open);
    close_life(l);
    mem_free(l);
    return disk;
}

/* ---- the message */

static void release(struct spool_message *m)
{
    mem_free(m);
}

static bool commit(struct life *l, uint64_t id)
{
    struct ic_recipient given = {.address = STR("b@there.test")};
    struct target target = {TARGET_ADDRESS, 0, 0, given.address};
    struct envelope v = {.arrived_ms = wall_ms(), .target = &target, .targets = 1};
    struct spool_message *m;
    struct str *content;
    struct buf text;
    struct err e;
    char *p;

    v.given = (struct ic_envelope){
        .id = id, .reverse_path = STR("a@here.test"), .rcpt = &given, .count = 1};
    buf_init(&text, 1 << 16);
    envelope_encode(&v, &text);
    m = mem_zalloc(sizeof *m + sizeof *content + buf_len(&text));
    CHECK(m && buf_ok(&text));
    content = (struct str *)(void *)(m + 1);
    p = (char *)(content + 1);
    memcpy(p, buf_str(&text).p, buf_len(&text));
    *content = STR("Subject: x\r\n\r\nbody\r\n");
    *m = (struct spool_message){.id = id,
        .rcpts = 1,
        .envelope = str_of(p, buf_len(&text)),
        .prefix = STR("Received: by test\r\n"),
        .content = content,
        .pieces = 1,
        .release = release};
    buf_done(&text);
    return spool_commit(l->core.spool, &m, 1, NULL, 0, SPOOL_MAIL, &e) == 0 ||
           wrong(l, "commit", e.text);
}

static bool flush(struct life *l)
{
    struct err e;

    return spool_flush(l->core.spool, &e) == 0 || wrong(l, "flush", e.text);
}

/* What has happened so far, and a second in which core writes what it has to. */
static bool step(
    struct life *l, struct remote_model *m, int to, void (*watch)(void *arg), void *arg)
{
    m->step = to;
    watch(arg);
    if (!flush(l))
        return false;
    watch(arg);
    return true;
}

static bool play(struct life *l, struct remote_model *m, void (*watch)(void *arg), void *arg)
{
    struct co_given given, then;
    bool greeted = false;
    uint32_t turns = 0;

    if (!connect_outbound(l) || !commit(l, m->id) || !step(l, m, STEP_ACCEPTED, watch, arg) ||
        !take(l, &greeted, &given) || !step(l, m, STEP_GIVEN, watch, arg))
        return false;
    if (given.delivery.id != m->id)
        return wrong(l, "another message is given", "");
    m->step = STEP_ANSWERED;
    watch(arg);
    if (!answer(l, &given.delivery, m->answer, &then))
        return false;
    while (!l->confirmed)
        if (!flush(l) || !turn(&turns))
            return wrong(l, "the outcome is not confirmed", "");
    return step(l, m, STEP_NOTED, watch, arg);
}

bool remote_run(struct fake_disk *disk, struct remote_model *m, void (*watch)(void *arg), void *arg,
    char why[REMOTE_WHY])
{
    struct life *l = MEM_NEW(struct life);
    bool good;

    CHECK(l);
    good = open_life(l, disk, why);
    if (good) {
        m->id = core_own_id(&l->core);
        fake_watch(disk, watch, arg);
        good = play(l, m, watch, arg);
        fake_watch(disk, NULL, NULL);
        close_life(l);
    }
    mem_free(l);
    return good;
}

/* ---- after the cut */

static bool check(struct life *l, const struct remote_model *m)
{
    struct spool_found f;
    bool there = spool_find(l->core.spool, m->id, &f);
    uint64_t others = alive(l) - there; /* a DSN */

    if (l->core.counts.damaged)
        return wrong(l, "damage is reported", "");
    if (m->step == STEP_COMMIT)
        return !others || wrong(l, "something is there that nobody sent", "");
    if (m->step < STEP_ANSWERED)
        return (there && !others) ||
               wrong(l, "a message that no remote has answered for", "is lost");
    switch (m->answer) {
    case REMOTE_TAKES:
        if (others || (there && m->step == STEP_NOTED))
            return wrong(l, "a message that was delivered", "has come back");
        return true;
    case REMOTE_REFUSES:
        return others + there == 1 ||
               wrong(l, "a refused message and its DSN", "are not one commit");
    case REMOTE_DEFERS:
        if (!there || others)
            return wrong(l, "a message that was deferred", "is lost");
        return m->step != STEP_NOTED || f.rcpt[0].state == SPOOL_DEFERRED ||
               wrong(l, "an outcome that was confirmed", "is lost");
    }
    return true;
}

/* The remote takes all there is; what waits for its time is left alone. */
static bool drain(struct life *l)
{
    struct co_given given, then;
    bool greeted = false;
    struct queue_stats s;

    if (!connect_outbound(l))
        return false;
    queue_stats(l->core.queue, &s);
    if (!s.messages)
        return true;
    if (!take(l, &greeted, &given))
        return false;
    while (given.kind == CO_DELIVERY) {
        if (!answer(l, &given.delivery, REMOTE_TAKES, &then))
            return false;
        given = then;
    }
    if (!flush(l))
        return false;
    return !alive(l) || wrong(l, "what was delivered", "is not forgotten");
}

bool remote_recover(struct fake_disk *disk, struct remote_model *m, char why[REMOTE_WHY])
{
    struct life *l = MEM_NEW(struct life);
    struct spool_found f;
    bool good, waits;

    CHECK(l);
    good = open_life(l, disk, why);
    if (good) {
        waits = spool_find(l->core.spool, m->id, &f) && f.rcpt[0].state == SPOOL_DEFERRED;
        good = check(l, m) && (waits || drain(l));
        close_life(l);
    }
    mem_free(l);
    return good;
}
