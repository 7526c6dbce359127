#include "wire/dns_packet.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/unit_test.h"

/* A packet in the making. */
struct packet {
    struct buf b;
    uint16_t answers, authorities;
};

static void put_u16(struct buf *b, unsigned v)
{
    buf_put_c(b, (char)(v >> 8));
    buf_put_c(b, (char)v);
}

/* RFC 1035 4.1.4, without pointers; "" is the root. */
static void put_name(struct buf *b, const char *name)
{
    struct str rest = str_c(name), label;

    while (rest.n) {
        str_cut(&rest, '.', &label);
        buf_put_c(b, (char)label.n);
        buf_put(b, label);
    }
    buf_put_c(b, 0);
}

static void begin(struct packet *p, const char *name, unsigned type, unsigned rcode)
{
    *p = (struct packet){0};
    buf_init(&p->b, 65535);
    put_u16(&p->b, 7);
    put_u16(&p->b, 0x8180 | rcode);
    put_u16(&p->b, 1);
    for (int i = 0; i < 3; i++)
        put_u16(&p->b, 0);
    put_name(&p->b, name);
    put_u16(&p->b, type);
    put_u16(&p->b, 1);
}

static void put_rr(
    struct packet *p, const char *owner, unsigned type, uint32_t ttl, const void *rdata, size_t n)
{
    put_name(&p->b, owner);
    put_u16(&p->b, type);
    put_u16(&p->b, 1);
    put_u16(&p->b, ttl >> 16);
    put_u16(&p->b, ttl & 0xffff);
    put_u16(&p->b, (unsigned)n);
    buf_put(&p->b, str_of(rdata, n));
    p->answers++;
}

static void put_rr_name(
    struct packet *p, const char *owner, unsigned type, int preference, const char *target)
{
    struct buf rdata;

    buf_init(&rdata, 1024);
    if (preference >= 0)
        put_u16(&rdata, (unsigned)preference);
    put_name(&rdata, target);
    put_rr(p, owner, type, 60, buf_str(&rdata).p, buf_len(&rdata));
    buf_done(&rdata);
}

static void put_soa(struct packet *p, const char *zone, uint32_t ttl, uint32_t minimum)
{
    uint8_t rdata[22] = {0}; /* two root names, five numbers */

    rdata[18] = (uint8_t)(minimum >> 24);
    rdata[19] = (uint8_t)(minimum >> 16);
    rdata[20] = (uint8_t)(minimum >> 8);
    rdata[21] = (uint8_t)minimum;
    put_rr(p, zone, 6, ttl, rdata, sizeof rdata);
    p->answers--;
    p->authorities++;
}

/* The packet in memory of its own size, so that the sanitizer sees what is read behind it. */
static int read_raw(struct arena *a, struct str octets, enum dns_type type, const char *name,
    struct dns_answer *out)
{
    static struct arena exact;
    struct err e = {0};
    struct str copy;
    int rc;

    arena_done(&exact);
    arena_init(&exact, 1 << 20);
    assert_true(arena_dup(&exact, octets, &copy));
    rc = dns_packet_read(a, copy, type, str_c(name), out, &e);
    assert_true(rc == 0 || e.class == ERR_TEMPORARY);
    arena_done(&exact);
    return rc;
}

static struct dns_answer finish(
    struct arena *a, struct packet *p, enum dns_type type, const char *name)
{
    struct dns_answer out = {0};

    assert_true(buf_ok(&p->b));
    p->b.p[6] = (char)(p->answers >> 8);
    p->b.p[7] = (char)p->answers;
    p->b.p[9] = (char)p->authorities;
    assert_int_equal(read_raw(a, buf_str(&p->b), type, name, &out), 0);
    buf_done(&p->b);
    return out;
}

static void assert_str(struct str s, const char *want)
{
    if (!str_eq(s, str_c(want)))
        fail_msg("\"%.*s\", not \"%s\"", STR_ARG(s), want);
}

