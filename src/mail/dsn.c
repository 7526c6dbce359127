#include "mail/dsn.h"

#include "base/check.h"
#include "base/escape.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"

#include "mail/address.h"
#include "mail/dsn_int.h"
#include "mail/header.h"
#include "mail/message_id.h"
#include "mail/rfc2047.h"
#include "mail/transfer_encode.h"

enum {
    BOUNDARY_MAX = 70,   /* RFC 2046 5.1.1 */
    REFERENCE_MAX = 900, /* a longer Message-ID cannot be folded */
    FIXED_MAX = (8 << 10) + 4 * DSN_WORDS_CUT
};

/* A part on its way. */
struct part {
    const char *type, *description, *encoding;
    struct buf body;
};

struct report {
    const struct dsn *d;
    bool utf8; /* UTF-8 may stand as it is */
    struct dsn_form form;
    struct part people, status, original;
    char boundary[BOUNDARY_MAX + 1];
};

static const char ENCODING_7BIT[] = "7bit", ENCODING_8BIT[] = "8bit",
                  ENCODING_QP[] = "quoted-printable";

size_t dsn_size_max(const struct dsn *d)
{
    size_t header = d->prefix.n + d->header.n;
    if (header > DSN_HEADER_MAX)
        header = DSN_HEADER_MAX;
    size_t quoted = 2 * (header + (dsn_returns_body(d) ? d->body.n : 0)) + 64;
    return TRANSFER_ENCODED_MAX(quoted) + FIXED_MAX +
           TRANSFER_ENCODED_MAX(2 * DSN_RCPT_MAX * d->rcpt_count);
}

/* ---- the parts */

static int encode_quoted_printable(struct part *part)
{
    struct buf encoded;
    buf_init(&encoded, TRANSFER_ENCODED_MAX(buf_len(&part->body)));
    int result = transfer_encode(MIME_QUOTED_PRINTABLE, buf_str(&part->body), &encoded);
    buf_done(&part->body);
    part->body = encoded;
    part->encoding = ENCODING_QP;
    return result;
}

static int make_people(struct report *r)
{
    struct part *part = &r->people;
    part->type = "text/plain; charset=utf-8";
    part->description = "Notification";
    dsn_put_people(r->d, r->form.whole, &part->body);
    if (ascii_only(buf_str(&part->body)))
        return buf_ok(&part->body) ? 0 : -1;
    if (!r->utf8)
        return encode_quoted_printable(part);
    part->encoding = ENCODING_8BIT;
    return 0;
}

static int make_status(struct report *r)
{
    struct part *part = &r->status;
    part->description = "Delivery report";
    part->type = "message/delivery-status";
    dsn_put_status(r->d, r->utf8, &part->body);
    if (!ascii_only(buf_str(&part->body))) { /* RFC 6533 4 */
        part->type = "message/global-delivery-status";
        part->encoding = ENCODING_8BIT;
        r->form.smtputf8 = true;
    }
    return buf_ok(&part->body) ? 0 : -1;
}

/* RFC 6522 3, RFC 6533 5. A message that did not ask for SMTPUTF8 may have raw octets in its
 * header: that goes back as it came. */
static int make_original(struct report *r)
{
    struct part *part = &r->original;
    bool whole = r->form.whole;
    bool global = r->d->smtputf8 && !(ascii_only(r->d->prefix) && ascii_only(r->d->header));
    part->description = whole ? "Undelivered message" : "Header of the message";
    if (global)
        part->type = whole ? "message/global" : "message/global-headers";
    else
        part->type = whole ? "message/rfc822" : "text/rfc822-headers";
    dsn_put_original(r->d, whole, &part->body);
    if (ascii_only(buf_str(&part->body)))
        return buf_ok(&part->body) ? 0 : -1;
    if (!(global ? r->utf8 : whole)) /* these types may be encoded: RFC 6522 4, RFC 6532 3.7 */
        return encode_quoted_printable(part);
    part->encoding = ENCODING_8BIT;
    r->form.smtputf8 |= global;
    return 0;
}

