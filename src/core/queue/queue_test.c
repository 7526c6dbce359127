/* The queue between a real spool and an outbound that the test plays: what is handed out, and what
 * becomes of each outcome. */
#include "core/queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/table.h"
#include "base/temp_dir.h"
#include "base/timefmt.h"

#include "run/run_test.h"

#include "ipc/channel.h"
#include "ipc/core_outbound.h"
#include "ipc/role.h"

#include "core/directory/directory.h"
#include "core/envelope.h"
#include "core/queue/report.h"

static char base[96];
static const struct event event;

struct world {
    struct arena arena;
    struct config *config;
    struct directory *directory;
    struct spool *spool;
    struct queue *queue;
    struct channel *outbound;
    uint64_t next_id;
    uint32_t opened, confirmed, works; /* what outbound was told */
    uint32_t seen;                     /* of the works */
    uint32_t reports;
    struct report_rcpt reported;
    char text[200];
    unsigned peers;
};

static struct world w;

static void check(int status, const struct err *e)
{
    if (status < 0)
        fail_msg("%s", e->text);
}

/* ---- the outbound */

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct co_flying *v;
    uint32_t count;
    struct co_open o;

    (void)arg;
    (void)from;
    (void)fd;
    if (type == CO_OPEN) {
        assert_int_equal(co_open_decode(&w.arena, payload, &o, NULL), 0);
        assert_true(str_eq(o.host[0].name, STR("192.0.2.1")) && !o.by_mx);
        w.opened = o.assignment;
    } else if (type == CO_CONFIRM) {
        assert_int_equal(co_confirm_decode(&w.arena, payload, &v, &count, NULL), 0);
        w.confirmed += count;
    } else {
        w.works += type == CO_WORK;
    }
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
}

static void ask(uint16_t type, struct buf *payload, struct buf *reply)
{
    struct err e;

    assert_true(buf_ok(payload));
    buf_init(reply, CHANNEL_FRAME_MAX);
    check(channel_ask(w.outbound, type, buf_str(payload), reply, &e), &e);
    buf_done(payload);
}

static void attach(const struct co_attach *a)
{
    struct buf payload, reply;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    co_attach_encode(a, &payload);
    ask(CO_ATTACH, &payload, &reply);
    buf_done(&reply);
}

static void connect_outbound(void)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct role_peer peer = {.kind = ROLE_OUTBOUND, .number = ++w.peers};
    struct err e;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    queue_peer(w.queue, &peer, ends[0]);
    check(channel_open(&w.outbound, ends[1], "core", &handler, NULL, &e), &e);
}

/* The reply lives in the world's arena. */
static struct co_given next(const struct co_outcome *outcome)
{
    struct co_next n = {.assignment = w.opened,
        .greeted = !outcome,
        .host = STR("mx.there.test"),
        .address = STR("192.0.2.1")};
    struct buf payload, reply;
    struct co_given given;
    struct str copy;

    n.has_outcome = outcome;
    if (outcome)
        n.outcome = *outcome;
    buf_init(&payload, CHANNEL_FRAME_MAX);
    co_next_encode(&n, &payload);
    ask(CO_NEXT, &payload, &reply);
    assert_true(arena_dup(&w.arena, buf_str(&reply), &copy));
    assert_int_equal(co_given_decode(&w.arena, copy, &given, NULL), 0);
    buf_done(&reply);
    return given;
}

