/* Notifications of core: who gets one, and that it and the outcome are one commit. */
#include "core/queue/report.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/temp_dir.h"
#include "base/timefmt.h"
#include "base/unit_test.h"

#include "mail/digest.h"

#include "ipc/channel.h"
#include "ipc/control.h"

#include "core/control/control.h"
#include "core/core.h"
#include "core/intake.h"
#include "core/message.h"
#include "core/queue/queue.h"

static char directory[96];

struct world {
    struct arena arena;
    struct config *config;
    struct core core;
    struct channel *channel; /* an inbound's end */
    struct digest_builder digest;
    bool digesting;
    unsigned digests;
    struct reporter *reporter;
};

/* As an inbound does it (inbound/digester.h). */
static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct world *w = arg;
    struct buf out;

    if (fd >= 0)
        close(fd);
    if (type == IC_DIGEST_PUT) {
        if (!w->digesting)
            digest_begin(&w->digest, &MIME_LIMITS_DEFAULT);
        w->digesting = true;
        digest_feed(&w->digest, str_from(payload, 4));
    } else if (type == IC_DIGEST_END) {
        assert_true(w->digesting);
        w->digesting = false;
        buf_init(&out, CHANNEL_FRAME_MAX);
        assert_int_equal(digest_finish(&w->digest, &out, NULL), 0);
        digest_done(&w->digest);
        channel_reply(from, buf_str(&out));
        buf_done(&out);
        w->digests++;
    }
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
}

static void check(int status, const struct err *e)
{
    if (status < 0)
        fail_msg("%s", e->text);
}

static void configure(struct world *w, const char *more)
{
    struct config_problems problems = {0};
    struct buf text;

    buf_init(&text, 4096);
    buf_printf(&text,
        "hostname = \"mail.example.test\"\ndata = \"%s\"\norigin = \"example.test\"\n"
        "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n"
        "spool { segment = \"16M\" reserve = \"16M\" }\n%s\n",
        directory, more);
    w->config = config_parse(buf_str(&text), &w->arena, &problems);
    if (!w->config)
        fail_msg("%.*s", STR_ARG(problems.v[0].text));
    buf_done(&text);
}

static json_t *control(struct world *w, const char *request)
{
    struct control c = {
        .config = w->config,
        .directory = w->core.stores.directory,
        .mailboxes = w->core.stores.mailboxes,
        .hashing = w->core.stores.hashing,
        .core = &w->core,
    };
    struct buf reply;
    json_t *result = NULL;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    control_execute(&c, str_c(request), &reply);
    if (buf_len(&reply) && buf_str(&reply).p[0] == CONTROL_DONE)
        result = json_loadb(buf_str(&reply).p + 1, buf_len(&reply) - 1, JSON_DECODE_ANY, NULL);
    buf_done(&reply);
    if (!result)
        fail_msg("refused: %s", request);
    return result;
}

static void open_world(struct world *w, const char *more)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    static const struct event event;
    struct err e;
    int ends[2];

    *w = (struct world){0};
    arena_init(&w->arena, 1 << 22);
    configure(w, more);
    check(core_open(&w->core, &sys_real, w->config, &event, &e), &e);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check(intake_open(&w->core, ends[0], CLASS_MX, &e), &e);
    check(channel_open(&w->channel, ends[1], "core", &handler, w, &e), &e);
    check(reporter_open(&w->reporter, &w->core, &e), &e);
    json_decref(control(w, "{\"op\":\"domain.add\",\"domain\":\"example.test\"}"));
    json_decref(control(
        w, "{\"op\":\"account.add\",\"address\":\"alice@example.test\",\"password\":\"a\"}"));
}

static void close_world(struct world *w)
{
    reporter_close(&w->reporter);
    core_close(&w->core);
    channel_close(&w->channel);
    config_free(w->config);
    arena_done(&w->arena);
}

struct mail {
    const char *from, *to, *protocol;
    uint8_t notify;
    struct message *message;
    uint64_t id;
    struct envelope envelope;
};

