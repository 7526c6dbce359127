/* What a dialogue cannot show: batches, memory, limits of frames, ends. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#include "mail/digest.h"

#include "run/run_test.h"

#include "inbound/events.h"
#include "inbound/smtp/rig.h"

static struct rig rig;

static void say(const char *octets, const char *code)
{
    struct str reply;

    rig_send(&rig, str_c(octets), false);
    reply = rig_reply(&rig);
    if (!reply.p || !str_starts(reply, str_c(code)))
        fail_msg("%s: %.*s, not %s", octets, STR_ARG(reply), code);
}

static void expect(unsigned times, const char *code)
{
    for (unsigned i = 0; i < times; i++) {
        struct str reply = rig_reply(&rig);
        if (!reply.p || !str_starts(reply, str_c(code)))
            fail_msg("reply %u: %.*s, not %s", i, STR_ARG(reply), code);
    }
}

static void begin(const char *options)
{
    rig_open(&rig, options, PROTOCOL_SMTP);
    rig_connect(&rig, "192.0.2.1:25");
    expect(1, "220");
    say("EHLO client.example\r\n", "250");
}

static struct stub_message *take(void)
{
    struct stub_message *m = stub_core_take(&rig.core);

    assert_non_null(m);
    return m;
}

/* Recipients that come in one segment are asked for in one frame, and answered in one. */
FIBER_TEST(test_recipients_together)
{
    struct buf commands;
    struct str seen;

    begin("");
    buf_init(&commands, 1 << 20);
    buf_put(&commands, STR("MAIL FROM:<a@b.example>\r\n"));
    for (int i = 0; i < 100; i++)
        buf_printf(&commands, "RCPT TO:<box%d@here.example>\r\n", i);
    buf_put(&commands, STR("DATA\r\n"));
    rig_send(&rig, buf_str(&commands), false);
    expect(1, "250 2.1.0");
    seen = stream_input(rig.client); /* the replies left in one write */
    assert_true(str_ends(seen, STR("<CRLF>.<CRLF>\r\n")));
    expect(100, "250 2.1.5");
    expect(1, "354");
    assert_int_equal(rig.core.frames_of_rcpt, 1);
    say("x\r\n.\r\n", "250 2.0.0 queued as ");
    stub_message_free(take());
    buf_done(&commands);
    rig_close(&rig);
}

/* 1,000 recipients with the longest addresses do not fit a frame: they travel before it. */
FIBER_TEST(test_recipients_beyond_a_frame)
{
    struct buf line;
    struct stub_message *m;
    static char domain[190];

    begin("");
    memset(domain, 'x', sizeof domain - 1);
    for (size_t i = 60; i < sizeof domain - 1; i += 61)
        domain[i] = '.';
    say("MAIL FROM:<a@b.example>\r\n", "250");
    buf_init(&line, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        buf_clear(&line);
        buf_printf(
            &line, "RCPT TO:<box%04d%.40s@here.example> ORCPT=rfc822;%s@x\r\n", i, domain, domain);
        say(arena_printf(&rig.arena, "%.*s", STR_ARG(buf_str(&line))).p, "250 2.1.5");
    }
    say("RCPT TO:<user@here.example>\r\n", "452 4.5.3"); /* RFC 9422 */
    say("DATA\r\n", "354");
    say("x\r\n.\r\n", "250 2.0.0");
    m = take();
    assert_int_equal(m->commit.envelope.count, 1000);
    assert_true(str_starts(m->commit.envelope.rcpt[999].address, STR("box0999")));
    assert_true(m->commit.upload != 0);
    stub_message_free(m);
    buf_done(&line);
    rig_close(&rig);
}

/* What does not fit a frame is PUT while it comes; digest, size and checksum are of all of it. */
FIBER_TEST(test_content_sizes)
{
    static const size_t sizes[] = {
        0, 1000, 50000, 61380, 61390, 61432, 65536, 70000, 122880, 1000000, 12582912};
    static char line[62];

    begin("");
    memset(line, 'x', 60);
    memcpy(line + 60, "\r\n", 2);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct stub_message *m;
        struct digest d;
        size_t sent = 0;
        say("MAIL FROM:<a@b.example>\r\nRCPT TO:<user@here.example>\r\nDATA\r\n", "250");
        expect(1, "250");
        expect(1, "354");
        rig_send(&rig, STR("Subject: s\r\n\r\n"), false);
        for (; sent < sizes[i]; sent += sizeof line)
            (void)stream_write(rig.client, str_of(line, sizeof line), NULL);
        say(".\r\n", "250 2.0.0");
        m = take();
        assert_int_equal(m->commit.content_size, 14 + sent);
        assert_int_equal(digest_open(buf_str(&m->digest), &d, NULL), 0);
        assert_int_equal(d.size, 14 + sent);
        assert_int_equal(m->commit.upload != 0, 14 + sent > IC_PUT_MAX);
        stub_message_free(m);
    }
    assert_true(rig.core.largest_frame <= CHANNEL_FRAME_MAX);
    assert_true(list_empty(&rig.core.uploads));
    rig_close(&rig);
}

