#include "mail/mime.h"

#include <stdio.h>
#include <string.h>

#include "base/unit_test.h"

#include "mail/digest.h"

static const struct mime_limits limits = {64, 2000, 100, 256 << 10, 512 << 10};

static char kind_char(const struct mime_part *part)
{
    return part->kind == MIME_MULTIPART ? 'm' : part->kind == MIME_MESSAGE ? 'r' : 'l';
}

/* The tree as (m(l"body")(r(l"body"))): bodies of leaves, "?" where opaque. */
static void render(const struct mime_part *part, struct str content, struct buf *out)
{
    unsigned depth = 0;
    for (const struct mime_part *p = part; p; p = mime_next(p)) {
        for (; depth > 0 && depth >= p->depth + 1u; depth--)
            buf_put_c(out, ')');
        depth = p->depth + 1u;
        buf_put_c(out, '(');
        buf_put_c(out, kind_char(p));
        if (p->opaque)
            buf_put_c(out, '?');
        if (p->kind == MIME_LEAF) {
            buf_put_c(out, '"');
            buf_put(out, str_sub(content, p->body_start, p->body_end - p->body_start));
            buf_put_c(out, '"');
        }
    }
    for (; depth > 0; depth--)
        buf_put_c(out, ')');
}

static void check_spans(const struct mime_part *root, struct str content)
{
    for (const struct mime_part *p = root; p; p = mime_next(p)) {
        assert_true(p->header_start <= p->body_start && p->body_start <= p->body_end);
        assert_true(p->body_end <= content.n);
        const struct mime_part *up = p->parent;
        if (up)
            assert_true(p->header_start >= up->body_start && p->body_end <= up->body_end);
        uint64_t lines = 0;
        for (uint64_t i = p->body_start; i < p->body_end; i++)
            lines += content.p[i] == '\n';
        assert_int_equal(lines, p->body_lines);
    }
}

/* Structure in pieces of that size. */
static void parse(struct str content, size_t piece, const struct mime_limits *l, struct buf *out)
{
    struct mime_parser p;
    mime_init(&p, l, NULL);
    for (struct str rest = content; rest.n > 0; rest = str_from(rest, piece))
        mime_feed(&p, str_head(rest, piece));
    struct mime_part *root = mime_finish(&p);
    assert_non_null(root);
    check_spans(root, content);
    render(root, content, out);
    mime_done(&p);
}

static void expect(const char *content, const char *wanted, const struct mime_limits *l)
{
    for (size_t piece = 1; piece <= strlen(content) + 1; piece += 1 + piece / 3) {
        struct buf out;
        buf_init(&out, 1 << 20);
        parse(str_c(content), piece, l, &out);
        if (!str_eq(buf_str(&out), str_c(wanted)))
            fail_msg("pieces of %zu\n%s\n   got %.*s\nwanted %s", piece, content,
                STR_ARG(buf_str(&out)), wanted);
        buf_done(&out);
    }
}

#define MIXED(b) "Content-Type: multipart/mixed; boundary=\"" b "\"\r\n\r\n"

