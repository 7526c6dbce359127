/* ENVELOPE and BODYSTRUCTURE as others give them, made of digests: RFC 9051 7.5.2. */
#include <stdio.h>
#include <string.h>

#include "base/unit_test.h"

#include "mail/digest.h"
#include "mail/testdata.h"

enum {
    PARTS = 2100
};

static void put_string(struct buf *out, struct str s)
{
    if (s.n == 0) {
        buf_put(out, STR("NIL"));
        return;
    }
    buf_put_c(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_put_c(out, '\\');
        buf_put_c(out, s.p[i]);
    }
    buf_put_c(out, '"');
}

static void put_addresses(struct buf *out, struct str list)
{
    struct digest_address a;
    if (list.n == 0) {
        buf_put(out, STR("NIL"));
        return;
    }
    buf_put_c(out, '(');
    while (digest_next_address(&list, &a)) {
        bool group = a.kind != DIGEST_MAILBOX;
        buf_put(out, group ? STR("(NIL NIL ") : STR("("));
        if (!group) {
            put_string(out, a.name);
            buf_put_c(out, ' ');
            put_string(out, a.route);
            buf_put_c(out, ' ');
        }
        put_string(out, group ? a.name : a.local);
        buf_put_c(out, ' ');
        put_string(out, group ? STR_NONE : a.domain);
        buf_put_c(out, ')');
    }
    buf_put_c(out, ')');
}

static void put_envelope(struct buf *out, struct str encoded)
{
    struct digest_envelope env;
    digest_envelope(encoded, &env);
    const struct str lists[] = {env.from, env.sender, env.reply_to, env.to, env.cc, env.bcc};
    put_string(out, env.date);
    buf_put_c(out, ' ');
    put_string(out, env.subject);
    for (size_t i = 0; i < 6; i++) {
        buf_put_c(out, ' ');
        put_addresses(out, lists[i]);
    }
    buf_put_c(out, ' ');
    put_string(out, env.in_reply_to);
    buf_put_c(out, ' ');
    put_string(out, env.message_id);
}

static void put_params(struct buf *out, struct str params, bool text)
{
    struct mime_param p;
    struct str rest = params;
    bool charset = !text, any = false;
    buf_put_c(out, '(');
    while (digest_next_param(&rest, &p)) {
        buf_put(out, any ? STR(" ") : STR(""));
        put_string(out, p.name);
        buf_put_c(out, ' ');
        put_string(out, p.value);
        any = true;
        charset |= str_eq_ascii(p.name, STR("charset"));
    }
    if (!charset) /* RFC 2045 5.2 */
        buf_put(out, any ? STR(" \"charset\" \"us-ascii\"") : STR("\"charset\" \"us-ascii\""));
    buf_put_c(out, ')');
    if (!any && charset) {
        buf_truncate(out, buf_len(out) - 2);
        buf_put(out, STR("NIL"));
    }
}

static void put_language(struct buf *out, struct str language)
{
    struct str one;
    if (language.n == 0) {
        buf_put(out, STR("NIL"));
        return;
    }
    buf_put_c(out, '(');
    for (bool more = true, first = true; more; first = false) {
        more = str_cut(&language, ',', &one);
        buf_put(out, first ? STR("") : STR(" "));
        put_string(out, str_trim(one));
    }
    buf_put_c(out, ')');
}

static void put_extension(struct buf *out, const struct digest_part *p)
{
    if (p->kind != MIME_MULTIPART) {
        buf_put_c(out, ' ');
        put_string(out, p->md5);
    }
    buf_put_c(out, ' ');
    if (p->disposition.n == 0) {
        buf_put(out, STR("NIL"));
    } else {
        buf_put_c(out, '(');
        put_string(out, p->disposition);
        buf_put_c(out, ' ');
        put_params(out, p->disposition_params, false);
        buf_put_c(out, ')');
    }
    buf_put_c(out, ' ');
    put_language(out, p->language);
    buf_put_c(out, ' ');
    put_string(out, p->location);
}

