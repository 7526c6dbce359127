#include "ipc/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/table.h"
#include "base/unit_test.h"

#define LEAST                                                                                      \
    "hostname = \"mx1.example.org\"\ndata = \"/var/lib/veredus\"\n"                                \
    "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n"

/* The sample of the manual, as people know it. */
static const char sample[] =
    "hostname = \"mx1.example.org\"\n"
    "data     = \"/var/lib/veredus\"\n"
    "\n"
    "tls \"default\" { certificate = \"/etc/veredus/tls/cert.pem\"  key = "
    "\"/etc/veredus/tls/key.pem\" }\n"
    "\n"
    "listen \"mx\"          { protocol = smtp        address = {\"0.0.0.0:25\", \"[::]:25\"} }\n"
    "listen \"submission\"  { protocol = submission  address = {\"[::]:587\"} }\n"
    "listen \"submissions\" { protocol = submission  address = {\"[::]:465\"}  tls = implicit }\n"
    "listen \"imaps\"       { protocol = imap        address = {\"[::]:993\"}  tls = implicit }\n"
    "listen \"pop3s\"       { protocol = pop3        address = {\"[::]:995\"}  tls = implicit }\n"
    "\n"
    "dns    { servers = {\"127.0.0.1@53\"}  trust-anchor = \"/usr/share/dns/root.key\" }\n"
    "queue  { retry = {\"1m\", \"5m\", \"15m\", \"1h\", \"4h\"}  lifetime = \"5d\"  "
    "warn-after = \"4h\" }\n"
    "limits { message-size = \"50M\"  recipients = 1000  connections = 10000  "
    "connections-per-client = 50 }\n"
    "relay  { allow = {\"127.0.0.0/8\", \"::1\"} }\n"
    "route \"legacy.example\" { via = \"lmtp:[127.0.0.1]:24\" }\n";

static struct arena arena;
static struct config_problems problems;

static struct config *parse(struct str text)
{
    arena_reset(&arena);
    return config_parse(text, &arena, &problems);
}

static struct config *parse_good(struct str text)
{
    struct config *c = parse(text);

    for (uint32_t i = 0; i < problems.count; i++)
        print_error("line %u: %.*s\n", problems.v[i].line, STR_ARG(problems.v[i].text));
    assert_non_null(c);
    assert_int_equal(problems.count, 0);
    return c;
}

static void test_sample(void **state)
{
    struct config *c = parse_good(str_c(sample));

    (void)state;
    assert_true(str_eq(c->hostname, STR("mx1.example.org")));
    assert_true(str_eq(c->tls[0].title, STR("default")));
    assert_true(str_eq(c->tls[0].key, STR("/etc/veredus/tls/key.pem")));
    assert_int_equal(c->listens, 5);
    assert_int_equal(c->listen[0].address.count, 2);
    assert_true(str_eq(c->listen[0].address.v[1], STR("[::]:25")));
    assert_false(c->listen[0].auth);
    assert_int_equal(c->listen[2].tls, TLS_IMPLICIT);
    assert_true(c->listen[2].auth);
    assert_int_equal(c->listen[3].protocol, PROTOCOL_IMAP);
    assert_int_equal(c->queue.retry.count, 5);
    assert_int_equal(c->queue.retry.v[4], 4 * 3600000);
    assert_int_equal(c->queue.lifetime_ms, 5 * 86400000);
    assert_int_equal(c->limits.message_size, 50 << 20);
    assert_int_equal(c->relay.allow.count, 2);
    assert_int_equal(c->relay.allow.v[0].bits, 104);
    assert_true(str_eq(c->route[0].via, STR("lmtp:[127.0.0.1]:24")));
    assert_true(str_eq(c->dns.servers.v[0], STR("127.0.0.1@53")));
    config_free(c);
}

