#include "mail/address_list.h"

#include <stdio.h>

#include "base/unit_test.h"
#include "base/utf8.h"

#include "mail/rfc2047.h"
#include "mail/testdata.h"

/* name|route|local|domain, a group as {name ... }, bad ones with "!" before. */
static void render(struct str field, struct buf *out)
{
    struct address_list l = address_list(field);
    struct address a;
    while (address_next(&l, &a)) {
        if (a.kind == ADDRESS_GROUP_END) {
            buf_put(out, STR("}"));
            continue;
        }
        buf_put(out, a.bad ? STR("!") : STR(""));
        if (a.kind == ADDRESS_GROUP_START) {
            buf_put_c(out, '{');
            address_put_name(&a, out);
            buf_put_c(out, ' ');
            continue;
        }
        buf_put_c(out, '[');
        address_put_name(&a, out);
        buf_put_c(out, '|');
        address_put_route(&a, out);
        buf_put_c(out, '|');
        address_put_local(&a, out);
        buf_put_c(out, '|');
        address_put_domain(&a, out);
        buf_put_c(out, ']');
    }
}

static const struct {
    const char *field, *rendered;
} lists[] = {
    /* RFC 5322 A */
    {"John Doe <jdoe@machine.example>", "[John Doe||jdoe|machine.example]"},
    {"\"Joe Q. Public\" <john.q.public@example.com>", "[Joe Q. Public||john.q.public|example.com]"},
    {"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
        "[Mary Smith||mary|x.test][||jdoe|example.org][Who?||one|y.test]"},
    {"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
        "[||boss|nil.test][Giant; \"Big\" Box||sysservices|example.net]"},
    {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
        "{A Group [Ed Jones||c|a.test][||joe|where.test][John||jdoe|one.test]}"},
    {"Undisclosed recipients:;", "{Undisclosed recipients }"},
    {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "[Pete||pete|silly.test]"},
    {"A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n"
     " joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)",
        "{A Group [Chris Jones||c|public.example][||joe|example.org][John||jdoe|one.test]}"},
    {"(Empty list)(start)Hidden recipients :(nobody(that I know)) ;", "{Hidden recipients }"},
    {"Joe Q. Public <john.q.public@example.com>", "[Joe Q. Public||john.q.public|example.com]"},
    {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
        "[Mary Smith|@node.test|mary|example.net][||jdoe|test.example]"},
    {"John Doe <jdoe@machine(comment).  example>", "[John Doe||jdoe|machine.example]"},
    {"1234   @   local(blah)  .machine .example", "[blah||1234|local.machine.example]"},
    {"\"a b\" . c @x.test", "[||a b.c|x.test]"},
    {"user@domain (Display Name)", "[Display Name||user|domain]"},
    {"a@[192.0.2.1], <b@[IPv6:2001:db8::1]>", "[||a|[192.0.2.1]][||b|[IPv6:2001:db8::1]]"},
    {"j\xc3\xb6@d\xc3\xb6.example", "[||j\xc3\xb6|d\xc3\xb6.example]"}, /* RFC 6532 */
    {"a@x.test; b@y.test", "[||a|x.test][||b|y.test]"},
    {"phil@example.com <phil@example.com>", "[phil@example.com||phil|example.com]"},
    /* hostile.md 86 to 91 */
    {"<x@evil.example>, <ceo@there.example>", "[||x|evil.example][||ceo|there.example]"},
    {"<x@evil.example>ceo@there.example", "![||x|evil.example][||ceo|there.example]"},
    {"\"ceo@there.example\" <x@evil.example>", "[ceo@there.example||x|evil.example]"},
    {"=?utf-8?b?PGNlb0B0aGVyZS5leGFtcGxlPg==?=,<x@evil.example>",
        "![||=?utf-8?b?PGNlb0B0aGVyZS5leGFtcGxlPg==?=|][||x|evil.example]"},
    {"<@evil.example,@any.example:ceo@there.example>",
        "[|@evil.example,@any.example|ceo|there.example]"},
    {"", ""},
    {" , ,", ""},
    {"undisclosed:;", "{undisclosed }"},
    /* broken */
    {"undisclosed: a@b", "{undisclosed [||a|b]}"},
    {"<>", "![|||]"},
    {"<user@domain", "![||user|domain]"},
    {"<a@b, <c@d>", "![||a|b][||c|d]"},
    {"a@b@c", "![||a|b@c]"},
    {"John Doe", "![John Doe|||]"},
    {"a(aa", "![|||]"},
    {"a@b (open", "![|||]"},
    {"\"open <a@b>, <c@d>", "![open <a@b>, <c@d>|||]"},
    {"(open", "![|||]"},
    {">", "![||>|]"},
    {"a b@c", "![||a b|c]"},
    {":", "!{ }"},
    {"a: b: c@d;", "{a ![||b: c|d]}"},
};

static void test_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct buf out;
        buf_init(&out, 4096);
        render(str_c(lists[i].field), &out);
        if (!str_eq(buf_str(&out), str_c(lists[i].rendered)))
            fail_msg("%s:\n      %.*s\nwanted %s", lists[i].field, STR_ARG(buf_str(&out)),
                lists[i].rendered);
        buf_done(&out);
    }
}

