#include "outbound/smtp/rig.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    WAIT_MS = 20000,
    MEMORY_MAX = 512 << 20,
    FRAME_ROOM = 60000,
};

static struct config *make_config(struct rig *r, const char *options)
{
    struct config_problems problems = {0};
    struct str text = arena_printf(&r->arena,
        "hostname = \"out.here.example\"\ndata = \"/nonexistent\"\n%s\n%s\n"
        "listen \"test\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n",
        strstr(options, "mx-private") ? "" : "mx-private = yes", options);
    struct config *c = config_parse(text, &r->arena, &problems);

    for (uint32_t i = 0; i < problems.count; i++)
        fprintf(stderr, "line %u: %.*s\n", problems.v[i].line, STR_ARG(problems.v[i].text));
    CHECK(c);
    return c;
}

/* ---- the stub of core */

static void reply(struct channel_call to, struct buf *b)
{
    CHECK(buf_ok(b));
    channel_reply(to, buf_str(b));
    buf_done(b);
}

static bool same_text(const struct co_outcome *a, const struct co_outcome *b)
{
    struct buf x, y;
    bool same;

    buf_init(&x, CHANNEL_FRAME_MAX);
    buf_init(&y, CHANNEL_FRAME_MAX);
    co_outcome_encode(a, &x);
    co_outcome_encode(b, &y);
    CHECK(buf_ok(&x) && buf_ok(&y));
    same = str_eq(buf_str(&x), buf_str(&y));
    buf_done(&x);
    buf_done(&y);
    return same;
}

static void confirm(struct rig *r, const struct co_outcome *o)
{
    struct co_flying key = {o->id, o->attempt};
    struct buf b;

    if (!r->confirms)
        return;
    buf_init(&b, 64);
    co_confirm_encode(&key, 1, &b);
    CHECK(channel_try_notify(r->core, CO_CONFIRM, buf_str(&b)));
    buf_done(&b);
    r->confirmed++;
}

/* Told twice it changes nothing, and is the same. */
static void note_outcome(struct rig *r, const struct co_outcome *told, bool late)
{
    struct rig_outcome *o;
    struct buf b;

    confirm(r, told);
    LIST_EACH(link, &r->outcomes)
    {
        o = LIST_ENTRY(link, struct rig_outcome, link);
        if (o->outcome.id == told->id && o->outcome.attempt == told->attempt) {
            CHECK(same_text(&o->outcome, told));
            return;
        }
    }
    o = MEM_NEW(struct rig_outcome);
    CHECK(o);
    arena_init(&o->arena, MEMORY_MAX);
    buf_init(&b, CHANNEL_FRAME_MAX);
    co_outcome_encode(told, &b);
    struct str copy;
    CHECK(arena_dup(&o->arena, buf_str(&b), &copy));
    CHECK(co_outcome_decode(&o->arena, copy, &o->outcome, NULL) == 0);
    buf_done(&b);
    o->late = late;
    list_add(&r->outcomes, &o->link);
}

static uint32_t rcpts_that_fit(const struct rig_delivery *d, uint32_t from)
{
    size_t octets = 0;
    uint32_t n = 0;

    while (from + n < d->given.rcpts_total && octets < FRAME_ROOM / 2) {
        octets += d->given.rcpt[from + n].address.n + d->given.rcpt[from + n].orcpt.n + 16;
        n++;
    }
    return n;
}

static void give(struct rig *r, struct channel_call from)
{
    struct co_given given = {.kind = CO_NOTHING};
    struct buf b;

    if (!list_empty(&r->deliveries)) {
        struct rig_delivery *d = LIST_FIRST(&r->deliveries, struct rig_delivery, link);
        list_remove(&d->link);
        r->given = d;
        d->given.content_size = d->content.n;
        d->given.content = str_head(d->content, d->inline_max);
        d->given.rcpts = d->rcpts_inline ? d->rcpts_inline : rcpts_that_fit(d, 0);
        given = (struct co_given){CO_DELIVERY, d->given};
    }
    buf_init(&b, CHANNEL_FRAME_MAX);
    co_given_encode(&given, &b);
    reply(from, &b);
}

