#include "inbound/core_link.h"

#include <endian.h>
#include <unistd.h>

#include "ipc/role.h"

#include "inbound/events.h"

enum {
    ASK_TIMEOUT_MS = 60 * 1000,
    COMMIT_TIMEOUT_MS = 300 * 1000, /* RFC 5321 4.5.3.2.6: clients wait for ten minutes */
    SMALL_REPLY_MAX = 1024,
    LATE_MAX = 1 << 20,
};

struct late_notice {
    uint16_t type;
    uint32_t value;
};

static int away(struct err *e)
{
    return err_set_status(e, ERR_CLOSED, (struct err_status){4, 3, 0}, "core_link",
        "the server cannot take mail at the moment, try again later");
}

void core_link_init(struct core_link *l, const struct event *event)
{
    *l = (struct core_link){.event = event};
    cond_init(&l->leased);
    buf_init(&l->late, LATE_MAX);
    digester_init(&l->digester);
}

static void take_state(struct core_link *l, struct str payload)
{
    struct dec d = dec_of(payload);
    uint8_t state = dec_u8(&d);

    if (dec_done(&d, "state", NULL) == 0 && state <= IC_BROKEN)
        l->state = (enum ic_state)state;
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct core_link *l = arg;

    if (fd >= 0)
        close(fd);
    if (type == IC_STATE)
        take_state(l, payload);
    else if (type == IC_DIGEST_PUT)
        digester_put(&l->digester, payload);
    if (type == IC_DIGEST_END)
        digester_end(&l->digester, from, payload);
    else if (from.call)
        channel_reply(from, STR(""));
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    struct core_link *l = arg;

    if (l->channel != c)
        return;
    log_warning(l->event, EV_CORE_GONE, kv_err(why));
    channel_close(&l->channel);
    role_peer_lost(ROLE_CORE);
}

int core_link_attach(struct core_link *l, int fd, struct err *e)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};

    channel_close(&l->channel);
    if (channel_open(&l->channel, fd, "core", &handler, l, e) < 0) {
        l->channel = NULL;
        return -1;
    }
    buf_release(&l->late); /* meant the core before */
    digester_reset(&l->digester);
    l->generation++;
    l->state = IC_READY;
    l->ids_left = 0;
    log_info(l->event, EV_CORE_ATTACHED, kv_u64("generation", l->generation));
    return 0;
}

void core_link_close(struct core_link *l)
{
    channel_close(&l->channel);
    buf_done(&l->late);
    digester_reset(&l->digester);
}

static int ask(struct core_link *l, enum ic_type type, struct str payload, uint64_t timeout_ms,
    struct buf *reply, struct err *e)
{
    uint64_t before;
    int rc;

    if (!l->channel)
        return away(e);
    before = fiber_deadline_shorten(run_now() + timeout_ms);
    rc = channel_ask(l->channel, (uint16_t)type, payload, reply, e);
    fiber_deadline_restore(before);
    if (rc < 0 && e->class == ERR_CLOSED)
        return away(e);
    return rc;
}

/* Sends as many of the notices that wait as there is credit for. */
static void tell_late(struct core_link *l)
{
    struct str late = buf_str(&l->late);

    while (l->channel && late.p && late.n >= sizeof(struct late_notice)) {
        struct late_notice n;
        uint32_t value;
        memcpy(&n, late.p, sizeof n);
        value = htole32(n.value);
        if (!channel_try_notify(l->channel, n.type, str_of((const char *)&value, sizeof value)))
            return;
        buf_consume(&l->late, sizeof n);
        late = buf_str(&l->late);
    }
}

/* A notice that must arrive, from a session that can wait for nothing any more. Where there is no
 * credit it is sent when the next one comes: there are never more than sessions and uploads. */
static void tell(struct core_link *l, enum ic_type type, uint32_t value)
{
    struct late_notice n = {.type = (uint16_t)type, .value = value};

    if (buf_put(&l->late, str_of((const char *)&n, sizeof n)) < 0)
        log_warning(l->event, EV_UNAVAILABLE, kv_c("error", "no memory for a notice"));
    tell_late(l);
}

int core_admit(struct core_link *l, const struct ic_admit *admit, struct core_slot *slot,
    struct ic_admitted *answer, struct err *e)
{
    struct buf request, reply;
    uint32_t generation = l->generation;
    int rc = -1;