static void test_types(void **state)
{
    static const uint8_t v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1}, v6[16] = {0x20, 1, [15] = 7};
    struct arena a;
    struct packet p;
    struct dns_answer got;

    (void)state;
    arena_init(&a, 1 << 20);
    begin(&p, "a.example", DNS_A, 0);
    put_rr(&p, "A.example", DNS_A, 300, v4 + 12, 4);
    got = finish(&a, &p, DNS_A, "a.example");
    assert_int_equal(got.status, DNS_FOUND);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.ttl_s, 300);
    assert_memory_equal(got.records[0].address, v4, 16);

    begin(&p, "a.example", DNS_AAAA, 0);
    put_rr(&p, "a.example", DNS_AAAA, 300, v6, 16);
    got = finish(&a, &p, DNS_AAAA, "A.EXAMPLE");
    assert_memory_equal(got.records[0].address, v6, 16);

    /* RFC 1035 3.3.14, RFC 7208 3.3 */
    begin(&p, "a.example", DNS_TXT, 0);
    put_rr(&p, "a.example", DNS_TXT, 60, "\5v=spf\0\2 1", 10);
    got = finish(&a, &p, DNS_TXT, "a.example");
    assert_str(got.records[0].text, "v=spf 1");

    /* RFC 6698 2.1 */
    begin(&p, "_25._tcp.a.example", DNS_TLSA, 0);
    put_rr(&p, "_25._tcp.a.example", DNS_TLSA, 60, "\3\1\1abc", 6);
    got = finish(&a, &p, DNS_TLSA, "_25._tcp.a.example");
    assert_int_equal(got.records[0].tlsa.usage, 3);
    assert_str(got.records[0].tlsa.data, "abc");

    /* RFC 1035 5.1 */
    begin(&p, "1.2.0.192.in-addr.arpa", DNS_PTR, 0);
    put_rr(&p, "1.2.0.192.in-addr.arpa", DNS_PTR, 60,
        "\x0a"
        "evil\n\r.\\\xffX\1y\0",
        14);
    got = finish(&a, &p, DNS_PTR, "1.2.0.192.in-addr.arpa");
    assert_str(got.records[0].name, "evil\\010\\013\\046\\092\\255x.y");
    arena_done(&a);
}

static void test_mx(void **state)
{
    struct arena a;
    struct packet p;
    struct dns_answer got;

    (void)state;
    arena_init(&a, 1 << 20);
    begin(&p, "a.example", DNS_MX, 0);
    put_rr_name(&p, "a.example", DNS_MX, 20, "b.example");
    put_rr_name(&p, "other.example", DNS_MX, 1, "wrong.example");
    put_rr_name(&p, "a.example", DNS_MX, 10, "C.example");
    put_rr_name(&p, "a.example", DNS_MX, 10, "d.example");
    put_rr_name(&p, "a.example", DNS_MX, 0, "");
    got = finish(&a, &p, DNS_MX, "a.example");
    assert_int_equal(got.count, 4);
    assert_str(got.records[0].mx.host, "."); /* RFC 7505 */
    assert_str(got.records[1].mx.host, "c.example");
    assert_str(got.records[2].mx.host, "d.example");
    assert_int_equal(got.records[3].mx.preference, 20);
    arena_done(&a);
}

/* hostile.md 134: the best hundred of thousands. */
static void test_flood(void **state)
{
    struct arena a;
    struct packet p;
    struct dns_answer got;
    char host[16];

    (void)state;
    arena_init(&a, 1 << 20);
    begin(&p, "a.example", DNS_MX, 0);
    for (int i = 0; i < 1500; i++) {
        snprintf(host, sizeof host, "h%d", i);
        put_rr_name(&p, "a.example", DNS_MX, 5000 - i, host);
    }
    got = finish(&a, &p, DNS_MX, "a.example");
    assert_int_equal(got.count, DNS_RECORDS_MAX);
    assert_true(got.cut);
    assert_str(got.records[0].mx.host, "h1499");
    assert_str(got.records[99].mx.host, "h1400");

    begin(&p, "a.example", DNS_A, 0);
    for (uint8_t i = 0; i < 101; i++)
        put_rr(&p, "a.example", DNS_A, 60, (const uint8_t[]){10, 0, 0, i}, 4);
    got = finish(&a, &p, DNS_A, "a.example");
    assert_int_equal(got.count, 100);
    assert_int_equal(got.records[99].address[15], 99);
    arena_done(&a);
}

/* RFC 1034 3.6.2; hostile.md 131. */
static void test_aliases(void **state)
{
    struct arena a;
    struct packet p;
    struct dns_answer got;
    char from[16], to[16];

    (void)state;
    for (int length = 0; length <= 20; length++) {
        arena_init(&a, 1 << 20);
        begin(&p, "c0", DNS_A, 0);
        put_rr(&p, length ? "end" : "c0", DNS_A, 60, "\300\0\2\1", 4);
        for (int i = length; i-- > 0;) { /* in no order */
            snprintf(from, sizeof from, "c%d", i);
            snprintf(to, sizeof to, i == length - 1 ? "end" : "c%d", i + 1);
            put_rr_name(&p, from, DNS_CNAME, -1, to);
        }
        got = finish(&a, &p, DNS_A, "c0");
        assert_int_equal(got.status, length <= DNS_CNAMES_MAX ? DNS_FOUND : DNS_TEMPORARY);
        assert_int_equal(got.count, length <= DNS_CNAMES_MAX);
        if (length > 0 && length <= DNS_CNAMES_MAX)
            assert_str(got.name, "end");
        arena_done(&a);
    }
    arena_init(&a, 1 << 20);
    begin(&p, "a", DNS_A, 0);
    put_rr_name(&p, "a", DNS_CNAME, -1, "b");
    put_rr_name(&p, "b", DNS_CNAME, -1, "a");
    assert_int_equal(finish(&a, &p, DNS_A, "a").status, DNS_TEMPORARY);

    /* RFC 6604 2.1: the code is that of the last name. */
    begin(&p, "a", DNS_A, 3);
    put_rr_name(&p, "a", DNS_CNAME, -1, "b");
    got = finish(&a, &p, DNS_A, "a");
    assert_int_equal(got.status, DNS_NO_NAME);
    assert_str(got.name, "b");

    begin(&p, "a", DNS_CNAME, 0);
    put_rr_name(&p, "a", DNS_CNAME, -1, "b");
    got = finish(&a, &p, DNS_CNAME, "a");
    assert_str(got.records[0].name, "b");
    arena_done(&a);
}