/* A message in the spool, to one recipient elsewhere. */
static void take(struct world *w, struct mail *mail)
{
    static const char content[] = "Subject: hello\r\nMessage-ID: <1@x.test>\r\n\r\nthe body\r\n";
    struct message *m = message_new(STR_NONE);
    struct ic_recipient *rcpt = ARENA_NEW(&w->arena, struct ic_recipient);
    struct target *target = ARENA_NEW(&w->arena, struct target);
    struct spool_message *spool;
    struct err e;

    assert_true(m && rcpt && target);
    *rcpt = (struct ic_recipient){.address = str_c(mail->to), .notify = mail->notify};
    *target = (struct target){.kind = TARGET_ADDRESS, .address = str_c(mail->to)};
    mail->id = core_own_id(&w->core);
    m->commit = (struct ic_commit){
        .envelope = {.id = mail->id, .reverse_path = str_c(mail->from), .rcpt = rcpt, .count = 1},
        .protocol = str_c(mail->protocol),
        .prefix = STR("Received: by test\r\n"),
        .content = str_c(content),
        .content_size = sizeof content - 1,
        .content_crc = crc32c(str_c(content)),
    };
    m->envelope.arrived_ms = wall_ms();
    m->envelope.target = target;
    m->envelope.targets = 1;
    check(message_seal(m, NULL, &e), &e);
    mail->envelope = m->envelope;
    spool = &m->spool;
    check(spool_commit(w->core.spool, &spool, 1, NULL, 0, SPOOL_MAIL, &e), &e);
}

static int tell(struct world *w, const struct mail *mail, enum report_kind kind, struct err *e)
{
    struct spool_change end = {.kind = SPOOL_END, .id = mail->id};
    struct report_rcpt rcpt = {
        .index = 0,
        .kind = kind,
        .code = kind == REPORT_FAILED ? 550 : 250,
        .status = {kind == REPORT_FAILED ? 5 : 2, 1, 1},
        .text = STR("no such user here"),
        .host = STR("mx.elsewhere.test"),
        .address = STR("192.0.2.25"),
        .when_ms = wall_ms(),
    };
    struct report what = {.id = mail->id,
        .envelope = &mail->envelope,
        .rcpt = &rcpt,
        .rcpts = 1,
        .change = &end,
        .changes = 1};

    return report(w->reporter, &what, e);
}

static size_t inbox(struct world *w, char *subject, size_t size)
{
    json_t *page;
    size_t n;

    assert_int_equal(queue_wait_idle(w->core.queue, NULL), 0);
    page = control(w, "{\"op\":\"mail.list\",\"address\":\"alice@example.test\"}");
    n = json_array_size(json_object_get(page, "items"));
    if (n && subject)
        snprintf(subject, size, "%s",
            json_string_value(
                json_object_get(json_array_get(json_object_get(page, "items"), n - 1), "subject")));
    json_decref(page);
    return n;
}

static bool is_in_spool(const struct world *w, uint64_t id)
{
    struct spool_found found;

    return spool_find(w->core.spool, id, &found);
}

/* RFC 3461 5.2: the sender hears of a failure, unless told otherwise. */
static void failure_is_told(struct world *w)
{
    struct mail mail = {
        .from = "alice@example.test", .to = "bob@elsewhere.test", .protocol = "ESMTP"};
    char subject[128] = "";
    struct err e;

    take(w, &mail);
    check(tell(w, &mail, REPORT_FAILED, &e), &e);
    assert_false(is_in_spool(w, mail.id));
    assert_int_equal(inbox(w, subject, sizeof subject), 1);
    assert_int_equal(w->digests, 1);
    assert_string_not_equal(subject, "");
}

static void success_is_told_on_request_only(struct world *w)
{
    struct mail quiet = {
        .from = "alice@example.test", .to = "bob@elsewhere.test", .protocol = "ESMTP"};
    struct mail asked = {.from = "alice@example.test",
        .to = "bob@elsewhere.test",
        .protocol = "ESMTP",
        .notify = IC_NOTIFY_SUCCESS};
    struct mail never = {.from = "alice@example.test",
        .to = "bob@elsewhere.test",
        .protocol = "ESMTP",
        .notify = IC_NOTIFY_NEVER};
    size_t before = inbox(w, NULL, 0);
    struct err e;

    take(w, &quiet);
    check(tell(w, &quiet, REPORT_DELIVERED, &e), &e);
    take(w, &never);
    check(tell(w, &never, REPORT_FAILED, &e), &e);
    assert_int_equal(inbox(w, NULL, 0), before);
    take(w, &asked);
    check(tell(w, &asked, REPORT_DELIVERED, &e), &e);
    assert_int_equal(inbox(w, NULL, 0), before + 1);
}