    buf_init(&request, SMALL_REPLY_MAX);
    buf_init(&reply, SMALL_REPLY_MAX);
    tell_late(l);
    ic_admit_encode(admit, &request);
    if (!buf_ok(&request))
        err_memory(e, "core_link");
    else if (ask(l, IC_ADMIT, buf_str(&request), ASK_TIMEOUT_MS, &reply, e) == 0)
        rc = ic_admitted_decode(buf_str(&reply), answer, e);
    buf_done(&request);
    buf_done(&reply);
    if (rc < 0 || !answer->ok)
        return rc < 0 ? -1 : 1;
    *slot = (struct core_slot){generation, answer->slot};
    return 0;
}

void core_release(struct core_link *l, struct core_slot *slot)
{
    if (slot->generation && core_link_same(l, slot->generation))
        tell(l, IC_RELEASE, slot->slot);
    slot->generation = 0;
}

static int lease(struct core_link *l, struct err *e)
{
    struct ic_lease got;
    struct buf reply;
    uint32_t generation = l->generation;
    int rc;

    buf_init(&reply, SMALL_REPLY_MAX);
    rc = ask(l, IC_LEASE, STR(""), ASK_TIMEOUT_MS, &reply, e);
    if (rc == 0 && ic_lease_decode(buf_str(&reply), &got, e) < 0)
        rc = away(e);
    buf_done(&reply);
    if (rc < 0 || !core_link_same(l, generation))
        return rc < 0 ? -1 : away(e);
    l->next_id = got.base;
    l->ids_left = 1U << IC_LEASE_BITS;
    return 0;
}

int core_new_id(struct core_link *l, uint64_t *id, struct err *e)
{
    int rc = 0;

    while (l->leasing && rc == 0)
        rc = cond_wait(&l->leased, "ids", e);
    if (rc == 0 && l->ids_left == 0) {
        l->leasing = true;
        rc = lease(l, e);
        l->leasing = false;
        cond_wake_all(&l->leased);
    }
    if (rc < 0)
        return -1;
    if (!l->channel || l->ids_left == 0)
        return away(e);
    l->ids_left--;
    *id = l->next_id++;
    return 0;
}

uint32_t core_new_upload(struct core_link *l)
{
    if (++l->last_upload == 0)
        l->last_upload = 1;
    return l->last_upload;
}

int core_resolve(struct core_link *l, uint32_t generation, const struct ic_rcpt *rcpt,
    struct buf *request, struct buf *reply, struct arena *a, struct ic_rcpt_answer **answers,
    struct err *e)
{
    uint32_t count;

    if (!core_link_same(l, generation))
        return away(e);
    buf_clear(request);
    buf_clear(reply);
    ic_rcpt_encode(rcpt, request);
    if (!buf_ok(request))
        return err_memory(e, "core_link");
    if (ask(l, IC_RCPT, buf_str(request), ASK_TIMEOUT_MS, reply, e) < 0 ||
        ic_rcpt_answers_decode(a, buf_str(reply), answers, &count, e) < 0)
        return -1;
    if (count != rcpt->count)
        return err_set_status(e, ERR_BUG, (struct err_status){4, 3, 0}, "core_link",
            "%u answers to %u recipients", count, rcpt->count);
    return 0;
}

int core_put(struct core_link *l, uint32_t generation, struct str payload, bool wait, struct err *e)
{
    struct buf nothing;
    uint64_t before;
    int rc;

    if (!core_link_same(l, generation))
        return away(e);
    before = fiber_deadline_shorten(run_now() + COMMIT_TIMEOUT_MS);
    buf_init(&nothing, 0);
    rc = wait ? channel_ask(l->channel, IC_PUT, payload, &nothing, e)
              : channel_notify(l->channel, IC_PUT, payload, e);
    buf_done(&nothing);
    fiber_deadline_restore(before);
    return rc < 0 && e->class == ERR_CLOSED ? away(e) : rc;
}

void core_abort(struct core_link *l, uint32_t generation, uint32_t upload)
{
    if (core_link_same(l, generation))
        tell(l, IC_ABORT, upload);
}

int core_commit(
    struct core_link *l, uint32_t generation, struct str payload, struct buf *reply, struct err *e)
{
    struct dec d;
    struct err said;

    if (!core_link_same(l, generation))
        return away(e);
    buf_clear(reply);
    if (ask(l, IC_COMMIT, payload, COMMIT_TIMEOUT_MS, reply, e) < 0)
        return -1;
    d = dec_of(buf_str(reply));
    dec_err(&d, &said);
    if (dec_done(&d, "commit", e) < 0)
        return -1;
    if (said.class == ERR_NONE)
        return 0;
    *e = said;
    return -1;
}