static void test_codes(void **state)
{
    static const struct {
        unsigned rcode;
        enum dns_status status;
        const char *why;
    } rows[] = {
        {0, DNS_NO_DATA, "a: no record of this type"},
        {2, DNS_TEMPORARY, "a: server failure"},
        {3, DNS_NO_NAME, "a: no such domain"},
        {5, DNS_TEMPORARY, "a: refused"},
        {11, DNS_TEMPORARY, "a: an odd error"},
    };
    struct arena a;
    struct packet p;
    struct dns_answer got;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(&p, "a", DNS_A, rows[i].rcode);
        got = finish(&a, &p, DNS_A, "a");
        assert_int_equal(got.status, rows[i].status);
        assert_str(got.why, rows[i].why);
        assert_null(got.records);
    }
    arena_done(&a);
}

/* RFC 2181 8 and RFC 2308 5; hostile.md 136. */
static void test_ttl(void **state)
{
    static const struct {
        uint32_t ttl, want;
    } rows[] = {{0, 5}, {4, 5}, {5, 5}, {6, 6}, {86400, 86400}, {86401, 86400}, {0x7fffffff, 86400},
        {0x80000000, 5}, {0xffffffff, 5}};
    struct arena a;
    struct packet p;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(&p, "a", DNS_A, 0);
        put_rr(&p, "a", DNS_A, rows[i].ttl, "\1\2\3\4", 4);
        assert_int_equal(finish(&a, &p, DNS_A, "a").ttl_s, rows[i].want);
        begin(&p, "a", DNS_A, 3);
        put_soa(&p, "", 86400, rows[i].ttl & INT32_MAX);
        if (rows[i].ttl <= INT32_MAX)
            assert_int_equal(finish(&a, &p, DNS_A, "a").ttl_s, rows[i].want);
        else
            buf_done(&p.b);
    }
    begin(&p, "a", DNS_A, 3);
    put_soa(&p, "", 77, 3600);
    assert_int_equal(finish(&a, &p, DNS_A, "a").ttl_s, 77);
    begin(&p, "a", DNS_A, 3);
    assert_int_equal(finish(&a, &p, DNS_A, "a").ttl_s, DNS_TTL_MIN_S);
    arena_done(&a);
}

/* hostile.md 132. The head is 12 octets and the question for "a" 7, so the answer begins at 19. */
static void test_malformed(void **state)
{
    static const struct {
        const char *what;
        enum dns_type type;
        const char *octets; /* of one record */
        size_t n;
    } rows[] = {
#define ROW(what, type, octets) {what, type, octets, sizeof(octets) - 1}
        ROW("pointer to itself", DNS_A, "\300\023\0\1\0\1\0\0\0\1\0\4aaaa"),
        ROW("pointer forwards", DNS_A, "\300\030\0\1\0\1\0\0\0\1\0\4aaaa"),
        ROW("pointer into the header", DNS_A, "\300\004\0\1\0\1\0\0\0\1\0\4aaaa"),
        ROW("pointer past the end", DNS_A, "\377\377\0\1\0\1\0\0\0\1\0\4aaaa"),
        ROW("half a pointer", DNS_A, "\300"),
        ROW("label of 64", DNS_A,
            "\100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            "aaaa\0\0\1\0\1\0\0\0\1\0\4aaaa"),
        ROW("label of a reserved kind", DNS_A, "\200\0\0\1\0\1\0\0\0\1\0\4aaaa"),
        ROW("label beyond the end", DNS_A, "\5aa"),
        ROW("rdata beyond the end", DNS_A, "\1a\0\0\1\0\1\0\0\0\1\0\5aaaa"),
        ROW("an A of 3", DNS_A, "\1a\0\0\1\0\1\0\0\0\1\0\3aaa"),
        ROW("an A of 5", DNS_A, "\1a\0\0\1\0\1\0\0\0\1\0\5aaaaa"),
        ROW("an AAAA of 4", DNS_AAAA, "\1a\0\0\34\0\1\0\0\0\1\0\4aaaa"),
        ROW("an MX of 2", DNS_MX, "\1a\0\0\17\0\1\0\0\0\1\0\2aa"),
        ROW("an MX with more behind", DNS_MX, "\1a\0\0\17\0\1\0\0\0\1\0\6\0\1\1b\0x"),
        ROW("an MX of half a name", DNS_MX, "\1a\0\0\17\0\1\0\0\0\1\0\4\0\1\1b"),
        ROW("a TXT of nothing", DNS_TXT, "\1a\0\0\20\0\1\0\0\0\1\0\0"),
        ROW("a TXT string too long", DNS_TXT, "\1a\0\0\20\0\1\0\0\0\1\0\2\5a"),
        ROW("a TLSA of 3", DNS_TLSA, "\1a\0\0\64\0\1\0\0\0\1\0\3aaa"),
        ROW("a header cut short", DNS_A, "\1a\0\0\1\0\1\0\0\0"),
    };
    struct arena a;
    struct packet p;
    struct dns_answer got;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(&p, "a", rows[i].type, 0);
        buf_put(&p.b, str_of(rows[i].octets, rows[i].n));
        p.answers = 1;
        got = finish(&a, &p, rows[i].type, "a");
        if (got.status != DNS_TEMPORARY || got.count || got.records)
            fail_msg("%s: status %d", rows[i].what, got.status);
    }
    arena_done(&a);
}