static const struct {
    const char *content, *tree;
} trees[] = {
    {"", "(l\"\")"}, {"A: b\r\n\r\nbody\r\n", "(l\"body\r\n\")"}, {"A: b\r\n", "(l\"\")"},
    {"\r\nbody", "(l\"body\")"}, {"no header\r\nat all\r\n", "(l\"no header\r\nat all\r\n\")"},
    {"A: b\r\njunk line\r\nC: d\r\n\r\nbody", "(l\"body\")"},
    {"From x@y Thu Jan 1\r\nA: b\r\n\r\nbody", "(l\"body\")"}, /* mbox */
    /* RFC 2046 5.1.1 */
    {MIXED("b") "pre\r\n--b\r\n\r\none\r\n\r\n--b\r\nA: b\r\n\r\ntwo\r\n--b--\r\nepilogue",
        "(m(l\"one\r\n\")(l\"two\"))"},
    {MIXED("b") "--b  \r\n\r\none\r\n--b\t\r\n\r\ntwo\r\n--b-- \r\n", "(m(l\"one\")(l\"two\"))"},
    {MIXED("b") "--b\r\nA: b\r\n\r\n--b--", "(m(l\"\"))"},
    {MIXED("b") "--b\r\n--b--", "(m(l\"\"))"},
    {MIXED("b") "--b\r\nContent-Type: multipart/digest; boundary=i\r\n\r\n--i\r\n--b\r\nx",
        "(m(m(r(l\"\")))(l\"x\"))"},
    {MIXED("b") "--b\r\nA: b\r\n--b--", "(m(l\"\"))"}, /* a delimiter ends a header */
    {MIXED("b") "--b\r\nno header\r\n--b--", "(m(l\"no header\"))"},
    {MIXED("b") "--b", "(m)"}, /* nothing begins where nothing follows */
    {MIXED("b") "--b\r\n\r\none\r\n--b\r\n", "(m(l\"one\"))"}, {MIXED("b") " --b\r\n", "(m)"},
    {MIXED("b") "text --b\r\n", "(m)"},
    {MIXED("b") "--b--\r\n--b\r\n\r\nx", "(m)"}, /* after the end all is epilogue */
    {MIXED("b"), "(m)"},                         /* hostile.md 97: it never ends */
    {MIXED("b") "--b\r\n\r\none", "(m(l\"one\"))"},
    {MIXED("b") "--b\n\none\n--b--\n", "(m(l\"one\"))"}, /* lone line feeds */
    {MIXED("b") "--b\r\n\r\none\r\r\n--b--\r\n", "(m(l\"one\r\"))"},
    {MIXED("b") "--b\r\n\r\n-\r\n-x\r\n--\r\n---b\r\n--b--\r\n", "(m(l\"-\r\n-x\r\n--\r\n---b\"))"},
    /* hostile.md 97, RFC 2046 5.1.2: no confusion of levels */
    {MIXED("a") "--a\r\n" MIXED("ab") "--ab\r\n\r\none\r\n--ab--\r\n--a\r\n\r\ntwo\r\n--a--\r\n",
        "(m(m(l\"one\"))(l\"two\"))"},
    {MIXED("ab") "--ab\r\n" MIXED("a") "--a\r\n\r\none\r\n--ab\r\n\r\ntwo\r\n--ab--\r\n",
        "(m(m(l\"one\"))(l\"two\"))"},
    {MIXED("a") "--a\r\n" MIXED("ab") "--ab\r\n\r\none\r\n--ab--\r\n--ab\r\n\r\nx\r\n--a--\r\n",
        "(m(m(l\"one\")))"},
    {MIXED("b") "--b\r\n" MIXED("b") "--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
        "(m(m(l\"one\"))(l\"two\"))"},
    {MIXED("o") "--o\r\n" MIXED("i") "--i\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--\r\n",
        "(m(m(l\"one\"))(l\"two\"))"}, /* the outer one ends the inner */
    {MIXED("b") "--bx\r\n\r\none\r\n--b--y\r\n", "(m(l\"one\"))"}, /* 5.1.2: a prefix is enough */
    {MIXED("a") "--ab\r\n" MIXED("a") "--ac\r\n\r\nbody", "(m(m(l\"body\")))"},
    {"Content-Type: multipart/mixed\r\n\r\n--\r\n\r\none", "(l?\"--\r\n\r\none\")"},
    {"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\none", "(l?\"--\r\n\r\none\")"},
    /* embedded messages */
    {"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nbody", "(r(l\"body\"))"},
    {"Content-Type: message/rfc822\r\n\r\n", "(r(l\"\"))"},
    {"Content-Type: message/rfc822", "(r(l\"\"))"},
    {"Content-Type: message/global\r\n\r\nA: b\r\n\r\nbody", "(r(l\"body\"))"},
    {"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTog",
        "(l?\"QTog\")"}, /* RFC 2046 5.2.1 */
    {MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\none\r\n--b--\r\n",
        "(m(r(l\"one\")))"},
    {MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\n--b--\r\n", "(m(r(l\"\")))"},
    /* hostile.md 98: a part that ends past its parent */
    {MIXED("o") "--o\r\nContent-Type: message/rfc822\r\n\r\n" MIXED(
         "i") "--i\r\n\r\none\r\n--o--\r\n--i\r\n\r\ntwo\r\n--i--\r\n",
        "(m(r(m(l\"one\"))))"},
    {"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\none\r\n--b--",
        "(m(r(l\"one\")))"}, /* 5.1.5 */
};

static void test_structure(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++)
        expect(trees[i].content, trees[i].tree, &limits);
}

/* hostile.md 97: boundaries of any size */
static void test_boundaries(void **state)
{
    static const size_t sizes[] = {1, 69, 70, 71, 998, 1000, 5000, MIME_BOUNDARY_MAX};
    static char boundary[MIME_BOUNDARY_MAX + 2];
    struct buf content, out;
    (void)state;
    buf_init(&content, 1 << 20);
    buf_init(&out, 1 << 20);
    memset(boundary, 'x', sizeof boundary);
    for (size_t i = 0; i <= sizeof sizes / sizeof *sizes; i++) {
        bool too_long = i == sizeof sizes / sizeof *sizes;
        struct str b = str_of(boundary, too_long ? MIME_BOUNDARY_MAX + 1 : sizes[i]);
        buf_clear(&content);
        buf_put(&content, STR("Content-Type: multipart/mixed; boundary="));
        buf_put(&content, b);
        buf_put(&content, STR("\r\n\r\n--"));
        buf_put(&content, b);
        buf_put(&content, STR("\r\n\r\none\r\n--"));
        buf_put(&content, b);
        buf_put(&content, STR("--\r\n"));
        for (size_t piece = 1; piece < 200000; piece *= 33) {
            buf_clear(&out);
            parse(buf_str(&content), piece, &limits, &out);
            if (too_long)
                assert_true(str_starts(buf_str(&out), STR("(l?")));
            else
                assert_true(str_eq(buf_str(&out), STR("(m(l\"one\"))")));
        }
    }
    buf_done(&content);
    buf_done(&out);
}

static unsigned count_parts(struct str content, const struct mime_limits *l, unsigned *depth)
{
    struct mime_parser p;
    unsigned n = 0;
    *depth = 0;
    mime_init(&p, l, NULL);
    mime_feed(&p, content);
    struct mime_part *root = mime_finish(&p);
    assert_non_null(root);
    for (struct mime_part *part = root; part; part = mime_next(part)) {
        n++;
        *depth = part->depth > *depth ? part->depth : *depth;
    }
    mime_done(&p);
    return n;
}

/* hostile.md 95, 96, 98: limits at limit - 1, limit, limit + 1 */
static void test_limits(void **state)
{
    struct buf content;
    unsigned depth;
    (void)state;
    buf_init(&content, 64 << 20);
    for (int i = 0; i < 10000; i++) /* 95 */
        buf_printf(&content, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    for (unsigned max = 63; max <= 65; max++) {
        struct mime_limits l = limits;
        l.depth = max;
        assert_int_equal(count_parts(buf_str(&content), &l, &depth), max + 1);
        assert_int_equal(depth, max);
    }
    buf_clear(&content);
    for (int i = 0; i < 10000; i++)
        buf_put(&content, STR("Content-Type: message/rfc822\r\n\r\n"));
    count_parts(buf_str(&content), &limits, &depth);
    assert_int_equal(depth, 64);
    buf_clear(&content);
    buf_put(&content, STR(MIXED("b")));
    for (int i = 0; i < 1000000; i++) /* 96 */
        buf_put(&content, STR("--b\r\n\r\n"));
    for (unsigned max = 1999; max <= 2001; max++) {
        struct mime_limits l = limits;
        l.parts = max;
        assert_int_equal(count_parts(buf_str(&content), &l, &depth), max);
    }
    struct mime_limits small = limits;
    small.memory_max = 4096; /* the tree does not fit: the rest is opaque */
    assert_true(count_parts(buf_str(&content), &small, &depth) < 100);
    buf_done(&content);
}

/* hostile.md 93: a header block of any size costs header_max */
static void test_long_header(void **state)
{
    struct mime_parser p;
    (void)state;
    mime_init(&p, &limits, NULL);
    mime_feed(&p, STR("A: b\r\n"));
    for (int i = 0; i < 40 << 10; i++) {
        char line[1024];
        memset(line, ' ', sizeof line);
        line[1023] = '\n';
        mime_feed(&p, str_of(line, sizeof line));
        assert_true(p.header.cap <= 256 << 10);
    }
    mime_feed(&p, STR("\r\nbody"));
    struct mime_part *root = mime_finish(&p);
    assert_int_equal(root->body_end - root->body_start, 4);
    mime_done(&p);
}

static void test_no_memory(void **state)
{
    struct mime_parser p;
    struct mime_limits l = limits;
    (void)state;
    l.memory_max = 100; /* not even the frames */
    mime_init(&p, &l, NULL);
    mime_feed(&p, STR("A: b\r\n\r\n"));
    assert_null(mime_finish(&p));
    mime_done(&p);
}

struct heard {
    struct buf text;
    unsigned ends;
};

static bool on_header(void *arg, struct mime_part *part, struct str block)
{
    struct heard *h = arg;
    (void)part;
    buf_printf(&h->text, "[%zu]", block.n);
    return true;
}

static void on_body(void *arg, struct mime_part *part, struct str octets)
{
    struct heard *h = arg;
    assert_true(part->kind == MIME_LEAF);
    buf_put(&h->text, octets);
}

static void on_end(void *arg, struct mime_part *part)
{
    (void)part;
    ((struct heard *)arg)->ends++;
}

static void test_handler(void **state)
{
    static const char content[] =
        MIXED("b") "pre\r\n--b\r\nA: b\r\n\r\none\r\n\r\ntwo\r\r\n--b\r\n\r\n\r\n\r\n--b--\r\nepi";
    (void)state;
    for (size_t piece = 1; piece < sizeof content; piece++) {
        struct heard h = {0};
        struct mime_handler handler = {&h, on_header, on_body, on_end};
        struct mime_parser p;
        buf_init(&h.text, 4096);
        mime_init(&p, &limits, &handler);
        for (struct str s = str_c(content); s.n > 0; s = str_from(s, piece))
            mime_feed(&p, str_head(s, piece));
        assert_non_null(mime_finish(&p));
        if (!str_eq(buf_str(&h.text), STR("[47][8]one\r\n\r\ntwo\r[2]\r\n")) || h.ends != 3)
            fail_msg("pieces of %zu: %.*s", piece, STR_ARG(buf_str(&h.text)));
        mime_done(&p);
        buf_done(&h.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_header),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
