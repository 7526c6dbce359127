/* Fields of a block and the scanner that streams over it: they agree, wherever chunks end. */
#include "mail/header.h"

#include "base/check.h"

#include "mail/header_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan(struct str s, size_t piece, struct header_scan *out)
{
    header_scan_init(out);
    for (; s.n > 0; s = str_from(s, piece))
        header_scan_feed(out, str_head(s, piece));
    header_scan_finish(out);
}

static bool headless(struct str s)
{
    struct str name;
    size_t at;
    return s.n > 0 && !header_line(s, &name, &at) && s.p[0] != ' ' && s.p[0] != '\t' &&
           s.p[0] != '\n' && !str_starts(s, STR("\r\n")) && !str_starts(s, STR("From ")) &&
           !str_starts(s, STR(">From "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    struct header_iter it = header_iter(s);
    struct header_field f;
    struct header_scan whole, pieces;
    uint32_t fields = 0, junk = 0, spans = 0;
    size_t at = 0;
    scan(s, size + 1, &whole);
    scan(s, 1 + size % 7, &pieces);
    CHECK(whole.octets == pieces.octets && whole.fields == pieces.fields);
    CHECK(whole.junk == pieces.junk && whole.spans == pieces.spans);
    CHECK(memcmp(whole.span, pieces.span, sizeof whole.span) == 0);
    while (header_next(&it, &f)) {
        CHECK(f.offset == at && f.length > 0);
        at += f.length;
        fields += f.id != HEADER_JUNK;
        junk += f.id == HEADER_JUNK;
        if ((f.id == HEADER_RETURN_PATH || f.id == HEADER_DELIVERED_TO) &&
            spans < HEADER_SPANS_MAX && !headless(s)) {
            CHECK(whole.span[spans].offset == f.offset && whole.span[spans].length == f.length);
            spans++;
        }
        struct buf out;
        buf_init(&out, size);
        header_put_unfolded(f.value, &out);
        CHECK(buf_ok(&out) && str_find(buf_str(&out), '\n') < 0);
        buf_done(&out);
    }
    CHECK(it.at <= size);
    if (headless(s))
        CHECK(whole.octets == 0 && whole.fields == 0);
    else
        CHECK(whole.octets == it.at && whole.fields == fields && whole.junk == junk);
    return 0;
}