/* Sound with three settings; the defaults are those of the documents. */
static void test_least(void **state)
{
    struct config *c = parse_good(STR(LEAST));

    (void)state;
    assert_true(str_eq(c->origin, c->hostname));
    assert_true(str_eq(c->runtime, STR("/var/lib/veredus/run")));
    assert_true(str_empty(c->user));
    assert_int_equal(c->bare_lf, BARE_LF_REFUSE);
    assert_int_equal(c->sandbox, SANDBOX_BEST_EFFORT);
    assert_int_equal(c->sync, SYNC_GROUP);
    assert_int_equal(c->shutdown_grace_ms, 10000);
    assert_int_equal(c->log.level, LOG_INFO);
    assert_int_equal(c->limits.command_line, 2048);
    assert_int_equal(c->limits.auth_line, 12288);
    assert_int_equal(c->limits.recipients, 1000);
    assert_int_equal(c->limits.message_size, 50 << 20);
    assert_int_equal(c->limits.content_line, 16384);
    assert_int_equal(c->limits.header_size, 256 << 10);
    assert_int_equal(c->limits.header_fields, 1000);
    assert_int_equal(c->limits.received, 100);
    assert_int_equal(c->limits.mime_depth, 64);
    assert_int_equal(c->limits.mime_parts, 2000);
    assert_int_equal(c->limits.mime_parameters, 100);
    assert_int_equal(c->limits.errors, 20);
    assert_int_equal(c->limits.junk_commands, 100);
    assert_int_equal(c->limits.command_timeout_ms, 300000);
    assert_int_equal(c->limits.greeting_timeout_ms, 60000);
    assert_int_equal(c->limits.data_rate, 512);
    assert_int_equal(c->limits.connections, 10000);
    assert_int_equal(c->limits.connections_per_client, 50);
    assert_int_equal(c->limits.connections_per_network, 150);
    assert_int_equal(c->spool.large, 256 << 10);
    assert_int_equal(c->relay.allow.count, 0);
    assert_false(c->queue.hold);
    config_free(c);
}

/* Ways to write the same. */
static void test_syntax(void **state)
{
    static const char *const texts[] = {
        LEAST "queue { hold = yes lifetime = 90m warn-after = 1h }",
        LEAST "# a comment {\n// another \"\n/* and\n * one */ queue{hold=on lifetime=5400 "
              "warn-after='60m'}#",
        "hostname='mx1.example.org'\r\ndata=\"/var/lib/veredus\"\r\nqueue {\r\nhold = true\r\n"
        "lifetime = \"90m\"\r\nwarn-after = 3600\r\n}\r\nlisten mx { address = \"127.0.0.1:2525\" "
        "protocol = \"smtp\" }",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config *c = parse_good(str_c(texts[i]));
        assert_true(c->queue.hold);
        assert_int_equal(c->queue.lifetime_ms, 5400000);
        assert_int_equal(c->queue.warn_after_ms, 3600000);
        assert_true(str_eq(c->listen[0].title, STR("mx")));
        config_free(c);
    }
}

/* LIBRARIES: libConfuse would put the environment in place of ${HOME}. */
static void test_literal(void **state)
{
    struct config *c = parse_good(
        STR("hostname = a.example data = \"/x/${HOME}/$y\\\\\\\"z\"\n"
            "runtime = '/it\\'s/${HOME}' listen l { protocol = smtp address = unix:/$HOME/s }\n"
            "route from \"b.example\" { via = null } route \"*\" { via = smtp:relay.example:587 }\n"
            "route \"b.example\" { via = hold }"));

    (void)state;
    assert_true(str_eq(c->data, STR("/x/${HOME}/$y\\\"z")));
    assert_true(str_eq(c->runtime, STR("/it's/${HOME}")));
    assert_true(str_eq(c->listen[0].address.v[0], STR("unix:/$HOME/s")));
    assert_true(str_eq(c->route[0].title, STR("from b.example")));
    assert_int_equal(c->routes, 3);
    config_free(c);
}

