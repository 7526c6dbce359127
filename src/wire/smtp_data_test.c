#include "wire/smtp_data.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/unit_test.h"

#include "mail/testdata.h"

#include "wire/smtp_scan.h"

enum {
    OUT_MAX = 1 << 20
};

struct result {
    struct buf out;
    unsigned faults;
    bool ended;
    size_t rest; /* octets after the end of data */
    uint64_t size;
};

/* Runs the machine over the input in slices of `chunk` octets. Each slice is a copy of its own, so
 * that the sanitizer sees a read outside of it. */
static struct result run(struct str in, size_t chunk, bool dots, struct smtp_data_limits limits)
{
    struct result r = {0};
    struct smtp_data d;
    size_t at = 0;

    buf_init(&r.out, OUT_MAX);
    smtp_data_init(&d, dots, &limits);
    while (at < in.n && !r.ended) {
        size_t n = in.n - at < chunk ? in.n - at : chunk;
        char *copy = mem_alloc(n);
        struct str slice = str_of(copy, n), content;
        enum smtp_data_step step;
        assert_non_null(copy);
        memcpy(copy, in.p + at, n);
        while ((step = smtp_data_next(&d, &slice, &content)) == SMTP_DATA_RUN)
            buf_put(&r.out, content);
        at += n;
        r.ended = step == SMTP_DATA_END;
        r.rest = in.n - at + slice.n;
        mem_free(copy);
    }
    if (!dots)
        buf_put(&r.out, smtp_data_finish(&d));
    r.faults = d.faults;
    r.size = d.size;
    return r;
}

static const struct smtp_data_limits strict = {0};
static const struct smtp_data_limits lax = {.normalize = true};

