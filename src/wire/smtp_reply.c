#include "wire/smtp_reply.h"

#include "base/check.h"
#include "base/escape.h"

/* A number of at most three digits (RFC 3463 2): replies are made too often for printf. */
static size_t put_number(char *out, unsigned value)
{
    size_t n = 0;

    value = value < 999 ? value : 999;
    if (value >= 100)
        out[n++] = (char)('0' + value / 100);
    if (value >= 10)
        out[n++] = (char)('0' + value / 10 % 10);
    out[n++] = (char)('0' + value % 10);
    return n;
}

static size_t put_codes(char *out, uint16_t code, struct err_status status, bool last)
{
    size_t n = put_number(out, code);

    out[n++] = last ? ' ' : '-';
    if (!status.class)
        return n;
    n += put_number(out + n, status.class);
    out[n++] = '.';
    n += put_number(out + n, status.subject);
    out[n++] = '.';
    n += put_number(out + n, status.detail);
    out[n++] = ' ';
    return n;
}

struct str smtp_reply_line(char out[SMTP_REPLY_LINE_MAX], uint16_t code, struct err_status status,
    bool last, struct str text)
{
    size_t n, room;

    CHECK(code >= 200 && code <= 599);
    CHECK(status.class == 0 || status.class == code / 100);
    n = put_codes(out, code, status, last);
    room = SMTP_REPLY_LINE_MAX - n - 2;
    if (!escape_needed(text, ESCAPE_ASCII)) {
        text = str_head(text, room);
        memcpy(out + n, text.p, text.n);
        n += text.n;
    } else {
        /* One octet more: the terminator, which the CR overwrites. */
        n += escape_copy(out + n, room + 1, text, ESCAPE_ASCII).n;
    }
    out[n++] = '\r';
    out[n++] = '\n';
    return str_of(out, n);
}

/* Takes 1 to `digits` digits of at most max off *s. */
static bool take_number(struct str *s, size_t digits, uint64_t max, uint64_t *value)
{
    size_t n = 0;

    while (n < s->n && n < digits && ascii_digit(s->p[n]))
        n++;
    if (!str_to_u64(str_head(*s, n), max, value))
        return false;
    *s = str_from(*s, n);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

bool smtp_status_take(struct str *text, uint8_t class, struct err_status *status)
{
    struct str s = *text;
    uint64_t first, subject, detail;

    if (!take_number(&s, 1, 5, &first) || first != class || !take_char(&s, '.') ||
        !take_number(&s, 3, 999, &subject) || !take_char(&s, '.') ||
        !take_number(&s, 3, 999, &detail))
        return false;
    if (s.n && !take_char(&s, ' '))
        return false;
    *status = (struct err_status){class, (uint16_t)subject, (uint16_t)detail};
    *text = s;
    return true;
}

static int refuse(struct err *e, const char *why)
{
    return err_set_status(
        e, ERR_TEMPORARY, (struct err_status){4, 5, 2}, "smtp", "broken reply: %s", why);
}

/* RFC 5321 4.2: Reply-code = %x32-35 %x30-35 %x30-39 */
static bool parse_code(struct str line, uint16_t *code)
{
    uint64_t value;

    if (line.n < 3 || !str_to_u64(str_head(line, 3), 599, &value) || value < 200 || line.p[1] > '5')
        return false;
    *code = (uint16_t)value;
    return true;
}

int smtp_reply_feed(struct smtp_reply *r, struct str line, struct str *text, struct err *e)
{
    const struct smtp_reply_limits *most = &r->limits;
    uint16_t code;
    struct err_status status;

    if (line.n + 2 > (most->line ? most->line : SMTP_REPLY_READ_LINE_MAX))
        return refuse(e, "a line is too long");
    if (r->lines == (most->lines ? most->lines : SMTP_REPLY_READ_LINES_MAX) ||
        r->octets + line.n + 2 > (most->octets ? most->octets : SMTP_REPLY_READ_MAX))
        return refuse(e, "it does not end");
    if (!parse_code(line, &code))
        return refuse(e, "no reply code");
    if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
        return refuse(e, "something else than a space behind the code");
    if (r->lines && code != r->code) /* hostile.md 62 */
        return refuse(e, "its lines have different codes");
    r->code = code;
    r->lines++;
    r->octets += line.n + 2;
    *text = str_from(line, 4);
    if (smtp_status_take(text, (uint8_t)(code / 100), &status) && r->status.class == 0)
        r->status = status;
    return line.n > 3 && line.p[3] == '-';
}
