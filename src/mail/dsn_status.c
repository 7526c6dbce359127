/* The part for programs: message/delivery-status (RFC 3464) and its UTF-8 form (RFC 6533). */
#include "base/escape.h"
#include "base/timefmt.h"
#include "base/utf8.h"

#include "mail/chars.h"
#include "mail/dsn_int.h"
#include "mail/xtext.h"

enum {
    FOLD_AT = 74,        /* quoted-printable shows its lines as they are up to 75 */
    WORD_MAX = 900,      /* RFC 5322 2.1.1: a line must not pass 998 */
    ADDR_TYPE_MAX = 40,  /* RFC 3461 4.2: an atom; nobody's is longer */
    ORCPT_DECODED = 1024 /* what was let in is shorter */
};

static bool printable(char c)
{
    return c >= ' ' && c < 127;
}

static bool all_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!printable(s.p[i]))
            return false;
    return true;
}

struct str dsn_clean(char *dst, size_t size, struct str s, bool utf8)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    if (utf8)
        return escape_copy(dst, size, s, ESCAPE_TERMINAL);
    for (size_t i = 0; i < s.n && at + 4 <= size; i++) {
        if (printable(s.p[i])) {
            dst[at++] = s.p[i];
            continue;
        }
        dst[at++] = '\\';
        dst[at++] = 'x';
        dst[at++] = hex[(unsigned char)s.p[i] >> 4];
        dst[at++] = hex[(unsigned char)s.p[i] & 15];
    }
    return str_of(dst, at);
}

/* The next word with the spaces before it, cut where it is longer than a line may be. */
static struct str next_word(struct str *s)
{
    size_t n = 0;
    while (n < s->n && n < WORD_MAX && s->p[n] == ' ')
        n++;
    while (n < s->n && n < WORD_MAX && s->p[n] != ' ')
        n++;
    struct str word = utf8_head(*s, n);
    if (word.n == 0)
        word = str_head(*s, n);
    *s = str_from(*s, word.n);
    return word;
}

void dsn_put_field(struct buf *out, struct str name, struct str value)
{
    size_t column = name.n + 2;
    bool first = true;
    buf_put(out, name);
    buf_put(out, STR(": "));
    for (value = str_trim(value); value.n > 0; first = false) {
        struct str word = next_word(&value);
        if (!first && column + word.n > FOLD_AT) {
            buf_put(out, word.p[0] == ' ' ? STR("\r\n") : STR("\r\n "));
            column = 0;
        }
        buf_put(out, word);
        column += word.n;
    }
    buf_put(out, STR("\r\n"));
}

void dsn_put_wrapped(struct buf *out, struct str indent, struct str text)
{
    size_t column = indent.n;
    buf_put(out, indent);
    for (bool first = true; text.n > 0; first = false) {
        struct str word = next_word(&text);
        if (!first && column + word.n > FOLD_AT) {
            buf_put(out, STR("\r\n"));
            buf_put(out, indent);
            column = indent.n;
            word = str_trim_left(word);
        }
        buf_put(out, word);
        column += word.n;
    }
    buf_put(out, STR("\r\n"));
}

struct err_status dsn_status(const struct dsn_rcpt *r)
{
    static const uint8_t class_of[] = {
        [DSN_FAILED] = 5,
        [DSN_DELAYED] = 4,
        [DSN_DELIVERED] = 2,
        [DSN_RELAYED] = 2,
        [DSN_EXPANDED] = 2,
    };
    struct err_status s = r->status;
    /* RFC 3463 2, RFC 3464 2.3.4; what failed because its time was over may be of class 4 */
    if ((s.class != 2 && s.class != 4 && s.class != 5) || s.subject > 999 || s.detail > 999)
        return (struct err_status){class_of[r->kind], 0, 0};
    return s;
}

static void put_date(struct buf *out, struct str name, int64_t ms)
{
    char date[TIME_RFC5322_SIZE];
    if (ms > 0)
        dsn_put_field(out, name, time_rfc5322(ms, date));
}