/* A message that is refused, or whose client goes, leaves nothing with core. */
FIBER_TEST(test_uploads_are_aborted)
{
    static const char *const ends[] = {"\n\r\n.\r\n", NULL};

    for (int way = 0; way < 2; way++) {
        begin("");
        say("MAIL FROM:<a@b.example>\r\nRCPT TO:<fwd@here.example>\r\nDATA\r\n", "250");
        expect(1, "250");
        expect(1, "354");
        for (int i = 0; i < 200000; i++)
            (void)stream_write(rig.client, STR("y\r\n"), NULL);
        (void)stream_flush(rig.client, NULL);
        while (list_empty(&rig.core.uploads))
            rig_turns(&rig, 1);
        if (ends[way])
            say(ends[way], "554 5.6.0");
        else
            rig_disconnect(&rig);
        while (!list_empty(&rig.core.uploads))
            rig_turns(&rig, 1);
        assert_int_equal(rig.core.aborts, 1);
        assert_int_equal(rig.core.commits, 0);
        rig_close(&rig);
    }
}

/* An end of file within content is no end of content: hostile.md 180. */
FIBER_TEST(test_end_of_file)
{
    static const char *const tails[] = {"", "\r\n.", "\r\n.\r"};

    for (int i = 0; i < 3; i++) {
        begin("");
        say("MAIL FROM:<a@b.example>\r\nRCPT TO:<user@here.example>\r\nDATA\r\n", "250");
        expect(1, "250");
        expect(1, "354");
        rig_send(&rig, STR("text"), false);
        rig_send(&rig, str_c(tails[i]), false);
        assert_int_equal(stream_shutdown_write(rig.client, NULL), 0);
        assert_true(rig_closed(&rig));
        assert_int_equal(rig.core.commits, 0);
        rig_close(&rig);
    }
}

