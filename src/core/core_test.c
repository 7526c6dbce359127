/* core without processes: an intake on one end of a socketpair, an inbound's part played on the
 * other. */
#include "core/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/temp_dir.h"
#include "base/timefmt.h"
#include "base/unit_test.h"

#include "ipc/channel.h"
#include "ipc/control.h"
#include "ipc/inbound_core.h"

#include "core/control/control.h"
#include "core/intake.h"
#include "core/queue/queue.h"

enum {
    BIG = 700 * 1024,
    PIECE = 50 * 1024,
};

static char directory[96];

struct world {
    struct arena arena;
    struct config *config;
    struct core core;
    struct channel *channel;
    uint64_t lease;
    uint32_t next;
};

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    (void)arg;
    (void)from;
    (void)payload;
    assert_int_equal(type, IC_STATE);
    if (fd >= 0)
        close(fd);
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
}

static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};

static void check(int status, const struct err *e)
{
    if (status < 0)
        fail_msg("%s", e->text);
}

static struct buf ask(struct world *w, uint16_t type, const struct buf *payload)
{
    struct buf reply;
    struct err e;

    assert_true(buf_ok(payload));
    buf_init(&reply, CHANNEL_FRAME_MAX);
    check(channel_ask(w->channel, type, buf_str(payload), &reply, &e), &e);
    return reply;
}

static void lease(struct world *w)
{
    struct buf nothing, reply;
    struct ic_lease l;

    buf_init(&nothing, 1);
    reply = ask(w, IC_LEASE, &nothing);
    assert_int_equal(ic_lease_decode(buf_str(&reply), &l, NULL), 0);
    buf_done(&reply);
    w->lease = l.base;
}

static void open_world(struct world *w)
{
    struct config_problems problems = {0};
    static const struct event event;
    struct buf text;
    struct err e;
    int ends[2];

    *w = (struct world){0};
    arena_init(&w->arena, 1 << 22);
    buf_init(&text, 4096);
    buf_printf(&text,
        "hostname = \"mail.example.test\"\ndata = \"%s\"\norigin = \"example.test\"\n"
        "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n"
        "spool { segment = \"16M\" reserve = \"16M\" }\n",
        directory);
    w->config = config_parse(buf_str(&text), &w->arena, &problems);
    if (!w->config)
        fail_msg("%.*s", STR_ARG(problems.v[0].text));
    buf_done(&text);
    check(core_open(&w->core, &sys_real, w->config, &event, &e), &e);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check(intake_open(&w->core, ends[0], CLASS_MX, &e), &e);
    check(channel_open(&w->channel, ends[1], "core", &handler, w, &e), &e);
    lease(w);
}

static void close_world(struct world *w)
{
    channel_close(&w->channel);
    core_close(&w->core);
    config_free(w->config);
    arena_done(&w->arena);
}

/* The result, of which the caller ends the reference; NULL where it was refused. */
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
    assert_true(buf_len(&reply) > 0);
    if (buf_str(&reply).p[0] == CONTROL_DONE)
        result = json_loadb(buf_str(&reply).p + 1, buf_len(&reply) - 1, JSON_DECODE_ANY, NULL);
    buf_done(&reply);
    return result;
}

static void must(struct world *w, const char *request)
{
    json_t *result = control(w, request);

    if (!result)
        fail_msg("refused: %s", request);
    json_decref(result);
}

static struct err commit_as(struct world *w, uint64_t id, const char *to, uint32_t upload,
    uint64_t before, struct str content, uint32_t crc)
{
    struct ic_recipient rcpt = {.address = str_c(to)};
    struct ic_commit c = {
        .upload = upload,
        .envelope = {.id = id, .reverse_path = STR("x@y.example"), .rcpt = &rcpt, .count = 1},
        .client = STR("192.0.2.1"),
        .helo = STR("y.example"),
        .protocol = STR("ESMTP"),
        .prefix = STR("Received: by test\r\n"),
        .content = content,
        .content_size = before + content.n,
        .content_crc = crc,
    };
    struct buf payload, reply;
    struct dec d;
    struct err e;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    ic_commit_encode(&c, &payload);
    reply = ask(w, IC_COMMIT, &payload);
    d = dec_of(buf_str(&reply));
    dec_err(&d, &e);
    assert_int_equal(dec_done(&d, "answer", NULL), 0);
    buf_done(&payload);
    buf_done(&reply);
    return e;
}

static struct err commit(struct world *w, const char *to, const char *content)
{
    return commit_as(w, w->lease | w->next++, to, 0, 0, str_c(content), crc32c(str_c(content)));
}

static size_t count_mail(struct world *w, const char *address)
{
    char request[256];
    json_t *page;
    size_t n;

    assert_int_equal(queue_wait_idle(w->core.queue, NULL), 0);
    snprintf(request, sizeof request, "{\"op\":\"mail.list\",\"address\":\"%s\"}", address);
    page = control(w, request);
    assert_non_null(page);
    n = json_array_size(json_object_get(page, "items"));
    json_decref(page);
    return n;
}