static void on_next(struct rig *r, struct channel_call from, struct arena *a, struct str payload)
{
    struct co_next next;

    CHECK(co_next_decode(a, payload, &next, NULL) == 0);
    r->greeted += next.greeted;
    r->last_next = next;
    if (next.has_outcome)
        note_outcome(r, &next.outcome, false);
    if (r->mute)
        r->asked = from;
    else
        give(r, from);
}

static void on_read(struct rig *r, struct channel_call from, struct str payload)
{
    struct co_read read;

    CHECK(co_read_decode(payload, &read, NULL) == 0 && r->given);
    CHECK(read.at + read.n <= r->given->content.n);
    channel_reply(
        from, str_sub(r->given->content, (size_t)read.at, r->given->unreadable ? 0 : read.n));
}

static void on_rcpts(struct rig *r, struct channel_call from, struct str payload)
{
    uint32_t assignment, at;
    struct buf b;

    CHECK(co_rcpts_ask_decode(payload, &assignment, &at, NULL) == 0 && r->given);
    buf_init(&b, CHANNEL_FRAME_MAX);
    co_rcpts_encode(r->given->given.rcpt + at, rcpts_that_fit(r->given, at), &b);
    reply(from, &b);
}

static void on_closed_told(struct rig *r, struct str payload)
{
    struct rig_closed *c = MEM_NEW(struct rig_closed);

    CHECK(c);
    arena_init(&c->arena, MEMORY_MAX);
    buf_init(&c->frame, CHANNEL_FRAME_MAX);
    buf_put(&c->frame, payload);
    CHECK(co_closed_decode(&c->arena, buf_str(&c->frame), &c->closed, NULL) == 0);
    if (c->closed.has_outcome)
        note_outcome(r, &c->closed.outcome, false);
    list_add(&r->closed, &c->link);
}

static void on_attach(struct rig *r, struct channel_call from, struct arena *a, struct str payload)
{
    struct co_attach attach;

    CHECK(co_attach_decode(a, payload, &attach, NULL) == 0);
    r->attaches += attach.last && !attach.late;
    r->flying += attach.flyings;
    for (uint32_t i = 0; i < attach.outcomes; i++)
        note_outcome(r, &attach.outcome[i], attach.late);
    channel_reply(from, STR(""));
}

/* Allocations of the stubs neither count nor fail. */
static void stub_begins(struct rig *r)
{
    uint64_t counted = mem_fail_at(0);

    r->fail_at -= counted < r->fail_at ? counted : r->fail_at;
}

static void stub_ends(struct rig *r)
{
    mem_fail_at(r->fail_at);
}

static bool core_frame(
    void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct rig *r = arg;
    struct arena a;

    CHECK(fd < 0);
    stub_begins(r);
    arena_init(&a, MEMORY_MAX);
    switch ((enum co_type)type) {
    case CO_ATTACH:
        on_attach(r, from, &a, payload);
        break;
    case CO_NEXT:
        on_next(r, from, &a, payload);
        break;
    case CO_READ:
        on_read(r, from, payload);
        break;
    case CO_RCPTS:
        on_rcpts(r, from, payload);
        break;
    case CO_CLOSED:
        on_closed_told(r, payload);
        break;
    case CO_OPEN:
    case CO_WORK:
    case CO_CLOSE:
    case CO_CONFIRM:
        UNREACHABLE();
    }
    arena_done(&a);
    stub_ends(r);
    return false;
}

static void core_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct rig *r = arg;

    (void)channel;
    (void)why;
    channel_close(&r->core);
}

