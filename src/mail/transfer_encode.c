#include "mail/transfer_encode.h"

#include "base/base64.h"
#include "base/check.h"

enum {
    LINE = 76 /* RFC 2045 6.7 (5), 6.8 */
};

static const char hex[] = "0123456789ABCDEF";

void transfer_encode_init(struct transfer_encoder *t, enum mime_encoding encoding)
{
    CHECK(encoding == MIME_QUOTED_PRINTABLE || encoding == MIME_BASE64);
    *t = (struct transfer_encoder){.base64 = encoding == MIME_BASE64};
}

/* ---- Base 64 */

static void put_quantum(struct transfer_encoder *t, struct buf *out)
{
    if (t->column == LINE) {
        buf_put(out, STR("\r\n"));
        t->column = 0;
    }
    base64_encode(str_of(t->held, t->have), out);
    t->column += 4;
    t->have = 0;
}

static void base64_feed(struct transfer_encoder *t, struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.n && buf_ok(out); i++) {
        t->held[t->have++] = in.p[i];
        if (t->have == 3)
            put_quantum(t, out);
    }
}

/* ---- quoted-printable */

/* RFC 2045 6.7 (5): n more characters on the line, with room for a "=". */
static void make_room(struct transfer_encoder *t, unsigned n, struct buf *out)
{
    if (t->column + n < LINE)
        return;
    buf_put(out, STR("=\r\n"));
    t->column = 0;
}

static void put_encoded(struct transfer_encoder *t, char c, struct buf *out)
{
    char code[3] = {'=', hex[(unsigned char)c >> 4], hex[(unsigned char)c & 15]};
    make_room(t, 3, out);
    buf_put(out, str_of(code, 3));
    t->column += 3;
}

static void put_literal(struct transfer_encoder *t, char c, struct buf *out)
{
    if (c == '-' && t->column + 1 >= LINE) {
        put_encoded(t, c, out); /* a soft line break must not make a delimiter */
        return;
    }
    make_room(t, 1, out);
    buf_put_c(out, c);
    t->column++;
}

/* What waits is followed by `next`, or by nothing (0). */
static void put_held(struct transfer_encoder *t, char next, struct buf *out)
{
    unsigned have = t->have;
    t->have = 0;
    for (unsigned i = 0; i < have; i++) {
        bool last = i + 1 == have;
        char after = last ? next : t->held[i + 1];
        if (t->held[i] == '\r' || after == '\r' || after == '\0')
            put_encoded(t, t->held[i], out); /* (3): no white space at the end of a line */
        else
            put_literal(t, t->held[i], out);
    }
}

static void qp_line_end(struct transfer_encoder *t, struct buf *out)
{
    t->have--; /* the CR */
    put_held(t, '\r', out);
    buf_put(out, STR("\r\n"));
    t->column = 0;
}

/* At most one white space and one CR wait: what is before them is known to be followed by more. */
static void qp_octet(struct transfer_encoder *t, char c, struct buf *out)
{
    bool cr = t->have > 0 && t->held[t->have - 1] == '\r';
    if (c == '\n' && cr) {
        qp_line_end(t, out);
    } else if (c == ' ' || c == '\t') {
        put_held(t, c, out);
        t->held[t->have++] = c;
    } else if (c == '\r') {
        if (cr)
            put_held(t, c, out);
        t->held[t->have++] = c;
    } else {
        put_held(t, c == '\0' ? '\1' : c, out);
        if (c > ' ' && c < 127 && c != '=')
            put_literal(t, c, out);
        else
            put_encoded(t, c, out);
    }
}

static void qp_feed(struct transfer_encoder *t, struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.n && buf_ok(out); i++)
        qp_octet(t, in.p[i], out);
}

int transfer_encode_feed(struct transfer_encoder *t, struct str in, struct buf *out)
{
    if (t->base64)
        base64_feed(t, in, out);
    else
        qp_feed(t, in, out);
    return buf_ok(out) ? 0 : -1;
}

int transfer_encode_finish(struct transfer_encoder *t, struct buf *out)
{
    if (t->base64 && t->have > 0)
        put_quantum(t, out);
    else
        put_held(t, '\0', out);
    return buf_ok(out) ? 0 : -1;
}

int transfer_encode(enum mime_encoding encoding, struct str in, struct buf *out)
{
    struct transfer_encoder t;
    transfer_encode_init(&t, encoding);
    if (transfer_encode_feed(&t, in, out) < 0)
        return -1;
    return transfer_encode_finish(&t, out);
}
