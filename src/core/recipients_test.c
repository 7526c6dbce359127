/* Who may be written to, and who gets it: maps, the way back of forwarded senders, relay domains.
 */
#include "core/recipients.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/table.h"
#include "base/temp_dir.h"

#include "run/run_test.h"

#include "core/directory/directory.h"
#include "core/queue/route.h"

static char data[96];
static int said; /* what next hops say: 2, 4, 5 */
static unsigned probes;

struct world {
    struct arena arena;
    struct config *config;
    struct directory *directory;
    struct recipients *recipients;
    char control_db[128];
};

static const struct event event;

static void must(int status, const struct err *e)
{
    if (status < 0)
        fail_msg("%s", e->text);
}

static int probe(void *arg, const struct route *route, struct str address, struct err *why)
{
    (void)arg;
    (void)address;
    probes++;
    assert_true(str_eq(route->key, STR("[next.example]:26")));
    if (said == 2)
        return 0;
    return err_set(why, said == 5 ? ERR_PERMANENT : ERR_TEMPORARY, "test", "said %d", said);
}

static void add_alias(struct world *w, const char *address, const char *target)
{
    struct str t = str_c(target);
    struct err e;

    must(directory_alias_add(w->directory, str_c(address), &t, 1, &e), &e);
}

static void populate(struct world *w)
{
    const struct directory_domain_new domains[] = {
        {.name = STR("here.example")},
        {.name = STR("second.example")},
        {.name = STR("relay.example"), .relay = true},
        {.name = STR("asked.example"), .relay = true, .recipients = RECIPIENTS_ASKED},
    };
    uint64_t id;
    struct err e;

    for (size_t i = 0; i < ARRAY_COUNT(domains); i++)
        must(directory_domain_add(w->directory, &domains[i], &e), &e);
    must(directory_account_add(w->directory, STR("user@here.example"), STR(""), 0, &id, &e), &e);
    must(directory_account_add(w->directory, STR("box@second.example"), STR(""), 0, &id, &e), &e);
    add_alias(w, "away@here.example", "someone@there.example");
    add_alias(w, "away@second.example", "someone@there.example");
    add_alias(w, "@second.example", "box@second.example");
}

static struct config *make_config(struct world *w, const char *options)
{
    struct config_problems problems = {0};
    struct config *c =
        config_parse(arena_printf(&w->arena,
                         "hostname = \"mx.here.example\"\ndata = \"%s\"\n%s\n"
                         "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n"
                         "route \"asked.example\" { via = \"smtp:[next.example]:26\" }\n"
                         "map \"old@here.example\" { sender = \"user@here.example\" recipient = "
                         "\"user@here.example\" }\n"
                         "map \"@moved.example\" { recipient = \"@there.example\" }\n",
                         data, options),
            &w->arena, &problems);

    if (!c)
        fail_msg("%.*s", STR_ARG(problems.v[0].text));
    return c;
}

static void open_world(struct world *w, const char *options)
{
    struct directory_settings directory = {.sys = &sys_real, .path = w->control_db};
    struct recipients_settings settings = {.sys = &sys_real, .event = &event, .probe = probe};
    char path[128];
    struct err e;

    *w = (struct world){0};
    table_seed((const uint8_t[16]){7});
    said = 2;
    probes = 0;
    assert_int_equal(temp_dir_make(data, sizeof data, NULL, "recipients"), 0);
    (void)snprintf(path, sizeof path, "%s/queue", data);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(w->control_db, sizeof w->control_db, "%s/control.db", data);
    arena_init(&w->arena, 16 << 20);
    w->config = make_config(w, options);
    directory.origin = w->config->origin;
    must(directory_open(&w->directory, &directory, &e), &e);
    populate(w);
    settings.config = w->config;
    settings.directory = w->directory;
    must(recipients_open(&w->recipients, &settings, &e), &e);
}

static void close_world(struct world *w)
{
    recipients_close(&w->recipients);
    directory_close(&w->directory);
    config_free(w->config);
    arena_done(&w->arena);
    temp_dir_remove(data);
}

static struct ic_rcpt_answer rcpt(
    struct world *w, enum ic_right right, const char *from, const char *to)
{
    struct str address = str_c(to);
    struct ic_rcpt ask = {.reverse_path = str_c(from), .address = &address, .count = 1};
    struct ic_rcpt_answer answer;

    assert_true(recipients_answer(w->recipients, right, &ask, &answer));
    return answer;
}