static void test_data(void **state)
{
    static const struct {
        struct str in;
        const char *strict, *lax; /* NULL: faults */
        size_t rest;
    } rows[] = {
        {STR_INIT(".\r\n"), "", "", 0}, /* hostile.md 49 */
        {STR_INIT("a\r\n.\r\n"), "a\r\n", "a\r\n", 0},
        {STR_INIT("a\r\n.\r\nQUIT\r\n"), "a\r\n", "a\r\n", 6},
        {STR_INIT("..\r\n.\r\n"), ".\r\n", ".\r\n", 0}, /* RFC 5321 4.5.2, hostile.md 50 */
        {STR_INIT("...\r\n.x\r\n.\t\r\n.\r\n"), "..\r\nx\r\n\t\r\n", "..\r\nx\r\n\t\r\n", 0},
        {STR_INIT("\r\n\r\n.\r\n"), "\r\n\r\n", "\r\n\r\n", 0},
        {STR_INIT("a\r\n\0.\r\n.\r\n"), NULL, NULL, 0}, /* see test_nul */
        /* hostile.md 1, 2, 3: not an end of data, content where it is made harmless */
        {STR_INIT("a\n.\nb\r\n.\r\n"), NULL, "a\r\n.\r\nb\r\n", 0},
        {STR_INIT("a\n.\r\nb\r\n.\r\n"), NULL, "a\r\n.\r\nb\r\n", 0},
        {STR_INIT("a\r\n.\nb\r\n.\r\n"), NULL, "a\r\n.\r\nb\r\n", 0},
        {STR_INIT("a\r\n.\rb\r\n.\r\n"), NULL, "a\r\n b\r\n", 0},
        {STR_INIT("a\r.\r\nb\r\n.\r\n"), NULL, "a .\r\nb\r\n", 0}, /* hostile.md 4 */
        {STR_INIT("a\n.\rb\r\n.\r\n"), NULL, "a\r\n. b\r\n", 0},
        {STR_INIT("a\r\r\n.\r\n"), NULL, "a \r\n", 0},
        {STR_INIT("a\r\n.\r\r\n.\r\n"), NULL, "a\r\n \r\n", 0},
        {STR_INIT("a\n..b\n.c\r\n.\r\n"), NULL, "a\r\n.b\r\nc\r\n", 0},
        {STR_INIT("\n\n.\r\n.\r\n"), NULL, "\r\n\r\n.\r\n", 0},
        {STR_INIT("\r\r.\r\n.\r\n"), NULL, "  .\r\n", 0},
        {STR_INIT("a\r\n.\r\n.\r\n"), "a\r\n", "a\r\n", 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (memchr(rows[i].in.p, 0, rows[i].in.n))
            continue;
        for (size_t chunk = 1; chunk <= rows[i].in.n; chunk++) {
            for (int normal = 0; normal < 2; normal++) {
                const char *want = normal ? rows[i].lax : rows[i].strict;
                struct result r = run(rows[i].in, chunk, true, normal ? lax : strict);
                if (!r.ended || r.rest != rows[i].rest || (r.faults == 0) != (want != NULL) ||
                    (want && !str_eq(buf_str(&r.out), str_c(want))))
                    fail_msg("row %zu, chunk %zu, %s: %.*s", i, chunk, normal ? "lax" : "strict",
                        STR_ARG(buf_str(&r.out)));
                buf_done(&r.out);
            }
        }
    }
}

/* A NUL is content, and makes no end of data of what is none. */
static void test_nul(void **state)
{
    struct str in = STR("a\r\n\0.\r\n.\r\n");
    (void)state;
    for (size_t chunk = 1; chunk <= in.n; chunk++) {
        struct result r = run(in, chunk, true, strict);
        assert_true(r.ended && str_eq(buf_str(&r.out), STR("a\r\n\0.\r\n")));
        buf_done(&r.out);
    }
}

static void test_bdat(void **state)
{
    static const struct {
        const char *in, *strict, *lax;
    } rows[] = {
        {"a\r\n.\r\n..b\r\n", "a\r\n.\r\n..b\r\n", "a\r\n.\r\n..b\r\n"}, /* RFC 3030 2 */
        {"a", "a\r\n", "a\r\n"}, {"", "", ""}, {"a\r", NULL, "a \r\n"}, {"a\n", NULL, "a\r\n"},
        {"a\rb\n.\n", NULL, "a b\r\n.\r\n"}, /* hostile.md 4 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t chunk = 1; chunk <= strlen(rows[i].in) + 1; chunk++) {
            for (int normal = 0; normal < 2; normal++) {
                const char *want = normal ? rows[i].lax : rows[i].strict;
                struct result r = run(str_c(rows[i].in), chunk, false, normal ? lax : strict);
                if ((r.faults == 0) != (want != NULL) ||
                    (want && !str_eq(buf_str(&r.out), str_c(want))))
                    fail_msg("row %zu, chunk %zu: %.*s", i, chunk, STR_ARG(buf_str(&r.out)));
                buf_done(&r.out);
            }
        }
    }
}

static void test_limits(void **state)
{
    static const size_t chunks[] = {1, 63, 64, 65, 100000};
    static char line[300];
    (void)state;
    memset(line, 'x', sizeof line);
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        for (size_t n = 126; n <= 130; n++) {
            struct smtp_data_limits limits = {.line_max = 128};
            struct buf in;
            buf_init(&in, OUT_MAX);
            buf_put(&in, STR("short\r\n"));
            buf_put(&in, str_of(line, n));
            buf_put(&in, STR("\r\nshort\r\n.\r\n"));
            struct result r = run(buf_str(&in), chunks[c], true, limits);
            assert_int_equal(r.faults, n > 128 ? SMTP_DATA_LONG : 0);
            buf_done(&r.out);
            limits = (struct smtp_data_limits){.size_max = 7 + 128 + 2 + 7};
            r = run(buf_str(&in), chunks[c], true, limits); /* RFC 1870 6.3 */
            assert_true(r.ended);
            assert_int_equal(r.faults, n > 128 ? SMTP_DATA_LARGE : 0);
            assert_int_equal(r.size, 7 + n + 2 + 7);
            buf_done(&r.out);
            buf_done(&in);
        }
    }
}

