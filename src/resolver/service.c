#include "resolver/service.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

#include "wire/dns_packet.h"

#include "ipc/channel.h"
#include "ipc/dns.h"

#include "resolver/events.h"

enum {
    SWEEP_MS = 500,
    PATIENCE_MS = 1000, /* while no server answers */
    ARENA_MAX = 1 << 20,
    WHY_MAX = 200,
    KEY_MAX = 2 + DNS_NAME_MAX,
    COMPLAINTS = 10, /* that are logged in a minute */
    MINUTE_MS = 60 * 1000,
};

struct asker {
    struct asker *next;
    struct channel_call from; /* whose channel may have closed meanwhile */
};

/* A question that libunbound works on; it stays when nobody waits any more, until libunbound calls.
 */
struct lookup {
    struct list link; /* by age */
    struct service *service;
    struct asker *askers;
    uint64_t begun;
    enum dns_type type;
    uint8_t key_n;
    char key[KEY_MAX]; /* two octets of type, then the name in lower case */
};

struct client {
    struct list link;
    struct service *service;
    struct channel *channel;
};

struct service {
    struct engine *engine;
    const struct event *event;
    bool forwards; /* there are servers that we ask, and that may all be silent */
    struct table lookups;
    struct list by_age, clients;
    struct timer *sweep;
    bool sweeping;        /* the timer is set */
    struct arena scratch; /* of the answer at hand */
    bool asking;          /* what is answered now, no server was asked for */
    uint64_t heard;       /* when a server last answered anything */
    uint64_t silent_until;
    struct {
        uint64_t since;
        uint32_t count, left_out;
    } complaints;
};

static struct str key_of(const void *entry)
{
    const struct lookup *l = entry;

    return str_of(l->key, l->key_n);
}

static struct str name_of(const struct lookup *l)
{
    return str_from(key_of(l), 2);
}

/* ---- answers */

static void reply(struct channel_call to, enum dns_type type, const struct dns_answer *answer)
{
    struct dns_answer instead = {.status = DNS_TEMPORARY, .ttl_s = DNS_TTL_MIN_S};
    struct buf out;

    buf_init(&out, CHANNEL_FRAME_MAX);
    dns_answer_encode(type, answer, &out);
    if (!buf_ok(&out)) {
        buf_clear(&out);
        instead.why = STR("the answer is too large");
        dns_answer_encode(type, &instead, &out);
    }
    channel_reply(to, buf_str(&out));
    buf_done(&out);
}

/* A temporary failure that is ours. */
static struct dns_answer failure(struct service *s, struct str name, const char *why)
{
    struct dns_answer v = {.status = DNS_TEMPORARY, .ttl_s = DNS_TTL_MIN_S, .name = name};

    v.why = arena_printf(&s->scratch, "%.*s: %s", STR_ARG(name), why);
    return v;
}

static void answer_askers(struct lookup *l, const struct dns_answer *answer)
{
    struct asker *next;

    for (struct asker *asker = l->askers; asker; asker = next) {
        next = asker->next;
        reply(asker->from, l->type, answer);
        mem_free(asker);
    }
    l->askers = NULL;
}

/* Names the first failures of each minute, and counts the others. */
static void complain(struct service *s, const struct lookup *l, const struct dns_answer *v)
{
    uint64_t now = run_now();

    if (now - s->complaints.since >= MINUTE_MS) {
        s->complaints.since = now;
        s->complaints.count = 0;
    }
    if (s->complaints.count++ >= COMPLAINTS) {
        s->complaints.left_out++;
        return;
    }
    log_warning(s->event, v->status == DNS_BOGUS ? EV_DNS_BOGUS : EV_DNS_FAILED,
        kv_str("name", name_of(l)), kv_c("type", dns_type_name(l->type)), kv_str("why", v->why),
        kv_u64("left_out", s->complaints.left_out));
    s->complaints.left_out = 0;
}