/* The final recipients as "address address", those in mailboxes with "+". */
static struct str expand(struct world *w, enum ic_right right, struct ic_envelope *envelope)
{
    struct target *target;
    uint32_t own, count;
    struct str all = STR("");
    struct err e;

    if (recipients_expand(w->recipients, &w->arena, right, envelope, &own, &target, &count, &e) < 0)
        return arena_printf(&w->arena, "%s", e.text);
    for (uint32_t i = 0; i < count; i++)
        all = arena_printf(&w->arena, "%.*s%s%s%.*s", STR_ARG(all), all.n ? " " : "",
            target[i].kind == TARGET_ACCOUNT ? "+" : "", STR_ARG(target[i].address));
    return all;
}

static struct ic_envelope envelope_to(struct world *w, const char *from, const char *to)
{
    struct ic_recipient *r = ARENA_NEW(&w->arena, struct ic_recipient);

    r->address = str_c(to);
    return (struct ic_envelope){.reverse_path = str_c(from), .rcpt = r, .count = 1};
}

static void check_expansion(
    struct world *w, enum ic_right right, const char *from, const char *to, const char *want)
{
    struct ic_envelope envelope = envelope_to(w, from, to);
    struct str got = expand(w, right, &envelope);

    if (!str_eq(got, str_c(want)))
        fail_msg("%s: %.*s", to, STR_ARG(got));
}

/* ---- verdicts: hostile.md 30 to 36 among them */

FIBER_TEST(test_rcpt)
{
    static const struct {
        const char *from, *to;
        int stranger, trusted; /* verdicts */
        struct err_status status;
    } rows[] = {
        {"a@evil.example", "user@here.example", IC_LOCAL, IC_LOCAL, {0}},
        {"a@evil.example", "away@here.example", IC_FORWARD, IC_FORWARD, {0}},
        {"a@evil.example", "b@relay.example", IC_RELAY, IC_RELAY, {0}},
        {"a@evil.example", "b@there.example", IC_REFUSED, IC_RELAY, {5, 7, 1}},
        {"user@here.example", "b@there.example", IC_REFUSED, IC_RELAY, {5, 7, 1}},
        {"", "b@there.example", IC_REFUSED, IC_RELAY, {5, 7, 1}},
        {"", "b@[198.51.100.1]", IC_REFUSED, IC_RELAY, {5, 7, 1}},
        {"a@evil.example", "b%there.example@here.example", IC_REFUSED, IC_REFUSED, {5, 1, 1}},
        {"a@evil.example", "\"b@there.example\"@here.example", IC_REFUSED, IC_REFUSED, {5, 1, 1}},
        {"a@evil.example", "b%there.example@relay.example", IC_RELAY, IC_RELAY, {0}},
        {"a@evil.example", "nobody@here.example", IC_REFUSED, IC_REFUSED, {5, 1, 1}},
        /* a map gives no right, and goes before the directory */
        {"a@evil.example", "old@here.example", IC_LOCAL, IC_LOCAL, {0}},
        {"a@evil.example", "x@moved.example", IC_REFUSED, IC_RELAY, {5, 7, 1}},
        /* what looks like an address of ours, and is not: mail/srs.h */
        {"", "SRS0=AAAAAA=AA=a.example=b@here.example", IC_REFUSED, IC_REFUSED, {5, 1, 1}},
        {"", "srs0=AAAAAA=AA=a.example=b@second.example", IC_REFUSED, IC_REFUSED, {5, 1, 1}},
        {"", "SRS0=AAAAAA=AA=a.example=b@mx.here.example", IC_REFUSED, IC_REFUSED, {5, 1, 1}},
        {"", "SRS0=AAAAAA=AA=a.example=b@else.example", IC_REFUSED, IC_RELAY, {5, 7, 1}},
    };
    struct world w;

    open_world(&w, "");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct ic_rcpt_answer s = rcpt(&w, IC_STRANGER, rows[i].from, rows[i].to);
        struct ic_rcpt_answer t = rcpt(&w, IC_TRUSTED, rows[i].from, rows[i].to);
        if ((int)s.verdict != rows[i].stranger || (int)t.verdict != rows[i].trusted)
            fail_msg("%s: %d %d", rows[i].to, s.verdict, t.verdict);
        if (s.verdict == IC_REFUSED &&
            memcmp(&s.why.status, &rows[i].status, sizeof s.why.status) != 0)
            fail_msg("%s: %s", rows[i].to, s.why.text);
    }
    close_world(&w);
}