/* ---- a boundary that occurs nowhere */

static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";

enum {
    LETTERS = sizeof letters - 1
};

/* Counts by what follows it how often the boundary occurs. */
static size_t count_followers(struct str s, struct str boundary, size_t count[LETTERS])
{
    size_t found = 0;
    for (ptrdiff_t at; (at = str_find_str(s, boundary)) >= 0; found++) {
        s = str_from(s, (size_t)at + boundary.n);
        const char *letter = s.n > 0 && s.p[0] ? strchr(letters, s.p[0]) : NULL;
        if (letter)
            count[letter - letters]++;
    }
    return found;
}

/* Whoever knows the id may have written the boundary into the message. So it grows by the letter
 * that follows it least often, until it is nowhere: each letter leaves one in 36 at most. */
static void choose_boundary(struct report *r)
{
    struct str parts[] = {
        buf_str(&r->people.body), buf_str(&r->status.body), buf_str(&r->original.body)};
    size_t n = 0;
    memcpy(r->boundary, "=_", 2);
    memcpy(r->boundary + 2, r->d->id.p, r->d->id.n);
    n = 2 + r->d->id.n;
    for (;;) {
        size_t count[LETTERS] = {0}, found = 0, least = 0;
        for (size_t i = 0; i < 3; i++)
            found += count_followers(parts[i], str_of(r->boundary, n), count);
        if (found == 0)
            break;
        for (size_t i = 1; i < LETTERS; i++)
            if (count[i] < count[least])
                least = i;
        CHECK(n < BOUNDARY_MAX); /* 36 to the 28th occurrences fit nowhere */
        r->boundary[n++] = letters[least];
    }
    r->boundary[n] = '\0';
}

/* ---- the message */

static void put_from(const struct report *r, struct buf *out)
{
    char address[DSN_ADDRESS_CUT];
    struct buf line;
    buf_init(&line, 4 * DSN_WORDS_CUT);
    rfc2047_encode(str_head(r->d->from_name, DSN_HOST_CUT / 4), RFC2047_PHRASE, 6, &line);
    buf_printf(out, "From: %.*s\r\n <%.*s>\r\n", STR_ARG(buf_str(&line)),
        STR_ARG(dsn_clean(address, sizeof address, r->d->from, r->utf8)));
    buf_done(&line);
}

/* What is no address does not stand as one. */
static void put_to(const struct report *r, struct buf *out)
{
    struct mailbox m;
    struct str to = r->d->recipient;
    if (mailbox_parse(to, &m, NULL) == 0 && !escape_needed(to, ESCAPE_TERMINAL)) {
        buf_printf(out, "To: <%.*s>\r\n", STR_ARG(to));
    } else {
        buf_put(out, STR("To: undisclosed-recipients:;\r\n"));
    }
}

static void put_subject(const struct report *r, struct buf *out)
{
    static const struct str subjects[] = {
        [DSN_FAILED] = STR_INIT("Undelivered Mail Returned to Sender"),
        [DSN_DELAYED] = STR_INIT("Delayed Mail (still being retried)"),
        [DSN_DELIVERED] = STR_INIT("Successful Mail Delivery Report"),
        [DSN_RELAYED] = STR_INIT("Successful Mail Delivery Report"),
        [DSN_EXPANDED] = STR_INIT("Successful Mail Delivery Report"),
    };
    enum dsn_kind worst = DSN_EXPANDED;
    for (size_t i = 0; i < r->d->rcpt_count; i++)
        if (r->d->rcpts[i].kind < worst)
            worst = r->d->rcpts[i].kind;
    dsn_put_field(out, STR("Subject"), subjects[worst]);
}

