#include "inbound/smtp/stub_core.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

enum {
    CONTENT_MAX = 128 << 20
};

static struct stub_upload *find_upload(struct stub_core *c, uint32_t number)
{
    LIST_EACH(link, &c->uploads)
    {
        struct stub_upload *u = LIST_ENTRY(link, struct stub_upload, link);
        if (u->number == number)
            return u;
    }
    return NULL;
}

static void free_upload(struct stub_upload *u)
{
    list_remove(&u->link);
    buf_done(&u->recipients);
    buf_done(&u->digest);
    buf_done(&u->content);
    mem_free(u);
}

static void on_put(struct stub_core *c, struct str payload)
{
    struct ic_put put;
    struct stub_upload *u;

    CHECK(ic_put_decode(payload, &put, NULL) == 0);
    u = find_upload(c, put.upload);
    if (!u) {
        u = MEM_NEW(struct stub_upload);
        CHECK(u);
        u->number = put.upload;
        buf_init(&u->recipients, CONTENT_MAX);
        buf_init(&u->digest, CONTENT_MAX);
        buf_init(&u->content, CONTENT_MAX);
        list_add(&c->uploads, &u->link);
    }
    switch (put.part) {
    case IC_ENVELOPE_RECIPIENTS:
        CHECK(buf_put(&u->recipients, put.octets) == 0);
        return;
    case IC_CONTENT:
        CHECK(buf_put(&u->content, put.octets) == 0);
        return;
    case IC_DIGEST:
        CHECK(buf_put(&u->digest, put.octets) == 0);
        return;
    }
}

static void reply(struct channel_call to, struct buf *b)
{
    CHECK(buf_ok(b));
    channel_reply(to, buf_str(b));
    buf_done(b);
}

static void answer_err(struct channel_call to, const struct err *e)
{
    struct buf b;

    buf_init(&b, 1024);
    enc_err(&b, e);
    reply(to, &b);
}

/* What the recipients that were PUT and those of the frame are together. */
static void join(struct stub_message *m, struct stub_upload *u)
{
    struct ic_envelope *envelope = &m->commit.envelope;

    if (u) {
        buf_put(&m->recipients, buf_str(&u->recipients));
        buf_put(&m->digest, buf_str(&u->digest));
        buf_put(&m->content, buf_str(&u->content));
        free_upload(u);
    }
    ic_recipients_encode(envelope->rcpt, envelope->count, &m->recipients);
    CHECK(ic_recipients_decode(
              &m->arena, buf_str(&m->recipients), &envelope->rcpt, &envelope->count, NULL) == 0);
    buf_put(&m->digest, m->commit.digest);
    buf_put(&m->content, m->commit.content);
}

static void on_commit(struct stub_core *c, struct channel_call from, struct str payload)
{
    struct stub_message *m = MEM_NEW(struct stub_message);
    struct stub_upload *u = NULL;
    struct err e = {0};

    CHECK(m);
    arena_init(&m->arena, CONTENT_MAX);
    buf_init(&m->frame, CHANNEL_FRAME_MAX);
    buf_init(&m->recipients, CONTENT_MAX);
    buf_init(&m->digest, CONTENT_MAX);
    buf_init(&m->content, CONTENT_MAX);
    buf_put(&m->frame, payload);
    CHECK(ic_commit_decode(&m->arena, buf_str(&m->frame), &m->commit, NULL) == 0);
    if (m->commit.upload) {
        u = find_upload(c, m->commit.upload);
        CHECK(u);
    }
    join(m, u);
    CHECK(m->commit.envelope.count > 0);
    CHECK(m->commit.envelope.id >> IC_LEASE_BITS << IC_LEASE_BITS == c->lease);
    CHECK(m->commit.content_size == buf_len(&m->content));
    CHECK(m->commit.content_crc == crc32c(buf_str(&m->content)));
    CHECK(str_starts(m->commit.prefix, STR("Received: ")));
    CHECK(str_ends(m->commit.prefix, STR("\r\n")));
    c->commits++;
    if (c->fail_commits) {
        err_set_status(&e, ERR_TEMPORARY, (struct err_status){4, 3, 1}, "stub", "no space");
        stub_message_free(m);
        answer_err(from, &e);
        return;
    }
    list_add(&c->messages, &m->link);
    c->held = from;
    if (!c->hold_commits)
        answer_err(from, &e);
}

static bool is_local(struct str address)
{
    static const struct str names[] = {STR_INIT("user@here.example"),
        STR_INIT("other@here.example"), STR_INIT("postmaster@here.example"),
        STR_INIT("postmaster")};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq_ascii(address, names[i]))
            return true;
    return str_starts(address, STR("box")) && str_ends_ascii(address, STR("@here.example"));
}

static void resolve(enum ic_right right, struct str address, struct ic_rcpt_answer *a)
{
    *a = (struct ic_rcpt_answer){.verdict = IC_REFUSED};
    if (is_local(address))
        a->verdict = IC_LOCAL;
    else if (str_eq(address, STR("fwd@here.example")))
        a->verdict = IC_FORWARD;
    else if (str_eq(address, STR("later@here.example")))
        err_set_status(
            &a->why, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "stub", "try again later");
    else if (str_ends_ascii(address, STR("@here.example")))
        err_set_status(
            &a->why, ERR_PERMANENT, (struct err_status){5, 1, 1}, "stub", "no such user");
    else if (right == IC_TRUSTED)
        a->verdict = IC_RELAY;
    else
        err_set_status(
            &a->why, ERR_PERMANENT, (struct err_status){5, 7, 1}, "stub", "relaying denied");
}