static struct str encoding_name(enum mime_encoding encoding)
{
    static const struct str names[] = {STR_INIT("7bit"), STR_INIT("8bit"), STR_INIT("binary"),
        STR_INIT("quoted-printable"), STR_INIT("base64"), STR_INIT("x-uuencode"), STR_INIT("7bit")};
    return names[encoding];
}

static const struct digest_part *child_of(
    const struct digest_part *parts, uint32_t count, uint32_t parent, uint32_t after)
{
    for (uint32_t i = after + 1; i < count; i++)
        if (parts[i].parent == parent)
            return &parts[i];
    return NULL;
}

static void put_body(
    struct buf *out, const struct digest_part *parts, uint32_t count, const struct digest_part *p)
{
    bool text = str_eq_ascii(p->type, STR("text"));
    if (p->kind == MIME_MULTIPART) {
        const struct digest_part *child = p;
        while ((child = child_of(parts, count, p->index, child->index))) {
            buf_put_c(out, '(');
            put_body(out, parts, count, child);
            buf_put_c(out, ')');
        }
        buf_put_c(out, ' ');
        put_string(out, p->subtype);
        buf_put_c(out, ' ');
        put_params(out, p->params, false);
        put_extension(out, p);
        return;
    }
    put_string(out, p->type);
    buf_put_c(out, ' ');
    put_string(out, p->subtype);
    buf_put_c(out, ' ');
    put_params(out, p->params, text);
    buf_put_c(out, ' ');
    put_string(out, p->id);
    buf_put_c(out, ' ');
    put_string(out, p->description);
    buf_put_c(out, ' ');
    put_string(out, encoding_name(p->encoding));
    buf_printf(out, " %u", (unsigned)(p->body_end - p->body_start));
    if (p->kind == MIME_MESSAGE) {
        const struct digest_part *child = child_of(parts, count, p->index, p->index);
        buf_put(out, STR(" ("));
        put_envelope(out, child->envelope);
        buf_put(out, STR(") ("));
        put_body(out, parts, count, child);
        buf_put_c(out, ')');
    }
    if (text || p->kind == MIME_MESSAGE)
        buf_printf(out, " %u", (unsigned)p->body_lines);
    put_extension(out, p);
}

/* Its BODYSTRUCTURE without the outer parentheses, its ENVELOPE. */
static void digest_to_imap(struct str content, struct buf *structure, struct buf *envelope)
{
    static struct digest_part parts[PARTS];
    struct digest_builder b;
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct digest d;
    struct buf octets;
    uint32_t n = 0;
    buf_init(&octets, DIGEST_MAX);
    digest_begin(&b, &limits);
    digest_feed(&b, content);
    assert_int_equal(digest_finish(&b, &octets, NULL), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    struct digest_parts it = digest_parts(&d);
    while (n < PARTS && digest_next_part(&it, &parts[n]))
        n++;
    put_body(structure, parts, n, &parts[0]);
    put_envelope(envelope, parts[0].envelope);
    digest_done(&b);
    buf_done(&octets);
}

/* Only the spaces that separate are left; case is folded. */
static void normalise(struct str s, struct buf *out)
{
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' && (i == 0 || s.p[i - 1] != '\\'))
            quoted = !quoted;
        bool space = !quoted && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
        if (!space)
            buf_put_c(out, ascii_lower(c));
        else if (buf_len(out) > 0 && out->p[buf_len(out) - 1] != '(' &&
                 out->p[buf_len(out) - 1] != ' ')
            buf_put_c(out, ' ');
        if (!quoted && (c == ')' || c == '(') && buf_len(out) > 1 &&
            out->p[buf_len(out) - 2] == ' ')
            out->p[--out->end - 1] = c;
    }
}

static bool same(struct str got, struct str want)
{
    struct buf a, b;
    buf_init(&a, 4 << 20);
    buf_init(&b, 4 << 20);
    normalise(got, &a);
    normalise(want, &b);
    bool equal = str_eq(str_trim(buf_str(&a)), str_trim(buf_str(&b)));
    if (!equal)
        printf("      got: %.*s\n   theirs: %.*s\n", STR_ARG(buf_str(&a)), STR_ARG(buf_str(&b)));
    buf_done(&a);
    buf_done(&b);
    return equal;
}