/* A client that never reads is given up: hostile.md 24. */
FIBER_TEST(test_never_reading)
{
    uint64_t begun;

    begin("limits { junk-commands = 0 command-timeout = 1s }");
    begun = run_now();
    while (smtp_service_sessions(rig.service)) {
        char noops[6 * 100];
        for (size_t i = 0; i < sizeof noops; i += 6)
            memcpy(noops + i, "NOOP\r\n", 6);
        if (send(stream_fd(rig.client), noops, sizeof noops, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            assert_int_equal(fiber_sleep(20, NULL), 0);
        assert_true(run_now() - begun < 15000);
    }
    assert_int_equal(rig.core.released, 1);
    rig_close(&rig);
}

/* Idle sessions give back everything they can, and are there when something comes. */
FIBER_TEST(test_parked)
{
    begin("");
    assert_int_equal(fiber_sleep(700, NULL), 0);
    say("NOOP\r\n", "250");
    say("MAIL FROM:<a@b.example>\r\n", "250");
    assert_int_equal(fiber_sleep(700, NULL), 0);
    say("RCPT TO:<user@here.example>\r\n", "250");
    say("DATA\r\n", "354");
    say("x\r\n.\r\n", "250 2.0.0");
    stub_message_free(take());
    assert_int_equal(fiber_sleep(700, NULL), 0);
    smtp_service_drain(rig.service);
    expect(1, "421 4.3.2");
    assert_true(rig_closed(&rig));
    rig_close(&rig);
}

/* Who does not end by himself is ended at stop_at; what has been answered stays. */
FIBER_TEST(test_stop)
{
    uint64_t begun;

    begin("");
    say("MAIL FROM:<a@b.example>\r\nRCPT TO:<user@here.example>\r\nDATA\r\n", "250");
    expect(1, "250");
    expect(1, "354");
    begun = run_now();
    smtp_service_drain(rig.service);
    smtp_service_stop_at(rig.service, run_now() + 300);
    smtp_service_close(&rig.service);
    assert_true(run_now() - begun >= 300 && run_now() - begun < 5000);
    expect(1, "421 4.3.2");
    assert_int_equal(rig.core.commits, 0);
    assert_int_equal(rig.core.released, 1);
    assert_int_equal(smtp_service_open(&rig.service, rig.config, &rig.link, &rig.event, NULL), 0);
    rig_close(&rig);
}

/* ---- without memory */

/* Lets the service run with its n-th allocation from now failing; core's and the client's do not
 * count. */
static void turns_without(unsigned turns)
{
    while (turns--) {
        uint64_t counted;
        mem_fail_at(rig.core.fail_at);
        assert_int_equal(fiber_yield(NULL), 0);
        counted = mem_fail_at(0);
        rig.core.fail_at -= counted < rig.core.fail_at ? counted : rig.core.fail_at;
    }
}

struct heard {
    unsigned replies, code; /* whole ones; of the last */
    bool closed;
};

static struct heard hear(int fd)
{
    static char text[65536];
    struct heard h = {0};
    struct str rest, line;
    ssize_t got;

    turns_without(15);
    got = recv(fd, text, sizeof text, MSG_DONTWAIT);
    h.closed = got == 0;
    rest = str_of(text, got > 0 ? (size_t)got : 0);
    while (!str_empty(rest)) {
        uint64_t code = 0;
        str_cut(&rest, '\n', &line);
        assert_true(line.n > 4 && str_to_u64(str_head(line, 3), 599, &code));
        h.replies += line.p[3] == ' ';
        h.code = (unsigned)code;
    }
    h.closed |= h.code == 421;
    return h;
}

static const struct {
    const char *octets;
    unsigned replies;
} dialogue[] = {
    {"", 1},
    {"EHLO client.example\r\n", 1},
    {"MAIL FROM:<a@b.example> ENVID=x\r\nRCPT TO:<user@here.example>\r\n"
     "RCPT TO:<no@here.example>\r\n",
        3},
    {"DATA\r\n", 1},
    {"Subject: x\r\nReturn-Path: <x@y>\r\n\r\nx\r\n.\r\n", 1},
    {"RSET\r\n", 1},
    {"MAIL FROM:<a@b.example>\r\nRCPT TO:<user@here.example>\r\nBDAT 3 LAST\r\na\r\n", 3},
};

/* A dialogue in which the n-th allocation fails. False if it had not so many. */
static bool dialogue_without(uint64_t n)
{
    struct net_address peer;
    struct heard h = {0};
    int pair[2];
    uint64_t counted;

    assert_int_equal(net_parse(STR("192.0.2.1:25"), &peer, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    mem_fail_at(rig.core.fail_at = n);
    smtp_accept(&rig.listener, pair[0], &peer);
    counted = mem_fail_at(0);
    rig.core.fail_at -= counted < n ? counted : n;
    for (size_t i = 0; i < sizeof dialogue / sizeof *dialogue && !h.closed; i++) {
        struct str octets = str_c(dialogue[i].octets);
        if (i == 4 && h.code != 354) /* content is content only where it was asked for */
            continue;
        (void)!send(pair[1], octets.p, octets.n, MSG_NOSIGNAL);
        h = hear(pair[1]);
        if (!h.closed && h.replies != dialogue[i].replies)
            fail_msg("allocation %llu: %u replies to %s", (unsigned long long)n, h.replies,
                dialogue[i].octets);
    }
    close(pair[1]);
    while (smtp_service_sessions(rig.service))
        turns_without(1);
    return rig.core.fail_at == 0;
}

/* Each allocation of a session fails once: 4xx or the end of the session, one reply a command. */
FIBER_TEST(test_without_memory)
{
    struct stub_message *m;
    uint64_t n = 0;
    unsigned messages = 0;

    rig_open(&rig, "", PROTOCOL_SMTP);
    while (dialogue_without(++n) && n < 2000) {
        if (!core_link_up(&rig.link))
            rig_core_back(&rig);
        while ((m = stub_core_take(&rig.core))) {
            messages++;
            stub_message_free(m);
        }
    }
    printf(
        "%llu allocations failed, %u messages came through\n", (unsigned long long)n - 1, messages);
    assert_true(n > 20 && n < 2000 && messages > 0);
    rig_close(&rig);
}

/* Each name once, with a sentence. */
static void test_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < inbound_event_count; i++) {
        assert_true(strlen(inbound_events[i].meaning) > 10);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(inbound_events[i].name, inbound_events[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipients_together),
        cmocka_unit_test(test_recipients_beyond_a_frame),
        cmocka_unit_test(test_content_sizes),
        cmocka_unit_test(test_uploads_are_aborted),
        cmocka_unit_test(test_end_of_file),
        cmocka_unit_test(test_never_reading),
        cmocka_unit_test(test_parked),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
