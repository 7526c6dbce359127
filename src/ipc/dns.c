#include "ipc/dns.h"

#include <unistd.h>

#include "base/check.h"

#include "wire/dns_packet.h"

#include "ipc/channel.h"
#include "ipc/role.h"

enum {
    TEXT_MAX = 512, /* octets of `why` */
    MX_LEAST = 6,   /* as encoded */
    TRIES = 2,      /* a second one where the resolver died over the first */
};

bool dns_type_known(unsigned type)
{
    switch (type) {
    case DNS_A:
    case DNS_CNAME:
    case DNS_PTR:
    case DNS_MX:
    case DNS_TXT:
    case DNS_AAAA:
    case DNS_TLSA:
        return true;
    default:
        return false;
    }
}

const char *dns_type_name(enum dns_type type)
{
    switch (type) {
    case DNS_A:
        return "A";
    case DNS_CNAME:
        return "CNAME";
    case DNS_PTR:
        return "PTR";
    case DNS_MX:
        return "MX";
    case DNS_TXT:
        return "TXT";
    case DNS_AAAA:
        return "AAAA";
    case DNS_TLSA:
        return "TLSA";
    }
    UNREACHABLE();
}

/* ---- the messages */

/* Into the arena, which outlives the payload. *memory turns false where it has no room. */
static struct str dup_str(struct dec *d, struct arena *a, struct str s, bool *memory)
{
    struct str copy = STR_NONE;

    if (!d->bad && !arena_dup(a, s, &copy))
        *memory = false;
    return copy;
}

static struct str dup_text(struct dec *d, struct arena *a, size_t max, bool *memory)
{
    return dup_str(d, a, dec_text(d, max), memory);
}

static struct str dup_octets(struct dec *d, struct arena *a, bool *memory)
{
    return dup_str(d, a, dec_str(d, CHANNEL_FRAME_MAX), memory);
}

void dns_question_encode(const struct dns_question *v, struct buf *out)
{
    enc_u16(out, (uint16_t)v->type);
    enc_text(out, v->name, DNS_NAME_MAX);
    out->bad |= !dns_name_sound(v->name);
}

int dns_question_decode(struct str p, struct dns_question *v, struct err *e)
{
    struct dec d = dec_of(p);
    uint16_t type = dec_u16(&d);

    v->name = dec_str(&d, DNS_NAME_MAX);
    d.bad |= !dns_type_known(type) || !dns_name_sound(v->name);
    v->type = (enum dns_type)type;
    return dec_done(&d, "dns question", e);
}

static void record_encode(enum dns_type type, const struct dns_record *v, struct buf *out)
{
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        buf_put(out, str_of((const char *)v->address, sizeof v->address));
        return;
    case DNS_MX:
        enc_u16(out, v->mx.preference);
        enc_text(out, v->mx.host, DNS_NAME_TEXT_MAX);
        return;
    case DNS_CNAME:
    case DNS_PTR:
        enc_text(out, v->name, DNS_NAME_TEXT_MAX);
        return;
    case DNS_TXT:
        enc_str(out, v->text);
        return;
    case DNS_TLSA:
        enc_u8(out, v->tlsa.usage);
        enc_u8(out, v->tlsa.selector);
        enc_u8(out, v->tlsa.matching);
        enc_str(out, v->tlsa.data);
        return;
    }
    UNREACHABLE();
}

static void record_decode(
    struct dec *d, struct arena *a, enum dns_type type, struct dns_record *v, bool *memory)
{
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        for (size_t i = 0; i < sizeof v->address; i++)
            v->address[i] = dec_u8(d);
        return;
    case DNS_MX:
        v->mx.preference = dec_u16(d);
        v->mx.host = dup_text(d, a, DNS_NAME_TEXT_MAX, memory);
        return;
    case DNS_CNAME:
    case DNS_PTR:
        v->name = dup_text(d, a, DNS_NAME_TEXT_MAX, memory);
        return;
    case DNS_TXT:
        v->text = dup_octets(d, a, memory);
        return;
    case DNS_TLSA:
        v->tlsa.usage = dec_u8(d);
        v->tlsa.selector = dec_u8(d);
        v->tlsa.matching = dec_u8(d);
        v->tlsa.data = dup_octets(d, a, memory);
        return;
    }
    UNREACHABLE();
}