static void fill_directory(struct world *w)
{
    must(w, "{\"op\":\"domain.add\",\"domain\":\"example.test\"}");
    must(w, "{\"op\":\"account.add\",\"address\":\"alice@example.test\",\"password\":\"a\"}");
    must(w, "{\"op\":\"account.add\",\"address\":\"bob@example.test\",\"password\":\"b\"}");
    must(w, "{\"op\":\"alias.add\",\"address\":\"both@example.test\",\"targets\":"
            "[\"alice@example.test\",\"bob@example.test\"]}");
}

static void check_raw(struct world *w)
{
    static const char wanted[] =
        "Return-Path: <x@y.example>\r\nDelivered-To: alice@example.test\r\n"
        "Received: by test\r\nSubject: one\r\n\r\nbody\r\n";
    struct control c = {.config = w->config,
        .directory = w->core.stores.directory,
        .mailboxes = w->core.stores.mailboxes,
        .core = &w->core};
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    control_execute(
        &c, STR("{\"op\":\"mail.raw\",\"address\":\"alice@example.test\",\"uid\":1}"), &reply);
    assert_int_equal(buf_str(&reply).p[0], CONTROL_DONE);
    assert_int_equal(buf_len(&reply) - 1, sizeof wanted - 1);
    assert_memory_equal(buf_str(&reply).p + 1, wanted, sizeof wanted - 1);
    buf_done(&reply);
}

static void small_mail(struct world *w)
{
    struct err e = commit(w, "alice@example.test", "Subject: one\r\n\r\nbody\r\n");

    assert_int_equal(e.class, ERR_NONE);
    assert_int_equal(commit(w, "both@example.test", "Subject: two\r\n\r\n").class, ERR_NONE);
    assert_int_equal(count_mail(w, "alice@example.test"), 2);
    assert_int_equal(count_mail(w, "bob@example.test"), 1);
    check_raw(w);
}

static void what_is_wrong_is_refused(struct world *w)
{
    struct str content = STR("Subject: x\r\n\r\n");
    uint32_t crc = crc32c(content);
    uint64_t id = w->lease | w->next++;

    assert_int_equal(commit(w, "nobody@example.test", "x\r\n").class, ERR_PERMANENT);
    assert_int_not_equal(
        commit_as(w, w->lease + (1 << 24), "bob@example.test", 0, 0, content, crc).class, ERR_NONE);
    assert_int_not_equal(commit_as(w, id, "bob@example.test", 0, 1, content, crc).class, ERR_NONE);
    assert_int_not_equal(commit_as(w, id, "bob@example.test", 9, 0, content, crc).class, ERR_NONE);
    assert_int_not_equal(
        commit_as(w, id, "bob@example.test", 0, 0, content, crc + 1).class, ERR_NONE);
    assert_int_equal(count_mail(w, "bob@example.test"), 1);
}

static void put(struct world *w, uint32_t upload, struct str octets)
{
    struct ic_put p = {.upload = upload, .part = IC_CONTENT, .octets = octets};
    struct buf payload;
    struct err e;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    ic_put_encode(&p, &payload);
    assert_true(buf_ok(&payload));
    check(channel_notify(w->channel, IC_PUT, buf_str(&payload), &e), &e);
    buf_done(&payload);
}