/* The scanner against the plain reading of its contract, octet by octet, around block borders. */
static size_t scan_slowly(struct str s, bool dots, bool line_start)
{
    for (size_t i = 0; i < s.n; i++) {
        if (line_start && dots && s.p[i] == '.')
            return i;
        if (s.p[i] == '\n' || (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')))
            return i;
        line_start = s.p[i] == '\r';
        i += line_start;
    }
    return s.n;
}

static void test_scan(void **state)
{
    static const char alphabet[] = "\r\n\n.xxx";
    static char text[200];
    uint32_t seed = 1;
    (void)state;
    for (int round = 0; round < 200000; round++) {
        size_t n = (size_t)(round % 200), plain = 0;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            if (plain == 0 && (seed >> 20) % 8 == 0)
                text[i] = alphabet[(seed >> 24) % 7];
            else
                text[i] = i && text[i - 1] == '\r' ? '\n' : "xx\r.x\r"[(seed >> 25) % 6];
        }
        struct smtp_scan scan = {.dots = round & 1, .line_start = round & 2};
        bool start = scan.line_start;
        size_t want = scan_slowly(str_of(text, n), scan.dots, start);
        assert_int_equal(smtp_scan(&scan, str_of(text, n)), want);
        if (want)
            assert_int_equal(scan.line_start, text[want - 1] == '\n');
        if (want && scan.line_start)
            assert_int_equal(scan.line, 0);
        else if (want)
            assert_true(scan.line <= want && text[want - scan.line] != '\n');
    }
}

static void test_stuffing(void **state)
{
    static const char content[] = ".\r\n..\r\n...\r\n.\t\r\n\r\na.b\r\n.x\r\n"; /* hostile.md 50 */
    static const char wire[] = "..\r\n...\r\n....\r\n..\t\r\n\r\na.b\r\n..x\r\n";
    (void)state;
    for (size_t chunk = 1; chunk < sizeof content; chunk++) {
        struct buf out;
        bool start = true;
        buf_init(&out, OUT_MAX);
        for (struct str all = str_c(content); !str_empty(all); all = str_from(all, chunk)) {
            struct str slice = str_head(all, chunk), next;
            while (!str_empty(next = smtp_stuff_next(&start, &slice)))
                buf_put(&out, next);
        }
        assert_true(str_eq(buf_str(&out), str_c(wire)));
        buf_done(&out);
    }
}

static void check_smuggling(const char *set, json_t *all, unsigned *count)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(all, set), i, row)
    {
        struct str sequence = str_of(json_string_value(row), json_string_length(row));
        struct buf in;
        buf_init(&in, OUT_MAX);
        buf_put(&in, STR("Subject: x\r\n\r\nbody"));
        buf_put(&in, sequence);
        buf_put(&in, STR("MAIL FROM:<a@b>\r\n.\r\n"));
        for (int normal = 0; normal < 2; normal++) {
            struct result r = run(buf_str(&in), in.end, true, normal ? lax : strict);
            assert_true(r.ended && r.rest == 0);
            assert_true(r.faults == 0 || !normal);
            buf_done(&r.out);
        }
        buf_done(&in);
        ++*count;
    }
}

/* What others found to end data in some server ends none here. */
static void test_smuggling_of_others(void **state)
{
    char path[1024];
    json_error_t error;
    unsigned count = 0;
    (void)state;
    if (!testdata_path("smtp/smuggling-sequences", path, sizeof path - 64))
        return;
    testdata_path("smtp/smuggling-sequences/eod-sequences.json", path, sizeof path);
    json_t *all = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!all)
        return;
    check_smuggling("inbound", all, &count);
    check_smuggling("outbound", all, &count);
    testdata_report("smtp/smuggling-sequences", count, count);
    json_decref(all);
}

static void test_tables_of_others(void **state)
{
    json_t *cases = testdata_cases("smtp/mox-tables/smtp.data.json"), *row;
    unsigned agree = 0, of = 0;
    size_t i;
    (void)state;
    json_array_foreach(cases, i, row)
    {
        json_t *args = json_object_get(row, "args");
        struct str a = str_c(json_string_value(json_array_get(args, 0)));
        const char *want = json_string_value(json_array_get(args, 1));
        struct result r;
        if (str_eq(str_c(json_string_value(json_object_get(row, "in"))), STR("TestDataWrite")))
            continue;
        r = run(a, a.n, true, strict);
        bool good = json_is_null(json_array_get(args, 2));
        of++;
        agree += (r.faults == 0) == good && (!good || str_eq(buf_str(&r.out), str_c(want)));
        buf_done(&r.out);
    }
    if (cases)
        testdata_report("smtp/mox-tables", agree, of);
    assert_int_equal(agree, of);
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_bdat),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_stuffing),
        cmocka_unit_test(test_smuggling_of_others),
        cmocka_unit_test(test_tables_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