/* The same verdict for all, except for recipient `but`. */
static struct co_outcome outcome_of(
    const struct co_delivery *d, enum co_verdict verdict, uint32_t but, enum co_verdict other)
{
    static struct co_reply reply[2];
    static struct co_result result[8];
    struct co_outcome o = {.id = d->id,
        .attempt = d->attempt,
        .host = STR("mx.there.test"),
        .address = STR("192.0.2.1"),
        .reply = reply,
        .replies = 2,
        .result = result,
        .results = d->rcpts};

    reply[0] = (struct co_reply){250, {2, 0, 0}, STR("taken")};
    if (verdict == CO_FAILED)
        reply[0] = (struct co_reply){550, {5, 1, 1}, STR("nobody of that name")};
    if (verdict == CO_DEFERRED)
        reply[0] = (struct co_reply){451, {4, 7, 1}, STR("greylisted")};
    reply[1] = (struct co_reply){452, {4, 5, 3}, STR("too many")};
    for (uint32_t i = 0; i < d->rcpts; i++)
        result[i] = (struct co_result){
            d->rcpt[i].index, d->rcpt[i].index == but ? other : verdict, d->rcpt[i].index == but};
    return o;
}

/* ---- the queue, its spool, and a reporter that remembers */

static int take_report(void *arg, const struct report *what, struct err *e)
{
    (void)arg;
    w.reports++;
    w.reported = what->rcpt[0];
    snprintf(w.text, sizeof w.text, "%.*s", STR_ARG(what->rcpt[0].text));
    return spool_commit(w.spool, NULL, 0, what->change, what->changes, SPOOL_OWN, e);
}

static int on_live(void *arg, const struct spool_found *f)
{
    (void)arg;
    return queue_add(w.queue, f);
}

static void on_durable(void *arg)
{
    (void)arg;
    if (w.queue)
        queue_durable(w.queue);
}

static void open_all(void)
{
    struct directory_settings directory = {.sys = &sys_real, .origin = STR("example.test")};
    struct queue_settings settings = {.config = w.config, .event = &event};
    struct queue_parts parts = {.reports = {.report = take_report}};
    struct spool_settings spool = {
        .sys = &sys_real, .segment = 1 << 20, .on_live = on_live, .on_durable = on_durable};
    char db[128], path[128];
    struct err e;

    snprintf(db, sizeof db, "%s/control.db", base);
    snprintf(path, sizeof path, "%s/spool", base);
    directory.path = db;
    spool.path = path;
    check(directory_open(&w.directory, &directory, &e), &e);
    settings.directory = w.directory;
    check(queue_open(&w.queue, &settings, &e), &e);
    check(spool_open(&w.spool, &spool, &e), &e);
    parts.spool = w.spool;
    check(queue_start(w.queue, &parts, &e), &e);
    connect_outbound();
}

/* As when the process dies: nothing is said to outbound, nothing is waited for. */
static void close_all(void)
{
    channel_close(&w.outbound);
    queue_close(&w.queue);
    spool_close(&w.spool);
    directory_close(&w.directory);
}

static void release(struct spool_message *m)
{
    mem_free(m);
}

/* A message from a@here.test to these, in the spool and so in the queue. */
static uint64_t send_to(const char *const *to, uint32_t count, uint8_t notify)
{
    struct ic_recipient given[8] = {0};
    struct target target[8] = {0};
    struct envelope v = {.arrived_ms = wall_ms(), .target = target, .targets = count};
    struct spool_message *m;
    struct buf text;
    struct str *content;
    char *p;
    struct err e;

    for (uint32_t i = 0; i < count; i++) {
        given[i] = (struct ic_recipient){.address = str_c(to[i]), .notify = notify};
        target[i] = (struct target){TARGET_ADDRESS, i, 0, str_c(to[i])};
    }
    v.given = (struct ic_envelope){
        .id = ++w.next_id, .reverse_path = STR("a@here.test"), .rcpt = given, .count = count};
    buf_init(&text, 1 << 16);
    envelope_encode(&v, &text);
    m = mem_zalloc(sizeof *m + sizeof *content + buf_len(&text));
    assert_non_null(m);
    content = (struct str *)(void *)(m + 1);
    p = (char *)(content + 1);
    memcpy(p, buf_str(&text).p, buf_len(&text));
    *content = STR("Subject: x\r\n\r\nbody\r\n");
    *m = (struct spool_message){.id = w.next_id,
        .rcpts = count,
        .envelope = str_of(p, buf_len(&text)),
        .prefix = STR("Received: by test\r\n"),
        .content = content,
        .pieces = 1,
        .release = release};
    buf_done(&text);
    check(spool_commit(w.spool, &m, 1, NULL, 0, SPOOL_MAIL, &e), &e);
    return w.next_id;
}

