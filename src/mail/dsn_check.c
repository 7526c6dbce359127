#include "mail/dsn_check.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "mail/header.h"
#include "mail/mime.h"

/* Lines end in CRLF and have at most 998 octets; no other control characters but tabs, which the
 * original may have brought: then all others too, but no NUL. */
static void check_lines(struct str s, bool original)
{
    size_t column = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\r') {
            CHECK(i + 1 < s.n && s.p[i + 1] == '\n');
        } else if (c == '\n') {
            CHECK(i > 0 && s.p[i - 1] == '\r');
            column = 0;
        } else {
            CHECK(++column <= 998 && c != '\0' && (original || !ascii_control(c)));
        }
    }
}

static struct str value_of(struct str block, struct str name)
{
    struct header_iter it = header_iter(block);
    struct header_field f, again;
    CHECK(header_find(&it, name, &f));
    CHECK(!header_find(&it, name, &again));
    return f.value;
}

static void check_header(struct str block)
{
    static const char *const names[] = {"From", "To", "Subject", "Date", "Message-ID",
        "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"};
    struct header_iter it = header_iter(block);
    struct header_field f;
    size_t fields = 0;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        value_of(block, str_c(names[i]));
    while (header_next(&it, &f)) {
        CHECK(f.id != HEADER_JUNK);
        fields++;
    }
    CHECK(fields <= ARRAY_COUNT(names) + 2); /* In-Reply-To, References */
}

static bool one_of(struct str name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, str_c(names[i])))
            return true;
    return false;
}

static void check_block(struct str block, bool recipient)
{
    static const char *const of_message[] = {
        "Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"};
    static const char *const of_recipient[] = {"Original-Recipient", "Final-Recipient", "Action",
        "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until"};
    struct header_iter it = header_iter(block);
    struct header_field f, other;
    while (header_next(&it, &f)) {
        struct header_iter rest = it;
        CHECK(recipient ? one_of(f.name, of_recipient, ARRAY_COUNT(of_recipient))
                        : one_of(f.name, of_message, ARRAY_COUNT(of_message)));
        CHECK(!header_find(&rest, f.name, &other) && str_trim(f.value).n > 0);
    }
    if (recipient) { /* RFC 3464 2.3: required fields */
        CHECK(str_find(value_of(block, STR("Final-Recipient")), ';') > 0);
        value_of(block, STR("Action"));
        value_of(block, STR("Status"));
    } else {
        CHECK(str_starts(value_of(block, STR("Reporting-MTA")), STR(" dns;")));
    }
}

/* RFC 3464 2.1: blocks of fields between empty lines, the first about the message. */
static void check_status(struct str s, size_t recipients)
{
    size_t blocks = 0;
    while (s.n > 0) {
        ptrdiff_t end = str_find_str(s, STR("\r\n\r\n"));
        size_t n = end < 0 ? s.n : (size_t)end + 2;
        check_block(str_head(s, n), blocks++ > 0);
        s = str_from(s, n + 2);
    }
    CHECK(blocks == recipients + 1);
}

static struct str body_of(struct str report, const struct mime_part *part)
{
    return str_sub(report, part->body_start, part->body_end - part->body_start);
}

static void check_types(const struct mime_part *root, const struct mime_part *status,
    const struct mime_part *original, const struct dsn_form *form)
{
    struct str type, subtype;
    CHECK(mime_is(root, STR("multipart"), STR("report")));
    CHECK(mime_param_find(&root->fields->type, STR("report-type"), &type));
    CHECK(str_eq_ascii(mime_type(status, &subtype), STR("message")) && str_eq_ascii(type, subtype));
    if (form->whole)
        CHECK(mime_is(original, STR("message"), STR("rfc822")) ||
              mime_is(original, STR("message"), STR("global")));
    else
        CHECK(mime_is(original, STR("text"), STR("rfc822-headers")) ||
              mime_is(original, STR("message"), STR("global-headers")));
}

void dsn_check(const struct dsn *d, struct str report, const struct dsn_form *form)
{
    struct mime_parser p;
    CHECK(report.n <= dsn_size_max(d));
    CHECK(form->eight_bit || ascii_only(report));
    mime_init(&p, &MIME_LIMITS_DEFAULT, NULL);
    mime_feed(&p, report);
    struct mime_part *root = mime_finish(&p);
    CHECK(root && root->kind == MIME_MULTIPART && root->first);
    struct mime_part *people = root->first, *status = people->next;
    CHECK(status && status->next && !status->next->next);
    struct mime_part *original = status->next;
    CHECK(mime_is(people, STR("text"), STR("plain")));
    check_types(root, status, original, form);
    check_lines(str_head(report, original->body_start), false);
    check_lines(report, true);
    check_header(str_head(report, root->body_start));
    check_status(body_of(report, status), d->rcpt_count);
    CHECK(form->smtputf8 || ascii_only(str_head(report, root->body_start)));
    mime_done(&p);
}