/* Each problem as "LINE TEXT", all of them in order. Rows marked with a file end at line 3. */
static const struct {
    struct str text;
    const char *problems[6];
} bad[] = {
    {STR_INIT(""), {"0 hostname: missing", "0 data: missing", "0 there is no listen section"}},
    {STR_INIT("hostname = h.example\ndata = \"/d\"\n"), {"0 there is no listen section"}},
    {STR_INIT(LEAST "nope = 1\nqueue { hold = maybe }"), {"4 no such option 'nope'"}},
    {STR_INIT(LEAST "queue { hold = maybe }\n# x\n\nnope = 1\n"),
        {"4 queue hold: 'maybe': neither yes nor no", "7 no such option 'nope'"}},
    {STR_INIT(LEAST "queue {\n nope = 1\n}\n"), {"5 queue: no such option 'nope'"}},
    {STR_INIT(LEAST "limits {\n recipients = 99\n command-line = 1M\n errors = -5\n received = x\n"
                    "message-size = 10MB\n}\n"),
        {"5 limits recipients: '99': too small: the least is 100",
            "6 limits command-line: '1M': too large: the most is 64K",
            "7 limits errors: '-5': not a number", "8 limits received: 'x': not a number",
            "9 limits message-size: '10MB': not a size, such as 10485760, 10M or 4K"}},
    {STR_INIT(LEAST "relay { allow = {\n\"127.0.0.0/8\",\n\"10.0.0.0/33\"} }\n"),
        {"6 relay allow: '10.0.0.0/33': *"}},
    {STR_INIT(LEAST "queue { hold = yes }\nqueue { lifetime = 1d }\n"),
        {"5 queue stands here again: line 4 has it already"}},
    {STR_INIT(LEAST "queue { hold = yes\nhold = no }\n"),
        {"5 hold stands here again: line 4 has it already"}},
    {STR_INIT(LEAST "data = \"/e\"\n"), {"4 data stands here again: line 2 has it already"}},
    {STR_INIT(LEAST "listen \"mx\" {\nprotocol = smtp address = \"[::1]:26\" }\n"),
        {"4 listen 'mx' stands here again: line 3 has it already"}},
    {STR_INIT(LEAST "listen \"b\" {\ntls = sometimes\n}\n"),
        {"4 listen 'b' protocol: missing", "4 listen 'b' address: missing",
            "5 listen 'b' tls: 'sometimes': none of: starttls, implicit, off"}},
    {STR_INIT(LEAST "listen \"b\" {\nprotocol = smtp\naddress = {}\n}\n"),
        {"6 listen 'b' address: empty: there is nothing to listen on"}},
    {STR_INIT(LEAST "listen \"b\" {\nprotocol = smtp\naddress = \"127.0.0.1:2525\"\n"
                    "certificate = x }\n"),
        {"6 listen 'b' address: an address stands in two places",
            "7 listen 'b' certificate: there is no tls section of this title"}},
    {STR_INIT(LEAST "listen \"b c\" {\nprotocol = smtp address = example.org:25 }\n"),
        {"4 listen 'b c': a title is 1 to 64 letters, digits, '-', '_' or '.'",
            "5 listen 'b c' address: 'example.org:25': not HOST:PORT, [V6]:PORT or unix:/PATH "
            "(numeric)"}},
    {STR_INIT(LEAST "relay { allow = { \"::1\", } }\n"),
        {"4 the comma before this '}' is one too many"}},
    {STR_INIT(LEAST "relay { allow += { \"::1\" } }\n"),
        {"4 there is no '+=': an option is given once, with its whole list"}},
    {STR_INIT(LEAST "relay { allow = { \"::1\" \"::2\" } }\n"),
        {"4 a comma is missing before '::2'"}},
    {STR_INIT(LEAST "relay {\nallow = { \"::1\", \n\n"),
        {"5 the list that begins here is not closed"}},
    {STR_INIT(LEAST "relay {\nallow = { \"::1\" }\n\n"),
        {"4 the section 'relay' that begins here is not closed"}},
    {STR_INIT(LEAST "relay {\nallow = nonsense\n"),
        {"4 the section 'relay' that begins here is not closed"}},
    {STR_INIT(LEAST "}\n"), {"4 this '}' closes nothing"}},
    {STR_INIT(LEAST "user = \"abc\n\n\n"), {"4 this string is not closed on its line"}},
    {STR_INIT(LEAST "/* \n\n\n"), {"4 this comment is not closed"}},
    {STR_INIT(LEAST "user = \n\n"), {"6 the value of 'user' is missing"}},
    {STR_INIT(LEAST "user\n\n"), {"4 '=' or '{' is missing behind 'user'"}},
    {STR_INIT(LEAST "user = a;\n"), {"4 ';' has no place here"}},
    {STR_INIT(LEAST "include(\"x\")\n"), {"4 '(' has no place here"}},
    {STR_INIT(LEAST "user = \"a\\nb\"\n"),
        {"4 a backslash before a letter or digit has no meaning here"}},
    {STR_INIT(LEAST "user = {a}\n"), {"4 unexpected token '{'"}},
    {STR_INIT(LEAST "queue = yes\n"), {"4 missing opening brace for section 'queue'"}},
    {STR_INIT(LEAST "queue \"x\" { }\n"), {"4 missing opening brace for section 'queue'"}},
    {STR_INIT(LEAST "listen { }\n"), {"4 missing title for section 'listen'"}},
    {STR_INIT(LEAST "relay { queue { hold = yes } }\n"), {"4 '{' has no place here"}},
    {STR_INIT(LEAST "user = a\0b\n"), {"4 this line holds a control character"}},
    {STR_INIT(LEAST "user = a\rb\n"), {"4 this line holds a control character"}},
    {STR_INIT(LEAST "user = \"\xff\"\n"), {"4 this line holds octets that are not UTF-8"}},
    {STR_INIT("\xef\xbb\xbf" LEAST), {"1 the file begins with a byte order mark: save it without"}},
    {STR_INIT("hostname = \"-x\"\ndata = var\nlisten l { protocol = smtp address = \"[::]:25\" }\n"
              "greet-delay = 2h\n"),
        {"1 hostname: '-x': not a host name", "2 data: 'var': not an absolute path",
            "4 greet-delay: '2h': too large: the most is 1m"}},
    {STR_INIT(LEAST "queue { lifetime = 1h\nwarn-after = 2h retry = {} }\n"),
        {"5 queue retry: empty: at least one pause is needed",
            "5 queue warn-after: not below lifetime"}},
    {STR_INIT(LEAST "map \"@b.example\" { sender = \"\xc3\xa4@c.example\" }\n"),
        {"4 map '@b.example' sender: '\xc3\xa4@c.example': the part before the @ is not ASCII"}},
    {STR_INIT(LEAST "route \"a.example\" { via = null }\nroute \"A.Example\" { via = hold }\n"
                    "route \"from a.example\" { via = hold }\n"
                    "map \"@b.example\" { sender = \"@c.example\" }\n"
                    "map \"@B.example\" { recipient = \"@d.example\" }\n"),
        {"5 route 'A.Example' via: an earlier section has the same pattern",
            "8 map '@B.example' recipient: an earlier section has the same pattern"}},
    {STR_INIT(LEAST "route \"x..y\" { via = null }\nroute \"a.example\" {\nvia = \"lmtp:host\" }"),
        {"4 route 'x..y': not DOMAIN, *.DOMAIN, USER@DOMAIN or *, with or without from",
            "6 route 'a.example' via: 'lmtp:host': none of *"}},
    {STR_INIT(LEAST "dns { servers = { \"a.example@53\", \"::1@0\" } }"),
        {"4 dns servers: 'a.example@53': not *", "4 dns servers: '::1@0': not *"}},
};

