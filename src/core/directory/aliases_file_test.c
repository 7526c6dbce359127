#include "core/directory/aliases_file.h"

#include "base/buf.h"
#include "base/unit_test.h"

/* What comes out, as "line name=target,target;" each. aliases(5) of Postfix 3.7 */
static const struct {
    const char *text, *want; /* want: rows, or "!" and the error's beginning */
} rows[] = {
    {"", ""},
    {"a: b\n", "1 a@d.test=b@d.test;"},
    {"a:b", "1 a@d.test=b@d.test;"},
    {"a : b , c\n", "1 a@d.test=b@d.test,c@d.test;"},
    {"a: b,,c,\n", "1 a@d.test=b@d.test,c@d.test;"},
    {"\n# x: y\n  # indented comment\na: b\n", "4 a@d.test=b@d.test;"},
    {"a: b,\n\tc,\n  d\nb: e\n", "1 a@d.test=b@d.test,c@d.test,d@d.test;4 b@d.test=e@d.test;"},
    {"a: b,\n# between\n\n c\n", "1 a@d.test=b@d.test,c@d.test;"},
    {"a: b\r\nc: d\r\n", "1 a@d.test=b@d.test;2 c@d.test=d@d.test;"},
    {"\"a b\": \"c, d\", e\n", "1 \"a b\"@d.test=\"c, d\"@d.test,e@d.test;"},
    {"\"a:b\": c\n", "1 \"a:b\"@d.test=c@d.test;"},
    {"\"a\\\":b\": c\n", "1 \"a\\\":b\"@d.test=c@d.test;"},
    {"\"a@b\": c@x.test\n", "1 \"a@b\"@d.test=c@x.test;"},
    {"a: \\a, b@x.test\n", "1 a@d.test=a@d.test,b@x.test;"},
    {"a@y.test: b\n", "1 a@y.test=b@d.test;"},
    {"@y.test: b\n", "1 @y.test=b@d.test;"},
    {"a: b # c\n", "1 a@d.test=b # c@d.test;"}, /* no comment: the address will be refused */
    {"a: |/bin/cat\n", "!1: mail cannot be piped into a program: |/bin/cat"},
    {"x: y\na: \"|/bin/cat -v, x\"\n", "!2: mail cannot be piped"},
    {"a: /var/mail/a\n", "!1: mail cannot be written to a file"},
    {"a: \"/var/my mail\"\n", "!1: mail cannot be written to a file"},
    {"a: b, :include:/etc/list\n", "!1: :include: is not supported"},
    {"a: \\/var/mail/a\n", "!1: mail cannot be written to a file"},
    {"a: \\\"|x\"\n", "!1: mail cannot be piped"},
    {" \xc1: \xc1:\",: \xc1:\",\\/", "!1: mail cannot be written to a file"}, /* found by fuzzing */
    {"a: :fail:\n", "!1: is not supported"},
    {"a\n", "!1: no colon after the name: a"},
    {"a:\n", "!1: no target: a@d.test"},
    {": b\n", "!1: no name"},
    {"\"a: b\n", "!1: quotes that do not end"},
    {"a: \"b\n", "!1: quotes that do not end"},
};

static void print_rows(struct buf *out, const struct alias_line *v, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(out, "%u %.*s=", v[i].line, STR_ARG(v[i].name));
        for (uint32_t k = 0; k < v[i].targets; k++)
            buf_printf(out, "%s%.*s", k ? "," : "", STR_ARG(v[i].target[k]));
        buf_put_c(out, ';');
    }
}

static void test_rows(void **state)
{
    struct arena a;
    struct buf got;

    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&got, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct alias_line *v = NULL;
        uint32_t count = 0;
        struct err e = {0};
        buf_clear(&got);
        if (aliases_file_parse(&a, str_c(rows[i].text), 1, STR("d.test"), &v, &count, &e) < 0)
            buf_printf(&got, "!%s", e.text);
        else
            print_rows(&got, v, count);
        if (rows[i].want[0] == '!' ? !str_starts(buf_str(&got), str_c(rows[i].want))
                                   : !str_eq(buf_str(&got), str_c(rows[i].want)))
            fail_msg("%s\n: %.*s", rows[i].text, STR_ARG(buf_str(&got)));
    }
    buf_done(&got);
    arena_done(&a);
}

/* Memory grows with the text, not with its square. */
static void test_long_file(void **state)
{
    enum {
        LINES = 20000
    };
    struct alias_line *v;
    struct arena a;
    struct buf text;
    struct err e = {0};
    uint32_t count;

    (void)state;
    arena_init(&a, 16 << 20);
    buf_init(&text, 1 << 20);
    for (int i = 0; i < LINES; i++)
        buf_printf(&text, "name%d: target,\n\n# c\n b\n", i);
    assert_true(buf_ok(&text));
    assert_int_equal(aliases_file_parse(&a, buf_str(&text), 1, STR("d.test"), &v, &count, &e), 0);
    assert_true(count == LINES && v[LINES - 1].line == 4 * LINES - 3 && v[5].targets == 2);
    buf_done(&text);
    arena_done(&a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_file),
    };

    return cmocka_run_group_tests_name("core_aliases_file", tests, NULL, NULL);
}