FIBER_TEST(test_next_hop)
{
    struct ic_rcpt_answer a;
    struct world w;

    open_world(&w, "");
    assert_int_equal(rcpt(&w, IC_STRANGER, "a@b.example", "x@asked.example").verdict, IC_RELAY);
    assert_int_equal(rcpt(&w, IC_STRANGER, "a@b.example", "X@Asked.Example").verdict, IC_RELAY);
    assert_int_equal(probes, 1);
    said = 5;
    a = rcpt(&w, IC_TRUSTED, "a@b.example", "y@asked.example");
    assert_int_equal(a.verdict, IC_REFUSED);
    assert_int_equal(a.why.class, ERR_PERMANENT);
    said = 4;
    a = rcpt(&w, IC_STRANGER, "a@b.example", "z@asked.example");
    assert_int_equal(a.verdict, IC_REFUSED);
    assert_int_equal(a.why.status.class, 4);
    assert_int_equal(rcpt(&w, IC_STRANGER, "a@b.example", "x@asked.example").verdict, IC_RELAY);
    close_world(&w);
}

/* ---- the commit */

FIBER_TEST(test_expand)
{
    struct ic_envelope envelope;
    struct world w;

    open_world(&w, "");
    check_expansion(&w, IC_STRANGER, "a@b.example", "old@here.example", "+user@here.example");
    check_expansion(&w, IC_STRANGER, "a@b.example", "away@here.example", "someone@there.example");
    check_expansion(&w, IC_STRANGER, "a@b.example", "x@relay.example", "x@relay.example");
    check_expansion(&w, IC_STRANGER, "a@b.example", "x@there.example", "relaying denied");
    check_expansion(&w, IC_STRANGER, "a@b.example", "x@moved.example", "relaying denied");
    check_expansion(&w, IC_TRUSTED, "a@b.example", "x@moved.example", "x@there.example");
    envelope = envelope_to(&w, "OLD@here.example", "user@here.example");
    expand(&w, IC_STRANGER, &envelope);
    assert_true(str_eq(envelope.reverse_path, STR("user@here.example")));
    assert_int_equal(envelope.count, 1);
    close_world(&w);
}

FIBER_TEST(test_always_bcc)
{
    struct ic_envelope envelope;
    struct world w;

    open_world(&w, "always-bcc = \"archive@there.example\"");
    envelope = envelope_to(&w, "a@b.example", "user@here.example");
    assert_true(str_eq(
        expand(&w, IC_STRANGER, &envelope), STR("+user@here.example archive@there.example")));
    assert_int_equal(envelope.count, 2);
    assert_int_equal(envelope.rcpt[1].notify, IC_NOTIFY_NEVER);
    assert_int_equal(envelope.rcpt[0].notify, IC_NOTIFY_DEFAULT);
    check_expansion(
        &w, IC_TRUSTED, "a@b.example", "Archive@there.example", "Archive@there.example"); /* once */
    close_world(&w);
}

/* RFC 3461 4.1: dsn { strangers = no } takes SUCCESS away, and nothing is put in its place. */
FIBER_TEST(test_strangers_success)
{
    static const uint8_t rows[][3] = {
        /* asked, of a stranger, of a trusted one */
        {IC_NOTIFY_DEFAULT, IC_NOTIFY_DEFAULT, IC_NOTIFY_DEFAULT},
        {IC_NOTIFY_SUCCESS, IC_NOTIFY_NEVER, IC_NOTIFY_SUCCESS},
        {IC_NOTIFY_SUCCESS | IC_NOTIFY_FAILURE, IC_NOTIFY_FAILURE,
            IC_NOTIFY_SUCCESS | IC_NOTIFY_FAILURE},
        {IC_NOTIFY_NEVER, IC_NOTIFY_NEVER, IC_NOTIFY_NEVER},
    };
    struct world w;

    open_world(&w, "dsn { strangers = no }");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (int right = IC_STRANGER; right <= IC_TRUSTED; right++) {
            struct ic_envelope envelope = envelope_to(&w, "a@b.example", "user@here.example");
            envelope.rcpt[0].notify = rows[i][0];
            expand(&w, (enum ic_right)right, &envelope);
            assert_int_equal(envelope.rcpt[0].notify, rows[i][1 + right]);
        }
    close_world(&w);
}

/* ---- forwarding */

static struct str forwarded_as(struct world *w, const char *from, const char *to)
{
    struct envelope envelope = {.given = envelope_to(w, from, to)};
    uint32_t own;
    struct str path;
    struct err e;