static bool compare_row(const json_t *row, struct buf *got, const char *member)
{
    struct buf text, message, want, other;
    testdata_string(json_object_get(row, "message"), &text);
    testdata_crlf(buf_str(&text), &message);
    testdata_string(json_object_get(row, member), &want);
    buf_init(&other, 1 << 20);
    if (strcmp(member, "envelope") == 0)
        digest_to_imap(buf_str(&message), &other, got);
    else
        digest_to_imap(buf_str(&message), got, &other);
    bool equal = same(buf_str(got), buf_str(&want));
    buf_done(&text);
    buf_done(&message);
    buf_done(&want);
    buf_done(&other);
    return equal;
}

static bool structure_row(const json_t *row, struct buf *got)
{
    return compare_row(row, got, "bodystructure");
}

static bool envelope_row(const json_t *row, struct buf *got)
{
    return compare_row(row, got, "envelope");
}

static void test_dovecot(void **state)
{
    (void)state;
    assert_true(testdata_table(
        "imap/dovecot-imap-tables/imap-bodystructure.parse_tests.json", structure_row, 100));
    assert_true(testdata_table(
        "imap/dovecot-imap-tables/imap-envelope.parse_tests.json", envelope_row, 100));
}

struct count {
    unsigned agree, of;
};

/* They work out Content-MD5 where the message has none (32 digits where we have NIL), have NIL for
 * an encoding that is not given, and count no lines in embedded messages. */
static void without_habits(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        struct str rest = str_from(s, i);
        if (s.p[i] == '"' && i + 33 < s.n && s.p[i + 33] == '"' &&
            strspn(s.p + i + 1, "0123456789abcdef") == 32) {
            buf_put(out, STR("NIL"));
            i += 33;
        } else if (str_starts_ascii(rest, STR("\"7bit\""))) {
            buf_put(out, STR("NIL"));
            i += 5;
        } else if (str_starts(rest, STR(") ")) && i + 2 < s.n && ascii_digit(s.p[i + 2])) {
            buf_put(out, STR(") 0"));
            for (i += 2; i + 1 < s.n && ascii_digit(s.p[i + 1]);)
                i++;
        } else {
            buf_put_c(out, s.p[i]);
        }
    }
}

static void stalwart(const char *path, struct str content, void *arg)
{
    struct count *count = arg;
    char answers[1024];
    struct buf file = {0}, want, got, structure, envelope;
    snprintf(answers, sizeof answers, "%.*s.imap", (int)(strlen(path) - 4), path);
    if (!testdata_read(answers, &file))
        return;
    buf_put_c(&file, '\0');
    buf_init(&want, 1 << 20);
    buf_init(&structure, 1 << 20);
    buf_init(&envelope, 1 << 20);
    digest_to_imap(content, &structure, &envelope);
    struct str s = buf_str(&file);
    s = str_from(s, (size_t)str_find_str(s, STR("\nBODYSTRUCTURE (")) + 16);
    s = str_head(s, (size_t)str_find_str(s, STR("\n)\n")));
    without_habits(s, &want);
    buf_init(&got, 1 << 20);
    without_habits(buf_str(&structure), &got);
    count->of++;
    bool agree = same(buf_str(&got), buf_str(&want));
    count->agree += agree;
    if (!agree)
        printf("  differs: %s\n", path);
    buf_done(&file);
    buf_done(&want);
    buf_done(&got);
    buf_done(&structure);
    buf_done(&envelope);
}

static void test_stalwart(void **state)
{
    struct count count = {0};
    (void)state;
    testdata_each("imap/stalwart-bodystructure", ".txt", stalwart, &count);
    testdata_report("imap/stalwart-bodystructure", count.agree, count.of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dovecot),
        cmocka_unit_test(test_stalwart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
