#include "mail/address.h"

#include <stdio.h>

#include "base/unit_test.h"

#include "mail/testdata.h"

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10

static void test_grammar(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"user@example.org", true},             /* RFC 5321 4.1.2 */
        {"a.b+c/d=e@example.org", true},        /* atext */
        {"\"a b\\\"c\"@example.org", true},     /* Quoted-string */
        {"\"\"@example.org", true},             /* an empty one */
        {"\"a\\\xc3\xa9\"@example.org", false}, /* quoted-pairSMTP is ASCII */
        {".a@example.org", false},              /* Dot-string */
        {"a.@example.org", false}, {"a..b@example.org", false},
        {"a@example.org.", false}, /* no dot at the end */
        {"a@.example.org", false}, {"a@example..org", false},
        {"a@-example.org", false}, /* sub-domain */
        {"a@example-.org", false}, {"a@exa_mple.org", false},
        {"a@example.org ", false}, /* no white space, no comments */
        {"a@(c)example.org", false}, {"a b@example.org", false}, {"a@", false},
        {"@example.org", false}, {"a", false}, {"a@b@example.org", false},
        {"b%there.example@here.example", true},     /* hostile.md 31 */
        {"\"b@there.example\"@here.example", true}, /* hostile.md 32 */
        {"\"b@there.example\"", false},             /* hostile.md 32 */
        {"-oQ/tmp@here.example", true},             /* hostile.md 53: literal octets */
        {"\"|/bin/sh\"@here.example", true}, {";sleep 66;@evil.example", false},
        {"../../../etc/passwd@here.example", false}, /* hostile.md 55 */
        {"any@there.example(.evil.example", false},  /* hostile.md 115 */
        {"any@there.example'@a.evil.example", false},
        {X60 "xxxx@example.org", true}, /* RFC 5321 4.5.3.1.1, hostile.md 13 */
        {X60 "xxxxx@example.org", false}, {"a@" X60 "xxx.org", true}, /* RFC 1035 2.3.4 */
        {"a@" X60 "xxxx.org", false},
        {"a@" X60 "." X60 "." X60 "." X60 ".xxxxxxxx", true}, /* 4.5.3.1.3: 254 + <> */
        {"a@" X60 "." X60 "." X60 "." X60 ".xxxxxxxxx", false}, {"a@[192.0.2.1]", true}, /* 4.1.3 */
        {"a@[192.0.2.256]", false}, {"a@[192.0.2]", false}, {"a@[192.0.2.1.1]", false},
        {"a@[192.0.2.1", false}, {"a@[0192.0.2.1]", false}, {"a@[ipv6:2001:DB8::1]", true},
        {"a@[IPv6:2001:db8:1:2:3:4:5::]", true}, {"a@[IPv6:2001:db8:1:2:3:4:5:6]", true},
        {"a@[IPv6:::ffff:192.0.2.1]", true}, {"a@[IPv6:1:2:3:4:5:6::7:8]", false},
        {"a@[IPv6:1::2::3]", false}, {"a@[IPv6:12345::]", false}, {"a@[2001:db8::1]", false},
        {"a@[x400:c=de]", false},          /* a tag nobody registered */
        {"us\xc3\xa9r@example.org", true}, /* RFC 6531 3.3 */
        {"\"us\xc3\xa9r \"@example.org", true},
        {"user@b\xc3\xbc"
         "cher.example",
            true},
        {"\xc0\xaf@evil.example", false}, /* hostile.md 12 */
        {"a\xe2\x82@evil.example", false}, {"a@\xe2\x82.example", false},
        {"a@x\xe3\x80\x82y.example", false}, /* a full stop that is none of RFC 5321's */
        {"a@\xe2\x80\x8e"
         "x.example",
            false}, /* IDNA 2008 disallows a direction mark */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mailbox m;
        struct err e = {0};
        bool ok = mailbox_parse(str_c(rows[i].text), &m, &e) == 0;
        if (ok != rows[i].ok || ok == (e.status.class == 5))
            fail_msg("%s: %s", rows[i].text, e.text);
        if (ok)
            assert_int_equal(m.local.n + 1 + m.domain.n, strlen(rows[i].text));
    }
}