/* "*" at the end of expected stands for anything. */
static bool matches(const char *expected, const struct config_problem *p)
{
    char got[600];
    size_t n = strlen(expected);

    snprintf(got, sizeof got, "%u %.*s", p->line, STR_ARG(p->text));
    if (expected[n - 1] == '*')
        return strncmp(got, expected, n - 1) == 0;
    return strcmp(got, expected) == 0;
}

static void test_problems(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct config *c = parse(bad[i].text);
        bool good = !c;
        uint32_t expected = 0;
        while (expected < 6 && bad[i].problems[expected])
            expected++;
        good = good && problems.count == expected;
        for (uint32_t n = 0; good && n < expected; n++)
            good = matches(bad[i].problems[n], &problems.v[n]);
        for (uint32_t n = 0; !good && n < problems.count; n++)
            print_error("%u %.*s\n", problems.v[n].line, STR_ARG(problems.v[n].text));
        if (!good)
            fail_msg("row %zu: %.*s", i, STR_ARG(bad[i].text));
    }
}

/* hostile.md 171 */
static void test_size(void **state)
{
    size_t n = CONFIG_SIZE_MAX + 1;
    char *text = mem_alloc(n);
    struct config *c;

    (void)state;
    assert_non_null(text);
    memset(text, '\n', n);
    memcpy(text, LEAST, sizeof LEAST - 1);
    c = parse_good(str_of(text, n - 1));
    config_free(c);
    assert_null(parse(str_of(text, n)));
    assert_true(str_eq(problems.v[0].text, STR("the file is larger than 1 MiB")));
    mem_free(text);
}

/* libConfuse's time grows with the square of the sections. */
static void test_many_sections(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, CONFIG_SIZE_MAX);
    for (int i = 0; i < 100000; i++)
        buf_put(&text, STR("tls a{}\n"));
    assert_null(parse(buf_str(&text)));
    assert_true(problems.count > 0);
    assert_true(str_eq(problems.v[problems.count - 1].text, STR("too many sections")));
    buf_done(&text);
}