/* "Name: type; value" */
static void put_typed(struct buf *out, struct str name, struct str type, struct str value)
{
    char line[ADDR_TYPE_MAX + 2 + DSN_REPLY_CUT];
    size_t n = 0;
    type = str_head(type, ADDR_TYPE_MAX);
    value = utf8_head(value, DSN_REPLY_CUT);
    memcpy(line, type.p, type.n);
    n += type.n;
    line[n++] = ';';
    line[n++] = ' ';
    if (value.n > 0)
        memcpy(line + n, value.p, value.n);
    dsn_put_field(out, name, str_of(line, n + value.n));
}

/* ---- addresses */

/* RFC 6533 3: QCHAR, and UTF-8 where it is welcome (QUCHAR) */
static bool is_qchar(uint32_t point, bool utf8)
{
    if (point > 127)
        return utf8;
    return point > ' ' && point < 127 && point != '+' && point != '=' && point != '\\';
}

/* utf-8-addr-xtext, or utf-8-addr-unitext: RFC 6533 3. addr is UTF-8. */
static struct str encode_utf8_address(char *dst, size_t size, struct str addr, bool utf8)
{
    struct buf code;
    size_t n = 0;
    buf_init(&code, 16);
    while (addr.n > 0) {
        struct str before = addr;
        uint32_t point = utf8_next(&addr);
        buf_clear(&code);
        if (is_qchar(point, utf8))
            buf_put(&code, str_head(before, before.n - addr.n));
        else
            buf_printf(&code, "\\x{%02X}", (unsigned)point);
        if (!buf_ok(&code) || buf_len(&code) > size - n)
            break;
        memcpy(dst + n, buf_str(&code).p, buf_len(&code));
        n += buf_len(&code);
    }
    buf_done(&code);
    return str_of(dst, n);
}

/* The other way: what "\x{HEX}" stands for. False where it is no such text. */
static bool decode_utf8_address(struct str s, struct buf *out)
{
    char octets[4];
    while (s.n > 0) {
        uint64_t point;
        if (!str_starts(s, STR("\\x{"))) {
            buf_put_c(out, s.p[0]);
            s = str_from(s, 1);
            continue;
        }
        ptrdiff_t end = str_find(s, '}');
        if (end < 0 || !str_to_hex64(str_sub(s, 3, (size_t)end - 3), 0x10FFFF, &point))
            return false;
        size_t n = utf8_encode((uint32_t)point, octets);
        if (n == 0)
            return false;
        buf_put(out, str_of(octets, n));
        s = str_from(s, (size_t)end + 1);
    }
    return buf_ok(out) && utf8_valid(buf_str(out));
}

/* UTF-8 that shows as what it is. */
static bool plain_utf8(struct str s)
{
    return utf8_valid(s) && !escape_needed(s, ESCAPE_TERMINAL);
}

static void put_utf8_address(struct buf *out, struct str name, struct str addr, bool utf8)
{
    char text[DSN_ADDRESS_CUT];
    struct str encoded = encode_utf8_address(text, sizeof text, addr, utf8);
    put_typed(out, name, STR("utf-8"), encoded);
}

/* An address of this type, which is not "utf-8". */
static void put_address(
    struct buf *out, struct str name, struct str type, struct str addr, bool utf8)
{
    struct buf encoded;
    if (all_printable(addr)) {
        put_typed(out, name, type, str_head(addr, DSN_ADDRESS_CUT));
    } else if (plain_utf8(addr)) {
        put_utf8_address(out, name, addr, utf8);
    } else {
        buf_init(&encoded, DSN_ADDRESS_CUT);
        xtext_encode(addr, &encoded); /* nobody's: the octets are there at least */
        put_typed(out, name, type, buf_str(&encoded));
        buf_done(&encoded);
    }
}

static bool is_addr_type(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!mail_is(s.p[i], CHAR_ATEXT))
            return false;
    return s.n > 0 && s.n <= ADDR_TYPE_MAX;
}