static void on_rcpt(struct stub_core *c, struct channel_call from, struct str payload)
{
    struct ic_rcpt ask;
    struct buf b;

    arena_reset(&c->scratch);
    CHECK(ic_rcpt_decode(&c->scratch, payload, &ask, NULL) == 0);
    buf_init(&b, CHANNEL_FRAME_MAX);
    c->frames_of_rcpt++;
    for (uint32_t i = 0; i < ask.count; i++) {
        struct ic_rcpt_answer a;
        c->asked_rcpt++;
        resolve(ask.slot & 1 ? IC_TRUSTED : IC_STRANGER, ask.address[i], &a);
        ic_rcpt_answer_encode(&a, &b);
    }
    reply(from, &b);
}

static enum ic_right right_of(const struct config *config, const uint8_t address[16])
{
    static const uint8_t local[16];
    struct net_address a = {.len = sizeof a.in6, .in6 = {.sin6_family = AF_INET6}};

    memcpy(&a.in6.sin6_addr, address, 16);
    for (uint32_t i = 0; i < config->relay.allow.count; i++)
        if (net_block_contains(&config->relay.allow.v[i], &a))
            return IC_TRUSTED;
    return memcmp(address, local, 16) == 0 ? IC_TRUSTED : IC_STRANGER;
}

static void on_admit(struct stub_core *c, struct channel_call from, struct str payload)
{
    struct ic_admitted answer = {.ok = !c->refuse_connections};
    struct ic_admit ask;
    struct buf b;

    CHECK(ic_admit_decode(payload, &ask, NULL) == 0);
    answer.right = right_of(c->config, ask.address);
    answer.slot = 2 * c->admitted + (answer.right == IC_TRUSTED);
    if (answer.ok)
        c->admitted++;
    else
        err_set_status(&answer.why, ERR_TEMPORARY, (struct err_status){4, 7, 0}, "stub",
            "too many connections");
    buf_init(&b, 1024);
    ic_admitted_encode(&answer, &b);
    reply(from, &b);
}

static void on_lease(struct stub_core *c, struct channel_call from)
{
    struct buf b;

    c->lease += UINT64_C(1) << IC_LEASE_BITS;
    buf_init(&b, 64);
    ic_lease_encode(&(struct ic_lease){c->lease}, &b);
    reply(from, &b);
}

static void take_frame(
    struct stub_core *c, struct channel_call from, uint16_t type, struct str payload)
{
    struct stub_upload *u;
    struct dec d = dec_of(payload);

    if (payload.n > c->largest_frame)
        c->largest_frame = payload.n;
    switch ((enum ic_type)type) {
    case IC_LEASE:
        on_lease(c, from);
        return;
    case IC_ADMIT:
        on_admit(c, from, payload);
        return;
    case IC_RELEASE:
        CHECK(dec_u32(&d) / 2 < c->admitted && dec_done(&d, "release", NULL) == 0);
        c->released++;
        return;
    case IC_RCPT:
        on_rcpt(c, from, payload);
        return;
    case IC_PUT:
        on_put(c, payload);
        if (from.call)
            channel_reply(from, STR(""));
        return;
    case IC_ABORT:
        u = find_upload(c, dec_u32(&d));
        if (u) /* one that a refused commit used up is aborted as well */
            free_upload(u);
        c->aborts++;
        return;
    case IC_COMMIT:
        on_commit(c, from, payload);
        return;
    case IC_STATE:
    case IC_DIGEST_PUT:
    case IC_DIGEST_END:
        break;
    }
    UNREACHABLE();
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct stub_core *c = arg;
    uint64_t counted = mem_fail_at(0);

    CHECK(fd < 0);
    c->fail_at -= counted < c->fail_at ? counted : c->fail_at;
    take_frame(c, from, type, payload);
    mem_fail_at(c->fail_at);
    return false;
}

static void on_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct stub_core *c = arg;

    (void)channel;
    (void)why;
    channel_close(&c->channel);
}

void stub_core_init(struct stub_core *c, const struct config *config)
{
    *c = (struct stub_core){.config = config};
    list_init(&c->messages);
    list_init(&c->uploads);
    arena_init(&c->scratch, 1 << 20);
}

int stub_core_start(struct stub_core *c)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    int pair[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(channel_open(&c->channel, pair[0], "inbound", &handler, c, NULL) == 0);
    return pair[1];
}

void stub_core_stop(struct stub_core *c)
{
    channel_close(&c->channel);
    while (!list_empty(&c->uploads))
        free_upload(LIST_FIRST(&c->uploads, struct stub_upload, link));
}

void stub_core_done(struct stub_core *c)
{
    struct stub_message *m;

    stub_core_stop(c);
    while ((m = stub_core_take(c)))
        stub_message_free(m);
    arena_done(&c->scratch);
}

void stub_core_say_state(struct stub_core *c, enum ic_state state)
{
    char octet = (char)state;

    CHECK(channel_try_notify(c->channel, IC_STATE, str_of(&octet, 1)));
}

struct stub_message *stub_core_take(struct stub_core *c)
{
    struct list *link = list_take(&c->messages);

    return link ? LIST_ENTRY(link, struct stub_message, link) : NULL;
}

void stub_message_free(struct stub_message *m)
{
    buf_done(&m->frame);
    buf_done(&m->recipients);
    buf_done(&m->digest);
    buf_done(&m->content);
    arena_done(&m->arena);
    mem_free(m);
}
