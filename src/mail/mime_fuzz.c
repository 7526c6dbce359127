/* A message: one digest however it is cut; spans lie within their parents; limits hold; what is
 * built can be opened; header_scan ends where the root's header does. */
#include "base/check.h"
#include "base/utf8.h"

#include "mail/charset.h"
#include "mail/digest.h"
#include "mail/header_scan.h"
#include "mail/text.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return charset_prepare() ? 0 : 1;
}

static struct mime_limits limits_of(size_t size)
{
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    if (size % 3 == 0)
        limits = (struct mime_limits){size % 7, 1 + size % 11, size % 4, 64 + size % 200, 8192};
    return limits;
}

static void build(struct str s, size_t piece, const struct mime_limits *limits, struct buf *out)
{
    struct digest_builder b;
    buf_init(out, DIGEST_MAX);
    digest_begin(&b, limits);
    for (; s.n > 0; s = str_from(s, piece))
        digest_feed(&b, str_head(s, piece));
    CHECK(digest_finish(&b, out, NULL) == 0);
    digest_done(&b);
}

static void check_tree(struct str s, const struct mime_limits *limits)
{
    struct mime_parser p;
    uint32_t count = 0;
    mime_init(&p, limits, NULL);
    mime_feed(&p, s);
    struct mime_part *root = mime_finish(&p);
    CHECK(root && root->header_start == 0 && root->body_end == s.n);
    for (struct mime_part *part = root; part; part = mime_next(part)) {
        struct mime_part *up = part->parent;
        uint64_t lines = 0;
        CHECK(part->index == count++ && part->depth <= limits->depth);
        CHECK(part->header_start <= part->body_start && part->body_start <= part->body_end);
        if (up)
            CHECK(part->header_start >= up->body_start && part->body_end <= up->body_end);
        if (part->next)
            CHECK(part->next->header_start >= part->body_end);
        for (uint64_t i = part->body_start; i < part->body_end; i++)
            lines += s.p[i] == '\n';
        CHECK(lines == part->body_lines);
        if (part->fields)
            CHECK(part->fields->type.count <= limits->params);
    }
    CHECK(count <= limits->parts);
    struct header_scan scan;
    header_scan_init(&scan);
    header_scan_feed(&scan, s);
    header_scan_finish(&scan);
    CHECK(scan.octets == root->body_start);
    mime_done(&p);
}

static void check_parts(struct str s, const struct digest *d)
{
    struct digest_parts it = digest_parts(d);
    struct digest_part part;
    while (digest_next_part(&it, &part)) {
        struct text_form form = {part.encoding, str_head(part.type, 20), part.index % 2};
        struct buf text;
        buf_init(&text, 4096);
        CHECK(part.body_end <= s.n && utf8_valid(part.file_name));
        CHECK(text_extract(&form, str_sub(s, part.body_start, part.body_end - part.body_start),
                  4096, &text) == 0);
        CHECK(utf8_valid(buf_str(&text)));
        buf_done(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);
    struct mime_limits limits = limits_of(size);
    struct buf whole, pieces, bytes;
    struct digest d;
    build(s, size + 1, &limits, &whole);
    build(s, 2 + size % 61, &limits, &pieces);
    build(s, 1, &limits, &bytes);
    CHECK(str_eq(buf_str(&whole), buf_str(&pieces)) && str_eq(buf_str(&whole), buf_str(&bytes)));
    CHECK(digest_open(buf_str(&whole), &d, NULL) == 0 && utf8_valid(d.preview));
    check_tree(s, &limits);
    check_parts(s, &d);
    buf_done(&whole);
    buf_done(&pieces);
    buf_done(&bytes);
    return 0;
}