static uint64_t send_one(const char *to)
{
    return send_to(&to, 1, 0);
}

static uint64_t messages(void)
{
    struct queue_stats s;

    queue_stats(w.queue, &s);
    return s.messages;
}

/* Turns of the loop until something is so; the test's deadline is the runner's. */
#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    assert_int_equal(fiber_sleep(1, NULL), 0)

static struct co_delivery take_opened(void)
{
    struct co_given g;

    UNTIL(w.opened);
    g = next(NULL);
    assert_int_equal(g.kind, CO_DELIVERY);
    return g.delivery;
}

/* The idle connection is told of work. */
static struct co_given take_woken(void)
{
    struct co_given g;

    do {
        UNTIL(w.works != w.seen);
        w.seen = w.works;
        g = next(NULL);
    } while (g.kind == CO_NOTHING); /* told twice */
    return g;
}

static void give_outcome(struct co_outcome o, enum co_given_kind then)
{
    assert_int_equal(next(&o).kind, then);
}

/* ---- tests */

static void sent(void)
{
    struct co_delivery d;
    uint64_t id = send_one("b@there.test");

    d = take_opened();
    assert_int_equal(d.id, id);
    assert_true(str_eq(d.reverse_path, STR("a@here.test")));
    assert_true(str_eq(d.prefix, STR("Received: by test\r\n")));
    assert_true(str_eq(d.content, STR("Subject: x\r\n\r\nbody\r\n")));
    assert_int_equal(d.content_size, d.content.n);
    assert_true(str_eq(d.rcpt[0].address, STR("b@there.test")));
    give_outcome(outcome_of(&d, CO_RELAYED, 99, CO_SENT), CO_NOTHING);
    UNTIL(!messages());
    UNTIL(w.confirmed == 1); /* and not before it is durable */
    assert_int_equal(w.reports, 0);
}

/* An idle connection is woken instead of another one opened. */
static void next_over_the_same(void)
{
    uint32_t before = w.opened;
    struct co_given g;

    send_one("c@there.test");
    g = take_woken();
    assert_int_equal(w.opened, before);
    assert_int_equal(g.kind, CO_DELIVERY);
    give_outcome(outcome_of(&g.delivery, CO_FAILED, 99, CO_SENT), CO_NOTHING);
    UNTIL(!messages());
    assert_int_equal(w.reports, 1);
    assert_int_equal(w.reported.kind, REPORT_FAILED);
    assert_int_equal(w.reported.code, 550);
    assert_string_equal(w.text, "nobody of that name");
}

/* RFC 5321 4.5.3.1.10: what was one too many goes at once, without those that have it. */
static void untried_goes_again(void)
{
    static const char *const to[] = {"b@there.test", "c@there.test", "d@there.test"};
    struct co_given g;

    send_to(to, 3, 0);
    g = take_woken();
    assert_int_equal(g.delivery.rcpts, 3);
    g = next(&(struct co_outcome[]){outcome_of(&g.delivery, CO_SENT, 1, CO_UNTRIED)}[0]);
    if (g.kind == CO_NOTHING)
        g = take_woken();
    w.seen = w.works;
    assert_int_equal(g.kind, CO_DELIVERY);
    assert_int_equal(g.delivery.rcpts, 1);
    assert_int_equal(g.delivery.rcpt[0].index, 1);
    give_outcome(outcome_of(&g.delivery, CO_SENT, 99, CO_SENT), CO_NOTHING);
    UNTIL(!messages());
}

static struct queue_rcpt shown(uint64_t id)
{
    struct queue_detail detail;
    struct err e;