void dns_answer_encode(enum dns_type type, const struct dns_answer *v, struct buf *out)
{
    if (v->count > DNS_RECORDS_MAX)
        out->bad = true;
    enc_u8(out, (uint8_t)v->status);
    enc_bool(out, v->secure);
    enc_bool(out, v->cut);
    enc_u32(out, v->ttl_s);
    enc_text(out, v->name, DNS_NAME_TEXT_MAX);
    enc_text(out, str_head(v->why, TEXT_MAX), TEXT_MAX);
    enc_u32(out, v->count);
    for (uint32_t i = 0; i < v->count && buf_ok(out); i++)
        record_encode(type, &v->records[i], out);
}

int dns_answer_decode(
    struct arena *a, enum dns_type type, struct str p, struct dns_answer *v, struct err *e)
{
    struct dec d = dec_of(p);
    bool memory = true;

    *v = (struct dns_answer){.status = (enum dns_status)dec_enum(&d, DNS_BOGUS)};
    v->secure = dec_bool(&d);
    v->cut = dec_bool(&d);
    v->ttl_s = dec_u32(&d);
    v->name = dup_text(&d, a, DNS_NAME_TEXT_MAX, &memory);
    v->why = dup_text(&d, a, TEXT_MAX, &memory);
    v->count = dec_count(&d, DNS_RECORDS_MAX, 4);
    d.bad |= (v->status == DNS_FOUND) != (v->count > 0) || v->ttl_s > DNS_TTL_MAX_S;
    if (!d.bad && v->count)
        memory &= (v->records = arena_array(a, v->count, sizeof *v->records)) != NULL;
    for (uint32_t i = 0; i < v->count && memory && !d.bad; i++)
        record_decode(&d, a, type, &v->records[i], &memory);
    return memory ? dec_done(&d, "dns answer", e) : err_memory(e, "dns");
}

void dns_record_address(const struct dns_record *r, uint16_t port, struct net_address *out)
{
    net_from_octets(r->address, port, out);
}

struct str dns_reverse_name(struct arena *a, const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const char digits[] = "0123456789abcdef";
    char text[16 * 4 + 1];
    size_t n = 0;

    if (memcmp(address, mapped, sizeof mapped) == 0)
        return arena_printf(
            a, "%u.%u.%u.%u.in-addr.arpa", address[15], address[14], address[13], address[12]);
    for (size_t i = 16; i-- > 0;) {
        text[n++] = digits[address[i] & 15];
        text[n++] = '.';
        text[n++] = digits[address[i] >> 4];
        text[n++] = '.';
    }
    text[n] = '\0';
    return arena_printf(a, "%sip6.arpa", text);
}

/* ---- asking */

void dns_client_init(struct dns_client *c, const struct event *event)
{
    *c = (struct dns_client){.event = event};
    cond_init(&c->arrived);
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    (void)arg;
    (void)type;
    (void)payload;
    if (fd >= 0)
        close(fd);
    if (from.call)
        channel_reply(from, STR(""));
    return false;
}

static void on_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct dns_client *c = arg;

    if (c->channel != channel)
        return;
    log_info(c->event, "resolver_gone", kv_err(why));
    channel_close(&c->channel);
    role_peer_lost(ROLE_RESOLVER);
}

void dns_client_peer(struct dns_client *c, int fd)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct err e;

    channel_close(&c->channel);
    if (channel_open(&c->channel, fd, "resolver", &handler, c, &e) < 0) {
        log_warning(c->event, "resolver_gone", kv_err(&e));
        c->channel = NULL;
        return;
    }
    c->absent_until = 0;
    log_debug(c->event, "resolver_attached");
    cond_wake_all(&c->arrived);
}