/* RFC 5452 9.1: another question, no question, no response; and every cut of a sound answer. */
static void test_not_ours(void **state)
{
    struct arena a;
    struct packet p;
    struct dns_answer got;

    (void)state;
    arena_init(&a, 1 << 22);
    begin(&p, "b", DNS_A, 0);
    assert_int_equal(finish(&a, &p, DNS_A, "a").status, DNS_TEMPORARY);
    begin(&p, "a", DNS_MX, 0);
    assert_int_equal(finish(&a, &p, DNS_A, "a").status, DNS_TEMPORARY);
    begin(&p, "a", DNS_A, 0);
    p.b.p[2] = 1;
    assert_int_equal(finish(&a, &p, DNS_A, "a").status, DNS_TEMPORARY);
    begin(&p, "a", DNS_A, 0);
    p.b.p[2] |= 2; /* TC */
    assert_int_equal(finish(&a, &p, DNS_A, "a").status, DNS_TEMPORARY);
    begin(&p, "a", DNS_A, 0);
    put_rr(&p, "a", DNS_A, 60, "\1\2\3\4", 4);
    p.b.p[7] = 1;
    for (size_t n = 0; n < buf_len(&p.b); n++) {
        assert_int_equal(read_raw(&a, str_head(buf_str(&p.b), n), DNS_A, "a", &got), 0);
        assert_int_equal(got.status, DNS_TEMPORARY);
    }
    assert_int_equal(finish(&a, &p, DNS_A, "a").status, DNS_FOUND);
    arena_done(&a);
}

static void test_names(void **state)
{
    static const char l63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    char name[300];

    (void)state;
    assert_true(dns_name_sound(STR("a.example")) && dns_name_sound(STR("_25._tcp.x")));
    assert_true(dns_name_sound(str_c(l63)));
    assert_false(dns_name_sound(STR("")) || dns_name_sound(STR(".")) || dns_name_sound(STR("a.")));
    assert_false(dns_name_sound(STR("a..b")) || dns_name_sound(STR("a b")));
    assert_false(dns_name_sound(STR("a\\b")) || dns_name_sound(STR("\xc3\xa9")));
    snprintf(name, sizeof name, "a%s", l63);
    assert_false(dns_name_sound(str_c(name)));
    /* RFC 1035 2.3.4: 253 octets of text are 255 of wire */
    snprintf(name, sizeof name, "%s.%s.%s.%.61s", l63, l63, l63, l63);
    assert_true(dns_name_sound(str_c(name)));
    snprintf(name, sizeof name, "%s.%s.%s.%.62s", l63, l63, l63, l63);
    assert_false(dns_name_sound(str_c(name)));
}

static void test_no_memory(void **state)
{
    struct arena a;
    struct packet p;
    struct dns_answer got;
    bool done = false;

    (void)state;
    begin(&p, "a", DNS_MX, 0);
    put_rr_name(&p, "a", DNS_CNAME, -1, "b");
    put_rr_name(&p, "b", DNS_MX, 1, "host");
    p.b.p[7] = 2;
    for (size_t max = 0; max < 16384 && !done; max += 16) {
        arena_init(&a, max);
        done = read_raw(&a, buf_str(&p.b), DNS_MX, "a", &got) == 0;
        arena_done(&a);
    }
    assert_true(done);
    buf_done(&p.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_mx),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