/* RFC 3464 2.3.1: what the sender gave, decoded; left out where it is nothing. */
static void put_original_recipient(struct buf *out, struct str orcpt, bool utf8)
{
    struct str type, name = STR("Original-Recipient");
    struct buf addr;
    if (!str_cut(&orcpt, ';', &type) || !is_addr_type(type) || orcpt.n == 0)
        return;
    buf_init(&addr, ORCPT_DECODED);
    if (str_eq_ascii(type, STR("utf-8"))) {
        if (decode_utf8_address(orcpt, &addr) && plain_utf8(buf_str(&addr)))
            put_utf8_address(out, name, buf_str(&addr), utf8);
    } else if (xtext_decode(orcpt, &addr) == 0) {
        put_address(out, name, type, buf_str(&addr), utf8);
    }
    buf_done(&addr);
}

/* ---- fields */

static void put_remote(struct buf *out, const struct dsn_rcpt *r, bool utf8)
{
    char host[DSN_HOST_CUT], literal[DSN_HOST_CUT];
    struct str name = dsn_clean(host, sizeof host, r->remote_host, utf8);
    if (name.n == 0 && r->remote_ip.n > 0) {
        name = dsn_clean(host, sizeof host - 2, r->remote_ip, utf8);
        literal[0] = '[';
        memcpy(literal + 1, name.p, name.n);
        literal[name.n + 1] = ']';
        name = str_of(literal, name.n + 2);
    }
    if (name.n > 0)
        put_typed(out, STR("Remote-MTA"), STR("dns"), name);
}

/* RFC 3464 2.3.6: what the remote said (smtp), or else we do. Lines become one. */
static void put_diagnostic(struct buf *out, const struct dsn_rcpt *r, bool utf8)
{
    char text[DSN_REPLY_CUT], joined[DSN_REPLY_CUT];
    struct str s = r->reply.n > 0 ? r->reply : r->error;
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < sizeof joined; i++)
        if (s.p[i] != '\r')
            joined[n++] = s.p[i] == '\n' || s.p[i] == '\t' ? ' ' : s.p[i];
    struct str clean = str_trim(dsn_clean(text, sizeof text, str_of(joined, n), utf8));
    if (clean.n > 0)
        put_typed(
            out, STR("Diagnostic-Code"), r->reply.n > 0 ? STR("smtp") : STR("x-veredus"), clean);
}

/* RFC 3464 2.3 */
static void put_recipient(struct buf *out, const struct dsn_rcpt *r, bool utf8)
{
    static const struct str actions[] = {
        [DSN_FAILED] = STR_INIT("failed"),
        [DSN_DELAYED] = STR_INIT("delayed"),
        [DSN_DELIVERED] = STR_INIT("delivered"),
        [DSN_RELAYED] = STR_INIT("relayed"),
        [DSN_EXPANDED] = STR_INIT("expanded"),
    };
    struct err_status status = dsn_status(r);
    buf_put(out, STR("\r\n"));
    put_original_recipient(out, r->orcpt, utf8);
    put_address(out, STR("Final-Recipient"), STR("rfc822"), r->address, utf8);
    dsn_put_field(out, STR("Action"), actions[r->kind]);
    buf_printf(out, "Status: %u.%u.%u\r\n", status.class, status.subject, status.detail);
    put_remote(out, r, utf8);
    put_diagnostic(out, r, utf8);
    put_date(out, STR("Last-Attempt-Date"), r->attempt_ms);
    if (r->kind == DSN_DELAYED)
        put_date(out, STR("Will-Retry-Until"), r->until_ms);
}

/* RFC 3464 2.2 */
void dsn_put_status(const struct dsn *d, bool utf8, struct buf *out)
{
    char host[DSN_HOST_CUT];
    struct buf envid;
    buf_init(&envid, DSN_ADDRESS_CUT);
    if (d->envid.n > 0 && xtext_printable(d->envid) && xtext_decode(d->envid, &envid) == 0)
        dsn_put_field(out, STR("Original-Envelope-Id"), buf_str(&envid));
    buf_done(&envid);
    put_typed(out, STR("Reporting-MTA"), STR("dns"), dsn_clean(host, sizeof host, d->host, utf8));
    put_date(out, STR("Arrival-Date"), d->arrived_ms);
    for (size_t i = 0; i < d->rcpt_count; i++)
        put_recipient(out, &d->rcpts[i], utf8);
}