/* libunbound's text for people, without what could break a line. */
static struct str clean(struct arena *a, const char *text)
{
    struct str s = arena_printf(a, "%.*s", WHY_MAX, text);

    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] > '~')
            return STR("DNSSEC validation failed");
    return s.p ? s : STR("DNSSEC validation failed");
}

static struct dns_answer answer_of(
    struct service *s, const struct lookup *l, const struct engine_result *r)
{
    struct dns_answer v;

    if (r->bogus) {
        v = failure(s, name_of(l), "");
        v.status = DNS_BOGUS;
        v.why = clean(&s->scratch, r->bogus);
    } else if (r->rcode != 0) {
        v = failure(s, name_of(l), "no server gave an answer");
    } else if (dns_packet_read(&s->scratch, r->packet, l->type, name_of(l), &v, NULL) < 0) {
        v = failure(s, name_of(l), "no memory for the answer");
    } else {
        v.secure = r->secure;
    }
    return v;
}

static void hear(struct service *s)
{
    s->heard = run_now();
    if (s->silent_until)
        log_info(s->event, EV_DNS_BACK);
    s->silent_until = 0;
}

static void on_answer(void *arg, const struct engine_result *r)
{
    struct lookup *l = arg;
    struct service *s = l->service;
    struct dns_answer v = answer_of(s, l, r);

    if (r->rcode == 0 && !s->asking)
        hear(s);
    if (v.status == DNS_TEMPORARY || v.status == DNS_BOGUS)
        complain(s, l, &v);
    answer_askers(l, &v);
    arena_reset(&s->scratch);
    CHECK(table_remove(&s->lookups, key_of(l)) == l);
    list_remove(&l->link);
    mem_free(l);
}

/* ---- time */

static void give_up(struct service *s, struct lookup *l, const char *why)
{
    struct dns_answer v = failure(s, name_of(l), why);

    complain(s, l, &v);
    answer_askers(l, &v);
    arena_reset(&s->scratch);
}

static bool unheard(const struct service *s, const struct lookup *l, uint64_t now)
{
    uint64_t patience = now < s->silent_until ? PATIENCE_MS : SERVICE_SILENT_MS;

    return s->forwards && s->heard < l->begun && now - l->begun >= patience;
}

static void sweep_soon(struct service *s)
{
    if (s->sweeping)
        return;
    s->sweeping = true;
    timer_set(s->sweep, run_now() + SWEEP_MS);
}

static void sweep(void *arg)
{
    struct service *s = arg;
    uint64_t now = run_now();
    bool waiting = false;

    LIST_EACH(link, &s->by_age)
    {
        struct lookup *l = LIST_ENTRY(link, struct lookup, link);
        if (!l->askers)
            continue;
        if (unheard(s, l, now)) {
            if (now >= s->silent_until)
                log_warning(s->event, EV_DNS_SILENT);
            if (now - l->begun >= SERVICE_SILENT_MS)
                s->silent_until = now + SERVICE_REMEMBER_MS;
            give_up(s, l, "no DNS server answers");
        } else if (now - l->begun >= DNS_QUESTION_MS) {
            give_up(s, l, "no answer in time");
        } else {
            waiting = true;
        }
    }
    s->sweeping = false;
    if (waiting)
        sweep_soon(s);
}

/* ---- questions */

static void refuse(
    struct service *s, struct channel_call from, const struct dns_question *q, const char *why)
{
    struct dns_answer v = failure(s, q->name, why);

    reply(from, q->type, &v);
    arena_reset(&s->scratch);
}

static struct lookup *new_lookup(struct service *s, const struct dns_question *q)
{
    struct lookup *l = MEM_NEW(struct lookup);

    if (!l)
        return NULL;
    l->service = s;
    l->type = q->type;
    l->begun = run_now();
    l->key[0] = (char)(q->type >> 8);
    l->key[1] = (char)q->type;
    for (size_t i = 0; i < q->name.n; i++)
        l->key[2 + i] = ascii_lower(q->name.p[i]);
    l->key_n = (uint8_t)(2 + q->name.n);
    return l;
}