/* hostile.md 92, 105: half a million addresses, nesting: one pass */
static void test_large(void **state)
{
    struct buf field;
    struct address a;
    unsigned n = 0;
    (void)state;
    buf_init(&field, 16 << 20);
    for (int i = 0; i < 500000; i++)
        buf_put(&field, STR("\"a\" <a@b>, "));
    for (struct address_list l = address_list(buf_str(&field)); address_next(&l, &a);)
        n++;
    assert_int_equal(n, 500000);
    static const char *const hard[] = {"(", "<", "\"", "[", "a<", "a:", "(a", "@", "<@a", "\\"};
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        buf_clear(&field);
        for (int k = 0; k < 1000000; k++)
            buf_put(&field, str_c(hard[i]));
        n = 0;
        for (struct address_list l = address_list(buf_str(&field)); address_next(&l, &a);)
            n++;
        assert_true(n > 0);
    }
    buf_done(&field);
}

/* ---- other people's tables */

static bool dovecot_row(const json_t *row, struct buf *got)
{
    /* name, address list; theirs: next, prev, name, route, mailbox, domain, invalid */
    struct buf input, one;
    struct address a = {0};
    json_t *want = json_object_get(row, "addr");
    void (*const parts[])(const struct address *, struct buf *) = {
        address_put_name, address_put_route, address_put_local, address_put_domain};
    testdata_string(json_object_get(row, "input"), &input);
    struct address_list l = address_list(buf_str(&input));
    bool same = address_next(&l, &a);
    for (size_t i = 0; i < 4; i++) {
        buf_init(&one, 4096);
        parts[i](&a, &one);
        buf_printf(got, "%.*s|", STR_ARG(buf_str(&one)));
        struct str text = buf_str(&one);
        struct buf no_space;
        buf_init(&no_space, 4096);
        for (size_t k = 0; k < text.n; k++) /* they put "," between the hops of a route */
            if (i != 1 || (text.p[k] != ',' && text.p[k] != ' '))
                buf_put_c(&no_space, text.p[k]);
        struct buf theirs, plain;
        testdata_string(json_array_get(want, 2 + i), &theirs);
        buf_init(&plain, 4096);
        for (size_t k = 0; k < buf_len(&theirs); k++)
            if (i != 1 || buf_str(&theirs).p[k] != ',')
                buf_put_c(&plain, buf_str(&theirs).p[k]);
        same &= str_eq(buf_str(&plain), buf_str(&no_space));
        buf_done(&theirs);
        buf_done(&plain);
        buf_done(&no_space);
        buf_done(&one);
    }
    buf_printf(got, "%d", a.bad);
    /* their mark says that something is missing */
    same &= a.bad || !json_is_true(json_array_get(want, 6));
    buf_done(&input);
    return same;
}

static bool same_mailbox(const json_t *want, const struct address *a, struct buf *got)
{
    struct buf name, raw, address;
    buf_init(&name, 4096);
    buf_init(&raw, 4096);
    buf_init(&address, 4096);
    address_put_name(a, &raw);
    rfc2047_decode(buf_str(&raw), 4096, &name);
    address_put_local(a, &address);
    if (a->has_domain) {
        buf_put_c(&address, '@');
        address_put_domain(a, &address);
    }
    buf_printf(got, "[%.*s|%.*s]", STR_ARG(buf_str(&name)), STR_ARG(buf_str(&address)));
    struct buf wanted;
    testdata_string(json_object_get(want, "name"), &wanted);
    bool same = str_eq(str_trim(buf_str(&wanted)), buf_str(&name));
    buf_done(&wanted);
    same &= testdata_is(json_object_get(want, "address"), buf_str(&address));
    buf_done(&name);
    buf_done(&raw);
    buf_done(&address);
    return same;
}

static bool same_list(json_t *want, struct address_list *l, struct buf *got)
{
    json_t *one;
    size_t i;
    bool same = true;
    json_array_foreach(want, i, one)
    {
        struct address a;
        same &= address_next(l, &a) && a.kind == ADDRESS_MAILBOX && same_mailbox(one, &a, got);
    }
    return same;
}

static bool same_groups(json_t *want, struct address_list *l, struct buf *got)
{
    json_t *group;
    size_t i;
    bool same = true;
    json_array_foreach(want, i, group)
    {
        struct address a;
        struct buf name;
        bool named = json_is_string(json_object_get(group, "name"));
        buf_init(&name, 4096);
        if (named) {
            same &= address_next(l, &a) && a.kind == ADDRESS_GROUP_START;
            address_put_name(&a, &name);
            same &= testdata_is(json_object_get(group, "name"), buf_str(&name));
            buf_printf(got, "{%.*s ", STR_ARG(buf_str(&name)));
        }
        same &= same_list(json_object_get(group, "addresses"), l, got);
        if (named)
            same &= address_next(l, &a) && a.kind == ADDRESS_GROUP_END;
        buf_done(&name);
    }
    return same;
}

static bool mail_parser_row(const json_t *row, struct buf *got)
{
    struct buf header;
    struct address a;
    json_t *want = json_object_get(row, "expected");
    testdata_string(json_object_get(row, "header"), &header);
    /* what is given is a field and perhaps more: the field ends where a line does not go on */
    struct str field = buf_str(&header);
    for (size_t i = 0; i + 1 < field.n; i++)
        if (field.p[i] == '\n' && field.p[i + 1] != ' ' && field.p[i + 1] != '\t')
            field = str_head(field, i);
    struct address_list l = address_list(field);
    json_t *list = json_object_get(want, "List"), *groups = json_object_get(want, "Group");
    bool same = list ? same_list(list, &l, got) : same_groups(groups, &l, got);
    while (address_next(&l, &a)) {
        same = false;
        buf_put(got, STR(" and more"));
    }
    buf_done(&header);
    return same;
}

static void test_others(void **state)
{
    (void)state;
    assert_true(testdata_table(
        "mime/dovecot-mail-tables/message-address.message_address.json", dovecot_row, 90));
    assert_true(testdata_table("mime/mail-parser-fields/address.json", mail_parser_row, 80));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