    check(queue_show(w.queue, &w.arena, id, 10, &detail, &e), &e);
    return detail.rcpt[0];
}

static void deferred_says_why(void)
{
    uint64_t id = send_one("e@there.test"), count;
    struct queue_filter to = {.to = STR("e@there.test")};
    struct queue_rcpt rcpt;
    struct co_given g;
    struct err e;

    g = take_woken();
    give_outcome(outcome_of(&g.delivery, CO_DEFERRED, 99, CO_SENT), CO_NOTHING);
    rcpt = shown(id);
    assert_int_equal(rcpt.state, QUEUE_RCPT_DEFERRED);
    assert_int_equal(rcpt.attempts, 1);
    assert_int_equal(rcpt.last.code, 451);
    assert_true(str_find_str(rcpt.why, STR("greylisted; next try ")) > 0);
    check(queue_hold(w.queue, &to, &count, &e), &e);
    assert_int_equal(count, 1);
    assert_int_equal(shown(id).state, QUEUE_RCPT_HELD);
    check(queue_release(w.queue, &to, &count, &e), &e);
    assert_int_equal(count, 1);
    g = take_woken();
    assert_int_equal(g.delivery.id, id);
    give_outcome(outcome_of(&g.delivery, CO_DEFERRED, 99, CO_SENT), CO_NOTHING);
    check(queue_remove(w.queue, &to, &count, &e), &e);
    assert_int_equal(count, 1);
    assert_int_equal(messages(), 0);
}

/* DESIGN.md 2, Death: nobody knows whether it was sent (RFC 1047). */
static void death_of_outbound(void)
{
    uint64_t id = send_one("f@there.test");
    struct queue_stats s;

    assert_int_equal(take_woken().kind, CO_DELIVERY);
    channel_close(&w.outbound);
    UNTIL(shown(id).state == QUEUE_RCPT_DEFERRED);
    queue_stats(w.queue, &s);
    assert_int_equal(s.unknown, 1);
    assert_int_equal(shown(id).attempts, 1);
    w.opened = 0;
    connect_outbound();
}

/* An outcome that the core before did not confirm is told to the next one, and counts once. */
static void death_of_core(void)
{
    struct queue_filter old = {.to = STR("f@there.test")};
    struct co_attach a = {.last = true};
    struct co_outcome o;
    struct co_delivery d;
    struct err e;
    uint64_t id = send_one("g@there.test"), count;

    check(queue_remove(w.queue, &old, &count, &e), &e);
    attach(&a);
    d = take_opened();
    assert_int_equal(d.id, id);
    close_all();
    w.opened = 0;
    open_all();
    UNTIL(messages() == 1);
    o = outcome_of(&d, CO_SENT, 99, CO_SENT);
    a.outcome = &o;
    a.outcomes = 1;
    w.confirmed = 0;
    attach(&a);
    UNTIL(!messages());
    UNTIL(w.confirmed == 1);
    assert_int_equal(w.opened, 0);
}

/* What an outbound still has in hand is nobody else's until it says what came of it. */
static void flying(void)
{
    struct co_flying f;
    struct co_attach a = {.last = true};
    struct co_delivery d;
    struct co_outcome o;

    send_one("h@there.test");
    d = take_opened();
    close_all();
    w.opened = 0;
    open_all();
    f = (struct co_flying){d.id, d.attempt};
    a.flying = &f;
    a.flyings = 1;
    attach(&a);
    assert_int_equal(fiber_sleep(20, NULL), 0);
    assert_int_equal(messages(), 1);
    o = outcome_of(&d, CO_SENT, 99, CO_SENT);
    a = (struct co_attach){.last = true, .late = true, .outcome = &o, .outcomes = 1};
    attach(&a);
    UNTIL(!messages());
}

static void say_closed(enum co_end end)
{
    struct co_closed v = {.assignment = w.opened, .end = end, .why = {451, {4, 0, 0}, STR("no")}};
    struct buf payload;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    co_closed_encode(&v, &payload);
    assert_true(buf_ok(&payload));
    assert_true(channel_try_notify(w.outbound, CO_CLOSED, buf_str(&payload)));
    buf_done(&payload);
}