void dns_client_done(struct dns_client *c)
{
    channel_close(&c->channel);
}

/* An answer that we make ourselves. A name that is none is not repeated: it may hold anything. */
static int made_up(struct arena *a, struct str name, enum dns_status status, const char *why,
    struct dns_answer *out, struct err *e)
{
    struct str shown = dns_name_sound(name) ? name : STR("?");

    *out = (struct dns_answer){.status = status, .ttl_s = DNS_TTL_MIN_S};
    out->why = arena_printf(a, "%.*s: %s", STR_ARG(shown), why);
    return out->why.p && arena_dup(a, shown, &out->name) ? 0 : err_memory(e, "dns");
}

/* Waits for a resolver to come, in vain perhaps. -1: the caller cannot wait any longer. */
static int wait_for_channel(struct dns_client *c, struct err *e)
{
    uint64_t now = run_now(), until = now + DNS_ABSENT_MS, before;
    int rc = 0;

    if (c->channel || now < c->absent_until)
        return fiber_check(e);
    before = fiber_deadline_shorten(until);
    while (rc == 0 && !c->channel)
        rc = cond_wait(&c->arrived, "resolver", e);
    fiber_deadline_restore(before);
    if (rc < 0 && e->class == ERR_DEADLINE && run_now() >= until) {
        c->absent_until = run_now() + DNS_REMEMBER_MS;
        return fiber_check(e);
    }
    return rc;
}

/* 0: there is a reply. 1: the resolver is gone. 2: it took too long. */
static int ask_channel(struct dns_client *c, struct str payload, struct buf *reply, struct err *e)
{
    uint64_t until = run_now() + DNS_QUESTION_MS, before = fiber_deadline_shorten(until);
    int rc = channel_ask(c->channel, DNS_ASK, payload, reply, e);

    fiber_deadline_restore(before);
    if (rc == 0)
        return 0;
    if (e->class == ERR_CLOSED)
        return 1;
    return e->class == ERR_DEADLINE && fiber_check(e) == 0 ? 2 : -1;
}

static int ask_question(struct dns_client *c, struct arena *a, const struct dns_question *q,
    struct str payload, struct buf *reply, struct dns_answer *out, struct err *e)
{
    for (unsigned i = 0; i < TRIES; i++) {
        int rc = wait_for_channel(c, e);
        if (rc < 0)
            return -1;
        if (!c->channel)
            break;
        buf_clear(reply);
        rc = ask_channel(c, payload, reply, e);
        if (rc < 0)
            return -1;
        if (rc == 2)
            return made_up(a, q->name, DNS_TEMPORARY, "no answer in time", out, e);
        if (rc == 0)
            return dns_answer_decode(a, q->type, buf_str(reply), out, e);
    }
    return made_up(a, q->name, DNS_TEMPORARY, "there is no resolver at the moment", out, e);
}

int dns_ask(struct dns_client *c, struct arena *a, enum dns_type type, struct str name,
    struct dns_answer *out, struct err *e)
{
    struct dns_question q = {type, name};
    struct err own;
    struct buf payload, reply;
    int rc = -1;

    if (!e)
        e = &own;
    if (fiber_check(e) < 0)
        return -1;
    if (!dns_name_sound(name))
        return made_up(a, name, DNS_NO_NAME, "not a name that the DNS can have", out, e);
    buf_init(&payload, 2 * DNS_NAME_MAX);
    buf_init(&reply, CHANNEL_FRAME_MAX);
    dns_question_encode(&q, &payload);
    if (buf_ok(&payload))
        rc = ask_question(c, a, &q, buf_str(&payload), &reply, out, e);
    else
        err_memory(e, "dns");
    buf_done(&payload);
    buf_done(&reply);
    return rc;
}