/* As `size` octets in pieces, the rest with the commit. */
static void uploaded(struct world *w, uint32_t upload, size_t size)
{
    char *content = mem_alloc(size);
    size_t at = 0;
    struct err e;

    assert_non_null(content);
    for (size_t i = 0; i < size; i++)
        content[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'a';
    memcpy(content, "Subject: big\r\n\r\n", 16);
    while (size - at > PIECE) {
        put(w, upload, str_of(content + at, PIECE));
        at += PIECE;
    }
    e = commit_as(w, w->lease | w->next++, "bob@example.test", upload, at,
        str_of(content + at, size - at), crc32c(str_of(content, size)));
    if (e.class != ERR_NONE)
        fail_msg("%s", e.text);
    mem_free(content);
}

static void abort_upload(struct world *w, uint32_t upload)
{
    struct buf payload;
    struct err e;

    put(w, upload, STR("never wanted\r\n"));
    buf_init(&payload, 16);
    enc_u32(&payload, upload);
    check(channel_notify(w->channel, IC_ABORT, buf_str(&payload), &e), &e);
    buf_done(&payload);
}

static void large_mail(struct world *w)
{
    size_t before = count_mail(w, "bob@example.test");

    uploaded(w, 1, 3 * PIECE);
    uploaded(w, 2, BIG);
    abort_upload(w, 3);
    assert_int_equal(count_mail(w, "bob@example.test"), before + 2);
}

static struct str side(void)
{
    static char octets[60000];

    return str_of(octets, sizeof octets);
}

static void put_part(struct world *w, uint32_t upload, enum ic_part part, struct str octets)
{
    struct ic_put p = {.upload = upload, .part = part, .octets = octets};
    struct buf payload;
    struct err e;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    ic_put_encode(&p, &payload);
    assert_true(buf_ok(&payload));
    check(channel_notify(w->channel, IC_PUT, buf_str(&payload), &e), &e);
    buf_done(&payload);
}

/* DESIGN.md 2, Trust: an inbound that is broken takes a bounded amount of memory. */
static void digests_are_bounded(struct world *w)
{
    struct str content = STR("Subject: x\r\n\r\n");
    const unsigned uploads = 40, pieces = 30; /* 72 MB */
    unsigned refused = 0;

    for (unsigned u = 1; u <= uploads; u++)
        for (unsigned i = 0; i < pieces; i++)
            put_part(w, 100 + u, IC_DIGEST, side());
    for (unsigned u = 1; u <= uploads; u++)
        refused += commit_as(w, w->lease | w->next++, "bob@example.test", 100 + u, 0, content,
                       crc32c(content))
                       .class
                   == ERR_TEMPORARY;
    assert_true(refused > 0 && refused < uploads);
    uploaded(w, 99, 3 * PIECE); /* and all of it came back */
}

/* Leases one after the other are nobody's honest need: 2^24 ids are in one. */
static void leases_are_bounded(struct world *w)
{
    struct buf nothing, reply;
    struct ic_lease l;
    int given = 0;

    buf_init(&nothing, 1);
    for (int i = 0; i < 5; i++) {
        reply = ask(w, IC_LEASE, &nothing);
        given += ic_lease_decode(buf_str(&reply), &l, NULL) == 0;
        buf_done(&reply);
    }
    assert_true(given < 3);
}

/* hostile.md 174 */
static void odd_requests_are_refused(struct world *w)
{
    static const char *const odd[] = {"", "[]", "{", "{\"op\":5}", "{\"op\":\"fly\"}", "{}",
        "{\"op\":\"mail.find\",\"address\":\"bob@example.test\",\"uid\":4294967297}",
        "{\"op\":\"mail.raw\",\"address\":\"bob@example.test\",\"uid\":4294967297}",
        "{\"op\":\"account.add\",\"address\":\"x@example.test\",\"password\":[]}"};
    static char deep[50000];

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_null(control(w, odd[i]));
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_null(control(w, deep));
    must(w, "{\"op\":\"account.show\",\"address\":\"bob@example.test\",\"x\":\"[[[[[[[\"}");
}

static void reload(struct world *w, const char *more)
{
    struct config_problems problems = {0};
    struct config *before = w->config;
    struct buf text;

    buf_init(&text, 4096);
    buf_printf(&text,
        "hostname = \"mail.example.test\"\ndata = \"%s\"\norigin = \"example.test\"\n"
        "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n%s\n",
        directory, more);
    w->config = config_parse(buf_str(&text), &w->arena, &problems);
    if (!w->config)
        fail_msg("%.*s", STR_ARG(problems.v[0].text));
    buf_done(&text);
    core_reconfigure(&w->core, w->config);
    config_free(before);
}

/* The role gives the configuration before up: nothing of it is held on to. */
static void reloaded(struct world *w)
{
    size_t bob = count_mail(w, "bob@example.test"), alice = count_mail(w, "alice@example.test");

    reload(w, "postmaster = \"bob@example.test\"");
    assert_int_equal(commit(w, "postmaster@example.test", "x: y\r\n\r\n").class, ERR_NONE);
    assert_int_equal(count_mail(w, "bob@example.test"), bob + 1);
    reload(w, "postmaster = \"alice@example.test\"\nqueue { hold = yes }");
    assert_int_equal(commit(w, "postmaster@example.test", "x: y\r\n\r\n").class, ERR_NONE);
    assert_int_equal(count_mail(w, "alice@example.test"), alice);
    reload(w, "postmaster = \"bob@example.test\"");
    assert_int_equal(count_mail(w, "alice@example.test"), alice + 1);
}

static void life(void *arg)
{
    struct world w;

    (void)arg;
    open_world(&w);
    fill_directory(&w);
    small_mail(&w);
    what_is_wrong_is_refused(&w);
    large_mail(&w);
    leases_are_bounded(&w);
    close_world(&w);

    open_world(&w);
    assert_int_equal(count_mail(&w, "alice@example.test"), 2);
    assert_int_equal(count_mail(&w, "bob@example.test"), 3);
    assert_int_equal(commit(&w, "bob@example.test", "Subject: later\r\n\r\n").class, ERR_NONE);
    assert_int_equal(count_mail(&w, "bob@example.test"), 4);
    odd_requests_are_refused(&w);
    reloaded(&w);
    digests_are_bounded(&w);
    close_world(&w);
    run_stop();
}

static void test_life(void **state)
{
    struct scope scope;
    struct err e;

    (void)state;
    assert_int_equal(temp_dir_make(directory, sizeof directory, NULL, "core"), 0);
    check(run_open(&e), &e);
    scope_init(&scope);
    check(fiber_start(&scope, "test", life, NULL, &e), &e);
    run_loop();
    scope_join(&scope);
    run_close();
    assert_int_equal(temp_dir_remove(directory), 0);
}

int main(void)
{
    static const uint8_t key[16] = {1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
    };
    table_seed(key);
    log_open(&(struct log_settings){.fd = 2, .level = LOG_WARNING, .process = "test"});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