static void ask_next(void *arg)
{
    *(struct co_given *)arg = next(NULL);
}

/* A hostile outbound ends a connection twice while its question is being answered. */
static void ended_twice(void)
{
    struct co_attach a = {.last = true};
    struct co_given g = {0};
    struct scope scope;
    struct err e;
    uint64_t id = send_one("i@there.test");

    close_all(); /* then the message has to be read, which takes a moment */
    w.opened = 0;
    open_all();
    attach(&a);
    UNTIL(w.opened);
    scope_init(&scope);
    check(fiber_start(&scope, "next", ask_next, &g, &e), &e);
    assert_int_equal(fiber_yield(NULL), 0);
    say_closed(CO_ENDED_LOST);
    say_closed(CO_ENDED_LOST);
    scope_join(&scope);
    assert_int_equal(g.kind, CO_DELIVERY);
    UNTIL(shown(id).state == QUEUE_RCPT_DEFERRED);
    assert_int_equal(shown(id).attempts, 1);
}

/* One that drains declines what it is told to open: it is not told so again and again. */
static void declined(void)
{
    struct queue_filter old = {.to = STR("i@there.test")};
    uint64_t id, count;
    uint32_t first;
    struct err e;

    check(queue_remove(w.queue, &old, &count, &e), &e);
    w.opened = 0;
    id = send_one("j@there.test");
    UNTIL(w.opened);
    first = w.opened;
    for (int i = 0; i < 20 && w.opened == first; i++) {
        if (i == 0)
            say_closed(CO_ENDED_DONE);
        assert_int_equal(fiber_sleep(1, NULL), 0);
    }
    assert_int_equal(w.opened, first);
    UNTIL(w.opened != first);
    assert_int_equal(next(NULL).delivery.id, id);
}

/* An outbound that is attached brings outcomes of what it said was on its way, and no others. */
static void outcome_of_what_was_not_given(void)
{
    struct co_rcpt rcpt = {.index = 0};
    struct co_delivery d = {
        .id = send_one("k@there.test"), .attempt = 1, .rcpt = &rcpt, .rcpts = 1};
    struct co_outcome o = outcome_of(&d, CO_SENT, 99, CO_SENT);
    struct co_attach a = {.last = true, .late = true, .outcome = &o, .outcomes = 1};
    uint64_t before = messages();

    w.confirmed = 0;
    attach(&a);
    UNTIL(w.confirmed); /* maybe with others */
    assert_int_equal(messages(), before);
    assert_int_equal(shown(d.id).attempts, 0);
}

FIBER_TEST(test_life)
{
    static const char text[] = "hostname = \"mx.example.test\"\ndata = \"/nowhere\"\n"
                               "route \"*\" { via = \"smtp:[192.0.2.1]:25\" }\n"
                               "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n";
    struct config_problems problems = {0};
    struct co_attach first = {.last = true};

    arena_init(&w.arena, 1 << 22);
    w.config = config_parse(str_c(text), &w.arena, &problems);
    if (!w.config)
        fail_msg("%.*s", STR_ARG(problems.v[0].text));
    open_all();
    attach(&first);
    sent();
    next_over_the_same();
    untried_goes_again();
    deferred_says_why();
    death_of_outbound();
    death_of_core();
    flying();
    ended_twice();
    declined();
    outcome_of_what_was_not_given();
    close_all();
    config_free(w.config);
    arena_done(&w.arena);
}

int main(void)
{
    static const uint8_t key[16] = {1};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_life)};
    int failed;

    table_seed(key);
    log_open(&(struct log_settings){.fd = 2, .level = LOG_ERROR, .process = "test"});
    if (temp_dir_make(base, sizeof base, NULL, "queue") < 0)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    temp_dir_remove(base);
    return failed;
}
