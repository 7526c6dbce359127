#include "mail/transfer.h"

enum {
    SKIP = 64,
    PAD = 65
};

/* RFC 2045 6.8 */
static unsigned base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : c == '=' ? PAD : SKIP;
}

static void base64_feed(struct transfer *t, struct str in, struct buf *out)
{
    char *p = buf_reserve(out, in.n / 4 * 3 + 3);
    size_t n = 0;
    if (!p)
        return;
    for (size_t i = 0; i < in.n; i++) {
        unsigned value = base64_value(in.p[i]);
        if (value == SKIP)
            continue;
        if (value == PAD) {
            t->have = 0;
            continue;
        }
        t->bits = t->bits << 6 | value;
        t->have += 6;
        if (t->have >= 8) {
            t->have -= 8;
            p[n++] = (char)(t->bits >> t->have & 0xff);
        }
    }
    buf_advance(out, n);
}

static int hex_value(char c)
{
    if (ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void release(struct transfer *t, struct buf *out)
{
    buf_put(out, str_of(t->held, t->count));
    t->count = 0;
}

static void hold(struct transfer *t, char c, struct buf *out)
{
    if (t->count == TRANSFER_HELD)
        release(t, out);
    t->held[t->count++] = c;
}

/* A line ends: white space before it goes (RFC 2045 6.7 rule 3), and so does a soft line break. */
static void qp_line_end(struct transfer *t, struct buf *out)
{
    bool soft = t->count > 0 && t->held[0] == '=';
    t->count = 0;
    t->cr = false;
    if (!soft)
        buf_put(out, STR("\r\n"));
}

/* What is held: nothing; white space; "=" and white space; "=" and one digit. */
static void qp_char(struct transfer *t, char c, struct buf *out)
{
    bool escape = t->count > 0 && t->held[0] == '=';
    if (t->cr && c != '\n') { /* a CR alone is text */
        t->cr = false;
        release(t, out);
        buf_put_c(out, '\r');
        escape = false;
    }
    if (c == '\n') {
        qp_line_end(t, out);
    } else if (c == '\r') {
        t->cr = true;
    } else if (escape && t->count == 1 && hex_value(c) >= 0) {
        hold(t, c, out);
    } else if (escape && t->count == 2 && hex_value(t->held[1]) >= 0 && hex_value(c) >= 0) {
        t->count = 0;
        buf_put_c(out, (char)(hex_value(t->held[1]) << 4 | hex_value(c)));
    } else if (c == ' ' || c == '\t') {
        if (escape && t->count > 1 && hex_value(t->held[1]) >= 0)
            release(t, out);
        hold(t, c, out);
    } else {
        release(t, out);
        if (c == '=')
            hold(t, c, out);
        else
            buf_put_c(out, c);
    }
}

/* What stands for itself at the front of s: up to an escape or a line end, but white space that may
 * turn out to end the line stays. */
static size_t qp_plain(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '=' && s.p[n] != '\r' && s.p[n] != '\n')
        n++;
    if (n == s.n || s.p[n] != '=')
        while (n > 0 && (s.p[n - 1] == ' ' || s.p[n - 1] == '\t'))
            n--;
    return n;
}

static void qp_feed(struct transfer *t, struct str in, struct buf *out)
{
    while (in.n > 0) {
        size_t n = t->count == 0 && !t->cr ? qp_plain(in) : 0;
        if (n > 0) {
            buf_put(out, str_head(in, n));
        } else {
            qp_char(t, in.p[0], out);
            n = 1;
        }
        in = str_from(in, n);
    }
}

static void uu_line(struct transfer *t, struct buf *out)
{
    struct str line = str_of(t->held, t->count);
    t->count = 0;
    if (!t->begun) {
        t->begun = str_starts(line, STR("begin "));
        return;
    }
    if (t->ended || line.n == 0)
        return;
    if (str_eq(line, STR("end"))) {
        t->ended = true;
        return;
    }
    size_t size = (size_t)(line.p[0] - 32) & 63;
    for (size_t i = 1; size > 0 && i < line.n; i += 4) {
        uint32_t bits = 0;
        for (size_t k = i; k < i + 4; k++)
            bits = bits << 6 | (k < line.n ? (uint32_t)(line.p[k] - 32) & 63 : 0);
        for (int shift = 16; shift >= 0 && size > 0; shift -= 8, size--)
            buf_put_c(out, (char)(bits >> shift & 0xff));
    }
}

/* POSIX uuencode: lines between "begin MODE NAME" and "end". */
static void uu_feed(struct transfer *t, struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '\n')
            uu_line(t, out);
        else if (in.p[i] != '\r' && t->count < TRANSFER_LINE)
            t->held[t->count++] = in.p[i];
    }
}

void transfer_init(struct transfer *t, enum mime_encoding encoding)
{
    t->encoding = encoding;
    t->bits = 0;
    t->have = t->count = 0;
    t->begun = t->ended = t->cr = false;
}

int transfer_feed(struct transfer *t, struct str in, struct buf *out)
{
    switch (t->encoding) {
    case MIME_BASE64:
        base64_feed(t, in, out);
        break;
    case MIME_QUOTED_PRINTABLE:
        qp_feed(t, in, out);
        break;
    case MIME_UUENCODE:
        uu_feed(t, in, out);
        break;
    case MIME_7BIT:
    case MIME_8BIT:
    case MIME_BINARY:
    case MIME_UNKNOWN:
        buf_put(out, in);
        break;
    }
    return buf_ok(out) ? 0 : -1;
}

int transfer_finish(struct transfer *t, struct buf *out)
{
    if (t->encoding == MIME_UUENCODE) {
        uu_line(t, out);
    } else if (t->encoding == MIME_QUOTED_PRINTABLE) {
        /* white space at the end of the text goes, like that at the end of a line */
        bool escape = t->count > 0 && t->held[0] == '=';
        if (escape && (t->count > 1 || t->cr))
            release(t, out);
        else
            t->count = 0;
        if (t->cr)
            buf_put_c(out, '\r');
        t->cr = false;
    }
    return buf_ok(out) ? 0 : -1;
}

int transfer_decode(enum mime_encoding encoding, struct str in, struct buf *out)
{
    struct transfer t;
    transfer_init(&t, encoding);
    transfer_feed(&t, in, out);
    return transfer_finish(&t, out);
}
