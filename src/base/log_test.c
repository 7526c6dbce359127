#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/unit_test.h"

static int64_t fixed_clock(void)
{
    return 1795321160123; /* 2026-11-22T04:19:20.123Z */
}

static int pipe_read, pipe_write;

static void open_pipe(bool json, enum log_level level)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    pipe_read = fds[0];
    pipe_write = fds[1];
    log_open(&(struct log_settings){pipe_write, level, json, "inbound", fixed_clock});
}

static void close_pipe(void)
{
    log_open(&(struct log_settings){.fd = -1});
    close(pipe_read);
    close(pipe_write);
}

static char line[8192];

static const char *read_all(void)
{
    ssize_t n = read(pipe_read, line, sizeof line - 1);

    line[n > 0 ? n : 0] = '\0';
    return line;
}

static const struct {
    struct str value;
    const char *text, *json;
} values[] = {
    {STR_INIT("plain"), "plain", "\"plain\""},
    {STR_INIT("<a@b.example>"), "<a@b.example>", "\"<a@b.example>\""},
    {STR_INIT(""), "\"\"", "\"\""},
    {STR_INIT("two words"), "\"two words\"", "\"two words\""},
    {STR_INIT("a=b"), "\"a=b\"", "\"a=b\""},
    {STR_INIT("say \"x\""), "\"say \\\"x\\\"\"", "\"say \\\"x\\\"\""},
    {STR_INIT("a\\b"), "\"a\\\\b\"", "\"a\\\\b\""},
    {STR_INIT("a\r\nb"), "\"a\\r\\nb\"", "\"a\\r\\nb\""},
    {STR_INIT("\0\x1b[0m\x7f"), "\"\\x00\\x1b[0m\\x7f\"", "\"\\u0000\\u001b[0m\\u007f\""},
    {STR_INIT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
    {STR_INIT("\xfc\xc3"), "\"\\xfc\\xc3\"", "\"\\ufffd\\ufffd\""},
    {STR_INIT("\xc2\x85"), "\"\\xc2\\x85\"", "\"\\u0085\""},
    {STR_INIT("\xe2\x80\xae"), "\"\\xe2\\x80\\xae\"", "\"\\u202e\""},
};

static void test_values(void **state)
{
    char expected[512];

    (void)state;
    for (int json = 0; json < 2; json++) {
        open_pipe(json, LOG_INFO);
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            log_info(NULL, "test", kv_str("key", values[i].value));
            snprintf(expected, sizeof expected,
                json ? "{\"time\":\"2026-11-22T04:19:20.123Z\",\"level\":\"info\","
                       "\"process\":\"inbound\",\"event\":\"test\",\"key\":%s}\n"
                     : "2026-11-22T04:19:20.123Z info inbound test key=%s\n",
                json ? values[i].json : values[i].text);
            assert_string_equal(read_all(), expected);
        }
        close_pipe();
    }
}

static void test_inherited(void **state)
{
    struct kv outer_fields[] = {kv_u64("conn", 7), kv_c("id", "none")};
    struct kv inner_fields[] = {kv_c("id", "0abc")};
    struct event outer = {NULL, outer_fields, 2}, inner = {&outer, inner_fields, 1};

    (void)state;
    open_pipe(false, LOG_INFO);
    log_warning(&inner, "odd", kv_i64("low", INT64_MIN), kv_bool("tls", true));
    assert_string_equal(read_all(), "2026-11-22T04:19:20.123Z warning inbound odd conn=7 id=0abc "
                                    "low=-9223372036854775808 tls=yes\n");
    log_error(NULL, "bare");
    assert_string_equal(read_all(), "2026-11-22T04:19:20.123Z error inbound bare\n");
    log_debug(&inner, "hidden");
    assert_string_equal(read_all(), "");
    close_pipe();
}

/* Long values are cut, and a record with too many of them ends with a word that says so. */
static void test_ceilings(void **state)
{
    static char big[5000];
    struct str value = str_of(big, sizeof big);
    size_t n;

    (void)state;
    memset(big, 'x', sizeof big);
    for (int json = 0; json < 2; json++) {
        open_pipe(json, LOG_INFO);
        log_info(NULL, "long", kv_str("a", value));
        n = strlen(read_all());
        assert_true(n > 1024 && n < 1200);
        assert_non_null(strstr(line, json ? "x…\"}\n" : "x…\"\n"));
        memset(big, 1, sizeof big);
        log_info(NULL, "long", kv_str("a", value), kv_str("b", value), kv_u64("c", 1));
        n = strlen(read_all());
        assert_true(n <= 4096);
        assert_string_equal(line + n - (json ? 13 : 9), json ? ",\"cut\":true}\n" : " cut=yes\n");
        memset(big, 'x', sizeof big);
        close_pipe();
    }
}

/* A full pipe never blocks; records are dropped whole, and the log says how many. */
static void test_drops(void **state)
{
    uint64_t before = log_dropped();
    char all[1 << 17];
    size_t n = 0;
    ssize_t got;

    (void)state;
    open_pipe(false, LOG_INFO);
    for (int i = 0; i < 5000; i++)
        log_info(NULL, "fill", kv_c("key", "some value that takes a little room"));
    assert_true(log_dropped() > before);
    while ((got = read(pipe_read, all + n, sizeof all - n)) > 0)
        n += (size_t)got;
    assert_int_equal(all[n - 1], '\n');
    log_info(NULL, "after");
    read_all();
    assert_non_null(strstr(line, "warning inbound log_dropped records="));
    assert_non_null(strstr(line, "info inbound after\n"));
    close_pipe();
}

static unsigned pending_calls;

static void on_pending(void)
{
    pending_calls++;
}

/* Whole lines read so far. */
static int count_all(bool reset)
{
    static int lines;

    if (reset)
        lines = 0;
    while (*read_all())
        for (const char *at = line; (at = strchr(at, '\n')); at++)
            lines++;
    return lines;
}

static void test_gathered(void **state)
{
    (void)state;
    open_pipe(false, LOG_INFO);
    log_gather(on_pending);
    log_info(NULL, "one");
    log_info(NULL, "two");
    assert_int_equal(pending_calls, 1);
    assert_string_equal(read_all(), "");
    log_flush();
    read_all();
    assert_true(strstr(line, "one\n") < strstr(line, "two\n"));
    assert_non_null(strstr(line, "info inbound two\n"));
    log_info(NULL, "three");
    assert_int_equal(pending_calls, 2);
    log_error(NULL, "bad"); /* and all before it, at once */
    read_all();
    assert_non_null(strstr(line, "info inbound three\n"));
    assert_non_null(strstr(line, "error inbound bad\n"));
    count_all(true);
    for (int i = 0; i < 2000; i++) { /* more than is gathered: whole lines, none lost */
        log_info(NULL, "many", kv_u64("i", (uint64_t)i));
        if (i % 200 == 199)
            count_all(false);
    }
    log_flush();
    assert_int_equal(count_all(false), 2000);
    log_gather(NULL);
    close_pipe();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_drops),
        cmocka_unit_test(test_gathered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