    must(recipients_expand(w->recipients, &w->arena, IC_TRUSTED, &envelope.given, &own,
             &envelope.target, &envelope.targets, &e),
        &e);
    must(
        forward_reverse_path(recipients_forward(w->recipients), &w->arena, &envelope, 0, &path, &e),
        &e);
    return path;
}

FIBER_TEST(test_forward)
{
    static const struct {
        const char *from, *to, *domain; /* NULL: as it was */
    } rows[] = {
        {"a@far.example", "away@second.example", "@second.example"},
        {"", "away@here.example", NULL},                  /* RFC 5321 4.5.5 */
        {"user@here.example", "away@here.example", NULL}, /* ours: SPF holds */
        {"a@far.example", "someone@there.example", NULL}, /* relayed, not forwarded */
        {"a@far.example", "x@relay.example", NULL}, {"a@far.example", "x@moved.example", NULL},
        {"a@far.example", "user@here.example", NULL}, /* stays */
    };
    struct world w;

    open_world(&w, "");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct str path = forwarded_as(&w, rows[i].from, rows[i].to);
        bool good = rows[i].domain
                        ? str_starts(path, STR("SRS0=")) && str_ends(path, str_c(rows[i].domain))
                        : str_eq(path, str_c(rows[i].from));
        if (!good)
            fail_msg("%s by %s: %.*s", rows[i].from, rows[i].to, STR_ARG(path));
    }
    close_world(&w);
    open_world(&w, "origin = \"here.example\"");
    assert_true(
        str_ends(forwarded_as(&w, "a@far.example", "away@second.example"), STR("@here.example")));
    close_world(&w);
    open_world(&w, "srs = no");
    assert_true(
        str_eq(forwarded_as(&w, "a@far.example", "away@second.example"), STR("a@far.example")));
    close_world(&w);
}

/* Reports find their way; nothing else does, and nobody gets it before a catch-all's mailbox. */
FIBER_TEST(test_back)
{
    struct ic_rcpt_answer a;
    struct world w;
    char address[256];

    open_world(&w, "");
    str_copy_c(address, sizeof address, forwarded_as(&w, "a@far.example", "away@second.example"));
    assert_int_equal(rcpt(&w, IC_STRANGER, "", address).verdict, IC_RELAY);
    check_expansion(&w, IC_STRANGER, "", address, "a@far.example");
    a = rcpt(&w, IC_STRANGER, "x@evil.example", address);
    assert_int_equal(a.verdict, IC_REFUSED);
    assert_int_equal(a.why.status.subject, 7);
    assert_int_equal(rcpt(&w, IC_TRUSTED, "x@far.example", address).verdict, IC_RELAY);
    address[6] = address[6] == 'A' ? 'B' : 'A'; /* forged */
    a = rcpt(&w, IC_STRANGER, "", address);
    assert_int_equal(a.verdict, IC_REFUSED);
    assert_int_equal(a.why.class, ERR_PERMANENT);
    close_world(&w);
}

static void write_keys(const char *text)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/queue/srs.key", data);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

FIBER_TEST(test_keys)
{
    static const char first[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    static const char both[] = "# new\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
                               "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    struct forward *f;
    struct world w;
    struct str before, after, behind;
    char path[128];
    struct stat st;
    struct err e;

    open_world(&w, "");
    f = recipients_forward(w.recipients);
    (void)snprintf(path, sizeof path, "%s/queue/srs.key", data);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    write_keys(first);
    must(forward_reconfigure(f, w.config, &e), &e);
    before = forwarded_as(&w, "a@far.example", "away@here.example");
    write_keys(both);
    must(forward_reconfigure(f, w.config, &e), &e);
    after = forwarded_as(&w, "a@far.example", "away@here.example");
    assert_false(str_eq(before, after));
    assert_int_equal(forward_back(f, &w.arena, before, &behind, &e), 1);
    assert_int_equal(forward_back(f, &w.arena, after, &behind, &e), 1);
    assert_true(str_eq(behind, STR("a@far.example")));
    write_keys("short\n"); /* what is wrong changes nothing */
    assert_int_equal(forward_reconfigure(f, w.config, &e), -1);
    assert_non_null(strstr(e.text, "srs.key:1"));
    assert_int_equal(forward_back(f, &w.arena, after, &behind, &e), 1);
    write_keys(both + 6 + 45);
    must(forward_reconfigure(f, w.config, &e), &e);
    assert_int_equal(forward_back(f, &w.arena, after, &behind, &e), -1);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rcpt),
        cmocka_unit_test(test_next_hop),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_always_bcc),
        cmocka_unit_test(test_strangers_success),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_back),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