/* Begins a new one; the asker is answered in any case. */
static void begin(struct service *s, struct lookup *l)
{
    struct dns_answer v;

    if (table_add(&s->lookups, l) != 0) {
        v = failure(s, name_of(l), "too many questions are under way");
        answer_askers(l, &v);
        arena_reset(&s->scratch);
        mem_free(l);
        return;
    }
    list_add(&s->by_age, &l->link);
    s->asking = true;
    if (engine_ask(s->engine, l->type, name_of(l), on_answer, l) < 0)
        on_answer(l, &(struct engine_result){.rcode = 2});
    s->asking = false;
    if (!list_empty(&s->by_age))
        sweep_soon(s);
}

static void ask(struct service *s, struct channel_call from, const struct dns_question *q)
{
    struct lookup *l = new_lookup(s, q), *same;
    struct asker *asker = MEM_NEW(struct asker);

    if (!l || !asker) {
        mem_free(l);
        mem_free(asker);
        refuse(s, from, q, "no memory");
        return;
    }
    asker->from = from;
    same = table_find(&s->lookups, key_of(l));
    if (same) {
        mem_free(l);
        if (!same->askers) /* it was given up, and is young again for this one */
            same->begun = run_now();
        asker->next = same->askers;
        same->askers = asker;
        sweep_soon(s);
        return;
    }
    l->askers = asker;
    begin(s, l);
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct client *c = arg;
    struct dns_question q;
    struct err e;

    if (fd >= 0)
        close(fd);
    if (type != DNS_ASK || !from.call) {
        err_set(&e, ERR_BUG, "resolver", "an unknown message %u", type);
        channel_cut(c->channel, &e);
    } else if (dns_question_decode(payload, &q, &e) < 0) {
        channel_cut(c->channel, &e);
    } else {
        ask(c->service, from, &q);
    }
    return false;
}

/* ---- channels */

static void drop_client(struct client *c)
{
    channel_close(&c->channel);
    list_remove(&c->link);
    mem_free(c);
}

static void on_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct client *c = arg;

    (void)channel;
    log_debug(c->service->event, EV_CLIENT_GONE, kv_err(why));
    drop_client(c);
}

int service_attach(struct service *s, int fd, struct err *e)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct client *c = MEM_NEW(struct client);

    if (!c) {
        close(fd);
        return err_memory(e, "resolver");
    }
    c->service = s;
    if (channel_open(&c->channel, fd, "client", &handler, c, e) < 0) {
        mem_free(c);
        return -1;
    }
    list_add(&s->clients, &c->link);
    return 0;
}

int service_open(struct service **out, const struct engine_settings *settings,
    const struct event *event, struct err *e)
{
    struct service *s = MEM_NEW(struct service);

    if (!s)
        return err_memory(e, "resolver");
    *s = (struct service){.event = event, .forwards = settings->server_count > 0};
    table_init(&s->lookups, key_of, SERVICE_LOOKUPS_MAX);
    list_init(&s->by_age);
    list_init(&s->clients);
    arena_init(&s->scratch, ARENA_MAX);
    if (timer_open(&s->sweep, sweep, s, e) < 0 || engine_open(&s->engine, settings, e) < 0) {
        service_close(&s);
        return -1;
    }
    *out = s;
    return 0;
}

void service_close(struct service **sp)
{
    struct service *s = *sp;

    *sp = NULL;
    while (!list_empty(&s->clients))
        drop_client(LIST_FIRST(&s->clients, struct client, link));
    engine_close(&s->engine);
    while (!list_empty(&s->by_age)) {
        struct lookup *l = LIST_FIRST(&s->by_age, struct lookup, link);
        list_remove(&l->link);
        mem_free(l);
    }
    timer_close(&s->sweep);
    table_done(&s->lookups);
    arena_done(&s->scratch);
    mem_free(s);
}