/* RFC 5321 4.5.5: never about a notification; the postmaster only where he wants it. */
static void nobody_is_told_of_the_null_reverse_path(struct world *w)
{
    struct mail bounce = {.from = "", .to = "bob@elsewhere.test", .protocol = "ESMTP"};
    size_t before = inbox(w, NULL, 0);
    struct err e;

    take(w, &bounce);
    check(tell(w, &bounce, REPORT_FAILED, &e), &e);
    check(spool_flush(w->core.spool, &e), &e);
    assert_false(is_in_spool(w, bounce.id));
    assert_int_equal(inbox(w, NULL, 0), before);
}

static void who_is_told(void *arg)
{
    struct world w;

    (void)arg;
    open_world(&w, "");
    failure_is_told(&w);
    success_is_told_on_request_only(&w);
    nobody_is_told_of_the_null_reverse_path(&w);
    close_world(&w);
    run_stop();
}

static void double_bounces(void *arg)
{
    struct mail bounce = {.from = "", .to = "bob@elsewhere.test", .protocol = "ESMTP"};
    struct mail again = {.from = "", .to = "bob@elsewhere.test", .protocol = "double-bounce"};
    struct world w;
    size_t before;
    struct err e;

    (void)arg;
    open_world(&w, "postmaster = \"alice@example.test\"\ndsn { double-bounces = yes }");
    before = inbox(&w, NULL, 0);
    take(&w, &bounce);
    check(tell(&w, &bounce, REPORT_FAILED, &e), &e);
    assert_int_equal(inbox(&w, NULL, 0), before + 1);
    take(&w, &again);
    check(tell(&w, &again, REPORT_FAILED, &e), &e);
    assert_int_equal(inbox(&w, NULL, 0), before + 1);
    close_world(&w);
    run_stop();
}

/* faults.md 39: a minute's worth at once; then nothing changes, and it is tried again. */
static void rate(void *arg)
{
    struct mail mail = {
        .from = "alice@example.test", .to = "bob@elsewhere.test", .protocol = "ESMTP"};
    struct world w;
    uint64_t again = 0;
    unsigned told = 0;
    struct err e;

    (void)arg;
    open_world(&w, "dsn { rate = 4 }");
    for (;; told++) {
        take(&w, &mail);
        if (tell(&w, &mail, REPORT_FAILED, &e) < 0)
            break;
    }
    assert_in_range(told, 4, 6);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_true(is_in_spool(&w, mail.id));
    assert_false(reporter_ready(w.reporter, &again));
    assert_true(again > run_now());
    close_world(&w);
    run_stop();
}

static void in_a_fiber(fiber_fn *fn)
{
    struct scope scope;
    struct err e;

    assert_int_equal(temp_dir_make(directory, sizeof directory, NULL, "report"), 0);
    check(run_open(&e), &e);
    scope_init(&scope);
    check(fiber_start(&scope, "test", fn, NULL, &e), &e);
    run_loop();
    scope_join(&scope);
    run_close();
    assert_int_equal(temp_dir_remove(directory), 0);
}

static void test_who_is_told(void **state)
{
    (void)state;
    in_a_fiber(who_is_told);
}

static void test_double_bounces(void **state)
{
    (void)state;
    in_a_fiber(double_bounces);
}

static void test_rate(void **state)
{
    (void)state;
    in_a_fiber(rate);
}

int main(void)
{
    static const uint8_t key[16] = {1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_told),
        cmocka_unit_test(test_double_bounces),
        cmocka_unit_test(test_rate),
    };
    table_seed(key);
    log_open(&(struct log_settings){.fd = 2, .level = LOG_WARNING, .process = "test"});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
