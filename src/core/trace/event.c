#include "core/trace/event.h"

#include "base/mem.h"
#include "base/utf8.h"

#include "ipc/codec.h"

enum field_type {
    FIELD_U16,
    FIELD_U32,
    FIELD_U64,
    FIELD_STATUS,
    FIELD_NAME, /* a slice of at most TRACE_ADDRESS_MAX */
    FIELD_TEXT,
};

/* The order is the stored one: rows are added at the end only. */
static const struct field {
    enum field_type type;
    size_t offset;
} fields[] = {
    {FIELD_NAME, offsetof(struct trace_event, from)},
    {FIELD_NAME, offsetof(struct trace_event, to)},
    {FIELD_NAME, offsetof(struct trace_event, client)},
    {FIELD_NAME, offsetof(struct trace_event, helo)},
    {FIELD_NAME, offsetof(struct trace_event, protocol)},
    {FIELD_NAME, offsetof(struct trace_event, host)},
    {FIELD_NAME, offsetof(struct trace_event, address)},
    {FIELD_TEXT, offsetof(struct trace_event, text)},
    {FIELD_STATUS, offsetof(struct trace_event, status)},
    {FIELD_U16, offsetof(struct trace_event, code)},
    {FIELD_U16, offsetof(struct trace_event, attempt)},
    {FIELD_U32, offsetof(struct trace_event, count)},
    {FIELD_U64, offsetof(struct trace_event, size)},
    {FIELD_U64, offsetof(struct trace_event, until_ms)},
    {FIELD_U64, offsetof(struct trace_event, other)},
};

enum {
    FROM_BIT = 0
};

static const void *at(const struct trace_event *ev, const struct field *f)
{
    return (const char *)ev + f->offset;
}

static bool is_set(const struct trace_event *ev, const struct field *f)
{
    const void *p = at(ev, f);

    switch (f->type) {
    case FIELD_U16:
        return *(const uint16_t *)p != 0;
    case FIELD_U32:
        return *(const uint32_t *)p != 0;
    case FIELD_U64:
        return *(const uint64_t *)p != 0;
    case FIELD_STATUS:
        return ((const struct err_status *)p)->class != 0;
    case FIELD_NAME:
    case FIELD_TEXT:
        return ((const struct str *)p)->n != 0;
    }
    return false;
}

static void put_slice(struct buf *out, struct str s, size_t max)
{
    struct str kept = utf8_head(s, max);

    enc_u16(out, (uint16_t)kept.n);
    buf_put(out, kept);
}

static void put_field(const struct trace_event *ev, const struct field *f, struct buf *out)
{
    const void *p = at(ev, f);
    const struct err_status *status;

    switch (f->type) {
    case FIELD_U16:
        enc_u16(out, *(const uint16_t *)p);
        return;
    case FIELD_U32:
        enc_u32(out, *(const uint32_t *)p);
        return;
    case FIELD_U64:
        enc_u64(out, *(const uint64_t *)p);
        return;
    case FIELD_STATUS:
        status = p;
        enc_u8(out, status->class);
        enc_u16(out, status->subject);
        enc_u16(out, status->detail);
        return;
    case FIELD_NAME:
        put_slice(out, *(const struct str *)p, TRACE_ADDRESS_MAX);
        return;
    case FIELD_TEXT:
        put_slice(out, *(const struct str *)p, TRACE_TEXT_MAX);
        return;
    }
}

int event_encode(const struct trace_event *ev, int64_t now_ms, struct buf *out)
{
    size_t before = buf_len(out);
    uint32_t set = ev->has_from ? 1U << FROM_BIT : 0;

    for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
        if (is_set(ev, &fields[i]))
            set |= 1U << i;
    enc_u8(out, (uint8_t)ev->kind);
    enc_u32(out, set);
    enc_u64(out, (uint64_t)(ev->when_ms ? ev->when_ms : now_ms));
    enc_u64(out, ev->id);
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
        if (set & 1U << i)
            put_field(ev, &fields[i], out);
    if (buf_ok(out))
        return 0;
    out->bad = false;
    buf_truncate(out, before);
    return -1;
}

static struct str get_slice(struct dec *d)
{
    size_t n = dec_u16(d);
    struct str s = str_head(d->rest, n);

    if (d->bad || n > d->rest.n) {
        d->bad = true;
        return STR_NONE;
    }
    d->rest = str_from(d->rest, n);
    return s;
}

static void get_field(struct dec *d, const struct field *f, struct trace_event *ev)
{
    void *p = (char *)ev + f->offset;

    switch (f->type) {
    case FIELD_U16:
        *(uint16_t *)p = dec_u16(d);
        return;
    case FIELD_U32:
        *(uint32_t *)p = dec_u32(d);
        return;
    case FIELD_U64:
        *(uint64_t *)p = dec_u64(d);
        return;
    case FIELD_STATUS:
        ((struct err_status *)p)->class = dec_u8(d);
        ((struct err_status *)p)->subject = dec_u16(d);
        ((struct err_status *)p)->detail = dec_u16(d);
        return;
    case FIELD_NAME:
    case FIELD_TEXT:
        *(struct str *)p = get_slice(d);
        return;
    }
}

bool event_decode(struct str octets, struct trace_event *ev)
{
    struct dec d = dec_of(octets);
    uint32_t set;

    *ev = (struct trace_event){0};
    ev->kind = (enum trace_kind)dec_u8(&d);
    set = dec_u32(&d);
    ev->when_ms = (int64_t)dec_u64(&d);
    ev->id = dec_u64(&d);
    ev->has_from = set & 1U << FROM_BIT;
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
        if (set & 1U << i)
            get_field(&d, &fields[i], ev);
    return !d.bad && (d.rest.n == 0 || set >> ARRAY_COUNT(fields));
}

bool event_names(const struct trace_event *ev, struct str address)
{
    return str_eq_ascii(ev->to, address) || (ev->from.n && str_eq_ascii(ev->from, address));
}

const char *trace_kind_name(enum trace_kind kind)
{
    static const char *const names[TRACE_KINDS] = {
        [TRACE_RECEIVED] = "received",
        [TRACE_REFUSED] = "refused",
        [TRACE_QUEUED] = "queued",
        [TRACE_HELD] = "held",
        [TRACE_RELEASED] = "released",
        [TRACE_DELIVERED] = "delivered",
        [TRACE_RELAYED] = "relayed",
        [TRACE_DEFERRED] = "deferred",
        [TRACE_FAILED] = "failed",
        [TRACE_EXPIRED] = "expired",
        [TRACE_DELAYED] = "delayed",
        [TRACE_DSN] = "dsn",
        [TRACE_NO_DSN] = "no-dsn",
        [TRACE_DISCARDED] = "discarded",
        [TRACE_REMOVED] = "removed",
        [TRACE_RETRIED] = "retried",
        [TRACE_QUARANTINED] = "quarantined",
        [TRACE_FORWARDED] = "forwarded",
        [TRACE_ENDED] = "ended",
    };

    return (unsigned)kind < TRACE_KINDS && names[kind] ? names[kind] : "unknown";
}
