#include "ipc/codec.h"

#include <endian.h>

enum {
    ERR_TEXT_MAX = sizeof((struct err *)0)->text - 1
};

static void enc_octets(struct buf *b, const void *p, size_t n)
{
    buf_put(b, str_of(p, n));
}

void enc_u8(struct buf *b, uint8_t v)
{
    enc_octets(b, &v, sizeof v);
}

void enc_u16(struct buf *b, uint16_t v)
{
    v = htole16(v);
    enc_octets(b, &v, sizeof v);
}

void enc_u32(struct buf *b, uint32_t v)
{
    v = htole32(v);
    enc_octets(b, &v, sizeof v);
}

void enc_u64(struct buf *b, uint64_t v)
{
    v = htole64(v);
    enc_octets(b, &v, sizeof v);
}

void enc_bool(struct buf *b, bool v)
{
    enc_u8(b, v);
}

void enc_str(struct buf *b, struct str s)
{
    if (s.n > UINT32_MAX) {
        b->bad = true;
        return;
    }
    enc_u32(b, (uint32_t)s.n);
    buf_put(b, s);
}

void enc_text(struct buf *b, struct str s, size_t max)
{
    if (s.n > max)
        b->bad = true;
    else
        enc_str(b, s);
}

void enc_err(struct buf *b, const struct err *e)
{
    enc_u8(b, (uint8_t)e->class);
    enc_u8(b, e->status.class);
    enc_u16(b, e->status.subject);
    enc_u16(b, e->status.detail);
    enc_str(b, str_c(e->text));
}

/* The next n octets into out, or zeros and a bad reader. */
static void dec_octets(struct dec *d, void *out, size_t n)
{
    if (d->bad || d->rest.n < n) {
        d->bad = true;
        memset(out, 0, n);
        return;
    }
    memcpy(out, d->rest.p, n);
    d->rest = str_from(d->rest, n);
}

uint8_t dec_u8(struct dec *d)
{
    uint8_t v;

    dec_octets(d, &v, sizeof v);
    return v;
}

uint16_t dec_u16(struct dec *d)
{
    uint16_t v;

    dec_octets(d, &v, sizeof v);
    return le16toh(v);
}

uint32_t dec_u32(struct dec *d)
{
    uint32_t v;

    dec_octets(d, &v, sizeof v);
    return le32toh(v);
}

uint64_t dec_u64(struct dec *d)
{
    uint64_t v;

    dec_octets(d, &v, sizeof v);
    return le64toh(v);
}

bool dec_bool(struct dec *d)
{
    uint8_t v = dec_u8(d);

    d->bad |= v > 1;
    return v == 1;
}

struct str dec_str(struct dec *d, size_t max)
{
    uint32_t n = dec_u32(d);
    struct str s;

    if (d->bad || n > max || n > d->rest.n) {
        d->bad = true;
        return STR_NONE;
    }
    s = str_head(d->rest, n);
    d->rest = str_from(d->rest, n);
    return s;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (ascii_control(s.p[i]))
            return true;
    return false;
}

struct str dec_text(struct dec *d, size_t max)
{
    struct str s = dec_str(d, max);

    if (has_control(s)) {
        d->bad = true;
        return STR_NONE;
    }
    return s;
}

uint8_t dec_enum(struct dec *d, uint8_t last)
{
    uint8_t v = dec_u8(d);

    if (v > last) {
        d->bad = true;
        return 0;
    }
    return v;
}

void dec_err(struct dec *d, struct err *e)
{
    uint8_t class = dec_u8(d);
    struct err_status status = {.class = dec_u8(d)};
    struct str text;

    status.subject = dec_u16(d);
    status.detail = dec_u16(d);
    text = dec_str(d, ERR_TEXT_MAX);
    *e = (struct err){.origin = "peer"};
    /* A text with a NUL would not come back as it was sent. */
    if (d->bad || class > ERR_BUG || !str_copy_c(e->text, sizeof e->text, text)) {
        d->bad = true;
        e->text[0] = '\0';
        return;
    }
    e->class = (enum err_class) class;
    e->status = status;
}

uint32_t dec_count(struct dec *d, uint32_t max, size_t least)
{
    uint32_t n = dec_u32(d);

    if (d->bad || n > max || (least && n > d->rest.n / least)) {
        d->bad = true;
        return 0;
    }
    return n;
}

int dec_done(struct dec *d, const char *what, struct err *e)
{
    if (!d->bad && d->rest.n == 0)
        return 0;
    d->bad = true;
    return err_set(e, ERR_BUG, "codec", "a message that cannot be read: %s", what);
}