static void test_status(void **state)
{
    static const struct {
        const char *text;
        uint16_t subject, detail;
    } rows[] = {
        {"a b@example.org", 1, 3},
        {"\xc0\xaf@evil.example", 6, 7}, /* hostile.md 12 */
        {"a\xe2\x82@evil.example", 6, 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mailbox m;
        struct err e;
        assert_int_equal(mailbox_parse(str_c(rows[i].text), &m, &e), -1);
        assert_int_equal(e.class, ERR_PERMANENT);
        assert_int_equal(e.status.subject, rows[i].subject);
        assert_int_equal(e.status.detail, rows[i].detail);
    }
}

static void test_scan_leaves_the_rest(void **state)
{
    struct str rest = STR("a@b.example> SIZE=1");
    struct mailbox m;
    (void)state;
    assert_int_equal(mailbox_scan(&rest, &m, NULL), 0);
    assert_true(str_eq(rest, STR("> SIZE=1")) && str_eq(m.domain, STR("b.example")));
    rest = STR("[192.0.2.1]>");
    struct str domain;
    enum domain_kind kind;
    assert_int_equal(domain_scan(&rest, &domain, &kind, NULL), 0);
    assert_true(kind == DOMAIN_IPV4 && str_eq(rest, STR(">")));
    struct str bad = STR("a@@b");
    assert_int_equal(mailbox_scan(&bad, &m, NULL), -1);
    assert_int_equal(bad.n, 4);
}

static void test_keys(void **state)
{
    static const struct {
        const char *text, *key;
    } rows[] = {
        {"User@Example.ORG", "user@example.org"},
        {"\"a\"@x.example", "a@x.example"}, /* quoting carries no meaning */
        {"\"A\\b\"@x.example", "ab@x.example"},
        {"\"a b\"@x.example", "a b@x.example"},
        {"\"a@b\"@x.example", "a@b@x.example"},
        {"a@B\xc3\x9c"
         "cher.example",
            "a@xn--bcher-kva.example"},
        {"a@XN--Bcher-kva.example", "a@xn--bcher-kva.example"},
        {"a@fa\xc3\x9f.example", "a@xn--fa-hia.example"}, /* IDNA 2008: no ss */
        {"e\xcc\x81@x.example", "\xc3\xa9@x.example"},    /* NFC */
        {"\xc3\x89@x.example", "\xc3\xa9@x.example"},     /* folded */
        {"E\xcc\x81@x.example", "\xc3\xa9@x.example"},
        {"stra\xc3\x9f"
         "e@x.example",
            "stra\xc3\x9f"
            "e@x.example"},
        {"a@[127.0.0.001]", "a@[127.0.0.1]"},
        {"a@[ipv6:2001:DB8:0:0::1]", "a@[IPv6:2001:db8::1]"},
        {"a@[IPv6:0:0:1:0:0:0:0:0]", "a@[IPv6:0:0:1::]"},
        {"a@[IPv6:1:0:2:3:4:5:6:7]", "a@[IPv6:1:0:2:3:4:5:6:7]"}, /* RFC 5952 4.2.2 */
        {"a@[IPv6:::]", "a@[IPv6:::]"},
        {"a@[IPv6:::1]", "a@[IPv6:::1]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mailbox m;
        struct buf key;
        buf_init(&key, ADDRESS_KEY_MAX);
        if (mailbox_parse(str_c(rows[i].text), &m, NULL) < 0 || mailbox_key(&m, &key, NULL) < 0 ||
            !str_eq(buf_str(&key), str_c(rows[i].key)))
            fail_msg("%s: %.*s", rows[i].text, STR_ARG(buf_str(&key)));
        buf_done(&key);
    }
}

static void test_print(void **state)
{
    static const struct {
        const char *local, *text; /* NULL: cannot be written */
    } rows[] = {
        {"a.b", "a.b@x.example"},
        {"", "\"\"@x.example"},
        {"a b", "\"a b\"@x.example"},
        {"a\"\\", "\"a\\\"\\\\\"@x.example"},
        {".a", "\".a\"@x.example"},
        {"a\r\nb", NULL},
        {"\xc3\xa9", "\xc3\xa9@x.example"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, ADDRESS_MAX);
        int rc = mailbox_print(str_c(rows[i].local), STR("x.example"), &out);
        if (rc != (rows[i].text ? 0 : -1) ||
            (rc == 0 && !str_eq(buf_str(&out), str_c(rows[i].text))))
            fail_msg("%s: %.*s", rows[i].local, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
}

static void test_literal_address(void **state)
{
    uint8_t address[16];
    (void)state;
    assert_true(domain_address(STR("[192.0.2.1]"), address));
    assert_memory_equal(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
    assert_true(domain_address(STR("[IPv6:2001:db8::1.2.3.4]"), address));
    assert_memory_equal(address, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\1\2\3\4", 16);
    assert_false(domain_address(STR("192.0.2.1"), address));
}

/* ---- other people's tables */

static void decode_xml(struct str s, struct buf *out)
{
    static const struct {
        struct str entity;
        char c;
    } named[] = {{STR_INIT("&amp;"), '&'}, {STR_INIT("&lt;"), '<'}, {STR_INIT("&gt;"), '>'},
        {STR_INIT("&quot;"), '"'}, {STR_INIT("&apos;"), '\''}};
    buf_clear(out);
    while (s.n > 0) {
        size_t i = 0, skip = 1;
        char c = s.p[0];
        while (c == '&' && i < 5 && !str_starts(s, named[i].entity))
            i++;
        ptrdiff_t end = str_find(s, ';');
        uint64_t code;
        if (c == '&' && i < 5) {
            c = named[i].c;
            skip = named[i].entity.n;
        } else if (str_starts(s, STR("&#x")) && end > 0 &&
                   str_to_hex64(str_sub(s, 3, (size_t)end - 3), 0xffff, &code)) {
            c = (char)(code & 0xff); /* U+2400 stands for the control character below it */
            skip = (size_t)end + 1;
            if (code == 0xa9) {
                buf_put_c(out, '\xc2');
                c = '\xa9';
            }
        }
        buf_put_c(out, c);
        s = str_from(s, skip);
    }
}

static bool element(struct str xml, const char *name, struct str *inner)
{
    char open[64], close[64];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    ptrdiff_t start = str_find_str(xml, str_c(open)), end = str_find_str(xml, str_c(close));
    *inner = STR_NONE;
    if (start < 0 || end < start)
        return false;
    *inner = str_sub(xml, (size_t)start + strlen(open), (size_t)(end - start) - strlen(open));
    return true;
}

static void isemail(const char *name, unsigned decided)
{
    char path[1024];
    struct buf file = {0}, address;
    unsigned agree = 0, of = 0;
    if (!testdata_path(name, path, sizeof path) || !testdata_read(path, &file))
        return;
    buf_init(&address, 4096);
    for (struct str rest = buf_str(&file), test;;) {
        ptrdiff_t start = str_find_str(rest, STR("<test id="));
        if (start < 0)
            break;
        rest = str_from(rest, (size_t)start);
        ptrdiff_t end = str_find_str(rest, STR("</test>"));
        test = str_head(rest, (size_t)end);
        rest = str_from(rest, (size_t)end);
        struct str raw, category;
        element(test, "address", &raw);
        element(test, "category", &category);
        decode_xml(raw, &address);
        bool wanted = str_eq(category, STR("ISEMAIL_VALID_CATEGORY")) ||
                      str_eq(category, STR("ISEMAIL_DNSWARN")) ||
                      str_eq(category, STR("ISEMAIL_RFC5321"));
        struct mailbox m;
        bool ok = mailbox_parse(buf_str(&address), &m, NULL) == 0;
        of++;
        agree += ok == wanted;
        if (ok != wanted)
            printf("  differs: %.*s is %.*s\n", STR_ARG(buf_str(&address)), STR_ARG(category));
    }
    testdata_report(name, agree, of);
    assert_true(of - agree <= decided);
    buf_done(&address);
    buf_done(&file);
}

static void test_isemail(void **state)
{
    (void)state;
    isemail("address/isemail-tests/tests.xml", 1); /* docs/mime-decisions.md 1 */
    isemail("address/isemail-tests-original/tests-original.xml", 0);
}

static void test_mox(void **state)
{
    (void)state;
    json_t *cases = testdata_cases("address/mox-tables/smtp.address.json"), *row;
    size_t i;
    unsigned agree = 0;
    json_array_foreach(cases, i, row)
    {
        struct buf text, whole;
        testdata_string(json_array_get(json_object_get(row, "args"), 0), &text);
        buf_init(&whole, 4096);
        buf_put(&whole, buf_str(&text));
        if (!strcmp(json_string_value(json_object_get(row, "in")), "TestParseLocalpart"))
            buf_put(&whole, STR("@example.org"));
        struct mailbox m;
        bool good = !strcmp(json_string_value(json_object_get(row, "check")), "good");
        bool ok = mailbox_parse(buf_str(&whole), &m, NULL) == 0;
        agree += ok == good;
        buf_done(&text);
        buf_done(&whole);
    }
    testdata_report("address/mox-tables", agree, (unsigned)json_array_size(cases));
    assert_int_equal(agree, json_array_size(cases));
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_scan_leaves_the_rest),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_literal_address),
        cmocka_unit_test(test_isemail),
        cmocka_unit_test(test_mox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