static int make_pair(
    struct channel **c, const struct channel_handler *handler, struct rig *r, const char *peer)
{
    int pair[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(channel_open(c, pair[0], peer, handler, r, NULL) == 0);
    return pair[1];
}

void rig_core_back(struct rig *r)
{
    static const struct channel_handler handler = {
        .on_frame = core_frame, .on_closed = core_closed};
    uint32_t before = r->attaches;

    CHECK(to_core_attach(&r->to_core, make_pair(&r->core, &handler, r, "outbound"), NULL) == 0);
    while (r->attaches == before)
        CHECK(fiber_yield(NULL) == 0);
}

void rig_core_away(struct rig *r)
{
    channel_close(&r->core);
    while (r->to_core.channel)
        CHECK(fiber_yield(NULL) == 0);
}

static void say(struct rig *r, enum co_type type, struct buf *b)
{
    CHECK(buf_ok(b));
    CHECK(channel_try_notify(r->core, (uint16_t)type, buf_str(b)));
    buf_done(b);
}

void rig_say_open(struct rig *r, const struct co_open *open)
{
    struct buf b;

    buf_init(&b, CHANNEL_FRAME_MAX);
    co_open_encode(open, &b);
    say(r, CO_OPEN, &b);
}

static void say_number(struct rig *r, enum co_type type, uint32_t assignment)
{
    struct buf b;

    buf_init(&b, 64);
    co_assignment_encode(assignment, &b);
    say(r, type, &b);
}

void rig_say_work(struct rig *r, uint32_t assignment)
{
    say_number(r, CO_WORK, assignment);
}

void rig_say_close(struct rig *r, uint32_t assignment)
{
    say_number(r, CO_CLOSE, assignment);
}

void rig_answer_next(struct rig *r)
{
    r->mute = false;
    give(r, r->asked);
}

/* ---- the stub of the resolver */

static bool resolver_frame(
    void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct rig *r = arg;
    struct dns_question q;
    struct dns_answer answer = {.status = DNS_NO_NAME, .ttl_s = 60, .why = STR("no such name")};
    struct buf b;

    CHECK(fd < 0 && type == DNS_ASK && dns_question_decode(payload, &q, NULL) == 0);
    answer.name = q.name;
    LIST_EACH(link, &r->names)
    {
        struct rig_name *n = LIST_ENTRY(link, struct rig_name, link);
        if (str_eq(n->name, q.name)) {
            answer.status = DNS_NO_DATA;
            if (n->type == q.type) {
                answer = n->answer;
                break;
            }
        }
    }
    buf_init(&b, CHANNEL_FRAME_MAX);
    dns_answer_encode(q.type, &answer, &b);
    reply(from, &b);
    return false;
}

static void resolver_closed(void *arg, struct channel *channel, const struct err *why)
{
    (void)channel;
    (void)why;
    channel_close(&((struct rig *)arg)->resolver);
}

/* ---- the servers */

static void listen_on(struct rig *r, unsigned server)
{
    char text[32];
    struct net_address *at = &r->at[server];

    snprintf(text, sizeof text, "127.0.0.%u:0", server + 2);
    CHECK(net_parse(str_c(text), at, NULL) == 0);
    CHECK(net_listen(at, 0600, 16, &r->listener[server], 1, NULL) == 0);
    at->len = sizeof at->in;
    CHECK(getsockname(r->listener[server], &at->any, &at->len) == 0);
}

void rig_deafen(struct rig *r, unsigned server)
{
    close(r->listener[server]);
    r->listener[server] = -1;
}

bool rig_accept(struct rig *r, unsigned server)
{
    uint64_t until = run_now_fresh() + WAIT_MS;
    int fd = -1;

    rig_hang_up(r);
    while (fd < 0 && run_now_fresh() < until) {
        CHECK(fiber_yield(NULL) == 0);
        fd = accept4(r->listener[server], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    if (fd < 0)
        return false;
    CHECK(stream_open(&r->server, fd, NULL) == 0);
    return true;
}

void rig_hang_up(struct rig *r)
{
    stream_close(&r->server);
}

void rig_turns(struct rig *r, unsigned turns)
{
    (void)r;
    while (turns--)
        CHECK(fiber_yield(NULL) == 0);
}

/* The client may have ended the connection: what comes of it is seen in what it says. */
void rig_send(struct rig *r, struct str octets, bool one_by_one)
{
    for (size_t i = 0; one_by_one && i < octets.n; i++) {
        (void)stream_write(r->server, str_sub(octets, i, 1), NULL);
        (void)stream_flush(r->server, NULL);
        rig_turns(r, 2);
    }
    if (one_by_one)
        return;
    (void)stream_write(r->server, octets, NULL);
    (void)stream_flush(r->server, NULL);
}

static struct str kept(struct rig *r, struct str s)
{
    struct str copy;

    CHECK(arena_dup(&r->arena, s, &copy));
    return copy;
}

struct str rig_line(struct rig *r)
{
    uint64_t before = fiber_deadline_shorten(run_now() + WAIT_MS);
    struct str line, got = STR_NONE;

    if (r->server && stream_read_line(r->server, STREAM_IN_MAX, &line, NULL) == 0)
        got = kept(r, line);
    fiber_deadline_restore(before);
    return got;
}

struct str rig_octets(struct rig *r, size_t n)
{
    uint64_t before = fiber_deadline_shorten(run_now() + WAIT_MS);
    struct buf all;
    struct str got;
    int rc = 0;

    buf_init(&all, n + 1);
    while (rc == 0 && buf_len(&all) < n) {
        struct str in = str_head(stream_input(r->server), n - buf_len(&all));
        if (str_empty(in)) {
            rc = stream_fill(r->server, NULL);
            continue;
        }
        buf_put(&all, in);
        stream_consume(r->server, in.n);
    }
    got = kept(r, buf_str(&all));
    buf_done(&all);
    fiber_deadline_restore(before);
    return got;
}

bool rig_ended(struct rig *r)
{
    uint64_t before = fiber_deadline_shorten(run_now() + WAIT_MS);
    struct err e = {0};
    bool ended = str_empty(stream_input(r->server)) && stream_fill(r->server, &e) < 0 &&
                 e.class == ERR_CLOSED;

    fiber_deadline_restore(before);
    return ended;
}

/* ---- what core was told */

static struct list *wait_for(struct rig *r, struct list *list)
{
    uint64_t until = run_now_fresh() + WAIT_MS;

    (void)r;
    while (list_empty(list) && run_now_fresh() < until)
        CHECK(fiber_yield(NULL) == 0);
    return list_take(list);
}

struct rig_outcome *rig_outcome(struct rig *r)
{
    struct list *link = wait_for(r, &r->outcomes);

    return link ? LIST_ENTRY(link, struct rig_outcome, link) : NULL;
}

struct rig_closed *rig_closed(struct rig *r)
{
    struct list *link = wait_for(r, &r->closed);

    return link ? LIST_ENTRY(link, struct rig_closed, link) : NULL;
}

void rig_outcome_free(struct rig_outcome *o)
{
    arena_done(&o->arena);
    mem_free(o);
}

void rig_closed_free(struct rig_closed *c)
{
    arena_done(&c->arena);
    buf_done(&c->frame);
    mem_free(c);
}

/* ---- all of it */

void rig_open(struct rig *r, const char *options)
{
    static const struct channel_handler handler = {
        .on_frame = resolver_frame, .on_closed = resolver_closed};

    *r = (struct rig){.confirms = true};
    arena_init(&r->arena, MEMORY_MAX);
    r->config = make_config(r, options);
    list_init(&r->deliveries);
    list_init(&r->outcomes);
    list_init(&r->closed);
    list_init(&r->names);
    for (unsigned i = 0; i < RIG_SERVERS; i++)
        listen_on(r, i);
    CHECK(own_add_config(&r->own, r->config, NULL) == 0);
    to_core_init(&r->to_core, &r->event);
    dns_client_init(&r->dns, &r->event);
    dns_client_peer(&r->dns, make_pair(&r->resolver, &handler, r, "outbound"));
    CHECK(courier_service_open(
              &r->service, r->config, &r->to_core, &r->dns, &r->own, &r->event, NULL) == 0);
    rig_core_back(r);
}

void rig_close(struct rig *r)
{
    struct list *link;

    rig_hang_up(r);
    courier_service_drain(r->service);
    courier_service_stop_at(r->service, run_now());
    courier_service_close(&r->service);
    to_core_done(&r->to_core);
    dns_client_done(&r->dns);
    own_done(&r->own);
    channel_close(&r->core);
    channel_close(&r->resolver);
    while ((link = list_take(&r->outcomes)))
        rig_outcome_free(LIST_ENTRY(link, struct rig_outcome, link));
    while ((link = list_take(&r->closed)))
        rig_closed_free(LIST_ENTRY(link, struct rig_closed, link));
    for (unsigned i = 0; i < RIG_SERVERS; i++)
        if (r->listener[i] >= 0)
            close(r->listener[i]);
    config_free(r->config);
    arena_done(&r->arena);
}