/* RFC 5322 3.6.4, so that the report stands beside the message. */
static void put_references(const struct report *r, struct buf *out)
{
    struct header_iter it = header_iter(r->d->header);
    struct header_field f;
    struct buf id;
    buf_init(&id, MESSAGE_ID_MAX);
    if (header_find(&it, STR("Message-ID"), &f) && message_id_parse(f.value, &id) &&
        buf_len(&id) <= REFERENCE_MAX && ascii_only(buf_str(&id))) {
        buf_printf(out, "In-Reply-To: <%.*s>\r\n", STR_ARG(buf_str(&id)));
        buf_printf(out, "References: <%.*s>\r\n", STR_ARG(buf_str(&id)));
    }
    buf_done(&id);
}

static void put_header(struct report *r, struct buf *out)
{
    char date[TIME_RFC5322_SIZE], host[DSN_HOST_CUT];
    const char *subtype = strchr(r->status.type, '/') + 1;
    bool eight = r->people.encoding == ENCODING_8BIT || r->status.encoding == ENCODING_8BIT ||
                 r->original.encoding == ENCODING_8BIT;
    size_t start = buf_len(out);
    put_from(r, out);
    put_to(r, out);
    put_subject(r, out);
    dsn_put_field(out, STR("Date"), time_rfc5322(r->d->now_ms, date));
    buf_printf(out, "Message-ID: <%.*s@%.*s>\r\n", STR_ARG(r->d->id),
        STR_ARG(dsn_clean(host, sizeof host, r->d->host, false)));
    put_references(r, out);
    buf_put(out, STR("Auto-Submitted: auto-replied\r\n" /* RFC 3834 5 */
                     "MIME-Version: 1.0\r\n"));
    /* RFC 6522 3: report-type is the subtype of the second part */
    buf_printf(out, "Content-Type: multipart/report; report-type=%s;\r\n boundary=\"%s\"\r\n",
        subtype, r->boundary);
    buf_printf(out, "Content-Transfer-Encoding: %s\r\n\r\n", eight ? ENCODING_8BIT : ENCODING_7BIT);
    r->form.smtputf8 |= !ascii_only(str_from(buf_str(out), start));
    buf_put(out, STR("This is a message in MIME format, for programs that can show it.\r\n"));
}

static void put_part(const struct report *r, const struct part *part, struct buf *out)
{
    buf_printf(out, "\r\n--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", r->boundary,
        part->description, part->type);
    buf_printf(out, "Content-Transfer-Encoding: %s\r\n\r\n", part->encoding);
    buf_put(out, buf_str(&part->body));
}

static int make_parts(struct report *r)
{
    if (make_people(r) < 0 || make_status(r) < 0 || make_original(r) < 0)
        return -1;
    choose_boundary(r);
    return 0;
}

static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!ascii_alnum(id.p[i]) && id.p[i] != '-' && id.p[i] != '_')
            return false;
    return id.n > 0 && id.n <= DSN_ID_MAX;
}

int dsn_build(const struct dsn *d, struct buf *out, struct dsn_form *form, struct err *e)
{
    struct report r = {.d = d, .utf8 = d->utf8 || !ascii_only(d->recipient)};
    struct part *parts[] = {&r.people, &r.status, &r.original};
    size_t start = buf_len(out);
    CHECK(d->rcpt_count > 0 && is_id(d->id));
    r.form.whole = dsn_returns_body(d);
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        buf_init(&parts[i]->body, dsn_size_max(d));
        parts[i]->encoding = ENCODING_7BIT;
    }
    int result = make_parts(&r);
    if (result == 0) {
        put_header(&r, out);
        for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
            put_part(&r, parts[i], out);
        buf_printf(out, "\r\n--%s--\r\n", r.boundary);
    }
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        buf_done(&parts[i]->body);
    if (result < 0 || !buf_ok(out))
        return err_memory(e, "dsn");
    r.form.eight_bit = !ascii_only(str_from(buf_str(out), start));
    *form = r.form;
    return 0;
}