static void test_codec(void **state)
{
    struct config *c = parse_good(str_c(sample)), *again;
    struct buf out, second;
    struct err e = {0};

    (void)state;
    buf_init(&out, 1 << 20);
    buf_init(&second, 1 << 20);
    config_encode(c, &out);
    assert_true(buf_ok(&out));
    again = config_decode(buf_str(&out), &e);
    if (!again)
        fail_msg("%s", e.text);
    config_encode(again, &second);
    assert_true(str_eq(buf_str(&out), buf_str(&second)));
    assert_true(str_eq(again->listen[4].title, STR("pop3s")));
    config_free(again);
    for (size_t n = 0; n < buf_len(&out); n++)
        assert_null(config_decode(str_head(buf_str(&out), n), &e));
    /* A value out of its limits is refused here too. */
    buf_clear(&second);
    c->limits.recipients = 5;
    config_encode(c, &second);
    assert_null(config_decode(buf_str(&second), &e));
    assert_string_equal(e.text, "limits recipients: too small: the least is 100");
    c->limits.recipients = 100;
    c->listens = 0;
    buf_clear(&second);
    config_encode(c, &second);
    assert_null(config_decode(buf_str(&second), &e));
    config_free(c);
    buf_done(&out);
    buf_done(&second);
}

/* Every allocation fails once: no leak, no crash, and never a configuration that is wrong. */
static void test_no_memory(void **state)
{
    uint64_t total;
    struct config *c;

    (void)state;
    mem_fail_at(0);
    config_free(parse_good(str_c(sample)));
    total = mem_fail_at(0);
    assert_true(total > 10);
    for (uint64_t n = 1; n <= total; n++) {
        arena_done(&arena);
        mem_fail_at(n);
        c = parse(str_c(sample));
        mem_fail_at(0);
        assert_null(c);
    }
}

/* What the rows print is what the rows read. */
static void test_generated(void **state)
{
    struct buf out;
    struct config *c;
    struct str rest, line;

    (void)state;
    buf_init(&out, 1 << 20);
    config_sample(&out);
    assert_true(buf_ok(&out));
    c = parse_good(buf_str(&out));
    assert_int_equal(c->listens, 1);
    config_free(c);
    for (rest = buf_str(&out); !str_empty(rest);) {
        str_cut(&rest, '\n', &line);
        if (line.n > 100)
            fail_msg("%.*s", STR_ARG(line));
    }
    buf_clear(&out);
    config_manual(&out);
    assert_true(buf_ok(&out));
    assert_true(str_find_str(buf_str(&out), STR("\n.It Ic command-timeout No = Ar time\n")) > 0);
    assert_true(str_find_str(buf_str(&out), STR("Default: \"5m\".\n")) > 0);
    buf_done(&out);
}

/* The defaults that the sample shows are those that hold: with their comment signs taken away
 * nothing changes. */
static void test_sample_shows_defaults(void **state)
{
    struct buf out, live, first, second;
    struct config *c;
    struct str rest, line;

    (void)state;
    buf_init(&out, 1 << 20);
    buf_init(&live, 1 << 20);
    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    config_sample(&out);
    for (rest = buf_str(&out); !str_empty(rest);) {
        struct str plain;
        str_cut(&rest, '\n', &line);
        plain = str_trim_left(line);
        if (str_starts(plain, STR("# ")) && str_find_str(plain, STR(" = ")) > 0 &&
            !str_starts(line, STR("# tls")) && str_find_str(plain, STR("…")) < 0 &&
            str_find(str_from(plain, 2), '#') < 0 && !str_starts(plain, STR("#  ")))
            plain = str_from(plain, 2);
        buf_printf(&live, "%.*s\n", STR_ARG(plain));
    }
    c = parse_good(buf_str(&out));
    config_encode(c, &first);
    config_free(c);
    c = parse_good(buf_str(&live));
    config_encode(c, &second);
    config_free(c);
    assert_true(str_find_str(buf_str(&live), STR("\ncommand-timeout = \"5m\"\n")) > 0);
    assert_true(buf_ok(&first) && str_eq(buf_str(&first), buf_str(&second)));
    buf_done(&out);
    buf_done(&live);
    buf_done(&first);
    buf_done(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_many_sections),
        cmocka_unit_test(test_codec),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_generated),
        cmocka_unit_test(test_sample_shows_defaults),
    };
    int failed;

    table_seed((const uint8_t[16]){0});
    setenv("HOME", "/root", 1);
    arena_init(&arena, 4 << 20);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&arena);
    return failed;
}
