#include "inbound/smtp/rig.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/table.h"

#include "wire/smtp_reply.h"

enum {
    REPLY_TIMEOUT_MS = 20000
};

static struct config *make_config(struct rig *r, const char *options, const char *protocol)
{
    struct config_problems problems = {0};
    struct str text = arena_printf(&r->arena,
        "hostname = \"mx.here.example\"\ndata = \"/nonexistent\"\n%s\n"
        "listen \"test\" { protocol = %s address = {\"127.0.0.1:2525\"} }\n",
        options, protocol);
    struct config *c = config_parse(text, &r->arena, &problems);

    for (uint32_t i = 0; i < problems.count; i++)
        fprintf(stderr, "line %u: %.*s\n", problems.v[i].line, STR_ARG(problems.v[i].text));
    CHECK(c);
    return c;
}

void rig_open(struct rig *r, const char *options, enum config_protocol protocol)
{
    static const char *const names[] = {[PROTOCOL_SMTP] = "smtp",
        [PROTOCOL_SUBMISSION] = "submission",
        [PROTOCOL_IMAP] = "imap",
        [PROTOCOL_POP3] = "pop3",
        [PROTOCOL_LMTP] = "lmtp"};

    table_seed((const uint8_t[16]){0});
    *r = (struct rig){0};
    arena_init(&r->arena, 256 << 20);
    r->config = make_config(r, options, names[protocol]);
    scope_init(&r->scope);
    stub_core_init(&r->core, r->config);
    core_link_init(&r->link, &r->event);
    rig_core_back(r);
    CHECK(smtp_service_open(&r->service, r->config, &r->link, &r->event, NULL) == 0);
    r->listener = (struct smtp_listener){
        .service = r->service, .title = r->config->listen[0].title, .protocol = protocol};
}

void rig_close(struct rig *r)
{
    rig_disconnect(r);
    smtp_service_drain(r->service);
    smtp_service_close(&r->service);
    core_link_close(&r->link);
    stub_core_done(&r->core);
    config_free(r->config);
    arena_done(&r->arena);
}

void rig_connect(struct rig *r, const char *peer)
{
    struct net_address address;
    int pair[2];

    rig_disconnect(r);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    if (peer)
        CHECK(net_parse(str_c(peer), &address, NULL) == 0);
    else
        address = (struct net_address){.len = sizeof(sa_family_t), .any = {.sa_family = AF_UNIX}};
    CHECK(stream_open(&r->client, pair[1], NULL) == 0);
    smtp_accept(&r->listener, pair[0], &address);
}

void rig_disconnect(struct rig *r)
{
    stream_close(&r->client);
}

void rig_core_away(struct rig *r)
{
    stub_core_stop(&r->core);
    while (core_link_up(&r->link))
        CHECK(fiber_yield(NULL) == 0);
}

void rig_core_back(struct rig *r)
{
    CHECK(core_link_attach(&r->link, stub_core_start(&r->core), NULL) == 0);
}

void rig_turns(struct rig *r, unsigned turns)
{
    (void)r;
    while (turns--)
        CHECK(fiber_yield(NULL) == 0);
}

/* The server may have ended the connection: what comes of it is seen in the replies. */
void rig_send(struct rig *r, struct str octets, bool one_by_one)
{
    for (size_t i = 0; one_by_one && i < octets.n; i++) {
        (void)stream_write(r->client, str_sub(octets, i, 1), NULL);
        (void)stream_flush(r->client, NULL);
        rig_turns(r, 1);
    }
    if (one_by_one)
        return;
    (void)stream_write(r->client, octets, NULL);
    (void)stream_flush(r->client, NULL);
}

struct str rig_reply(struct rig *r)
{
    uint64_t before = fiber_deadline_shorten(run_now() + REPLY_TIMEOUT_MS);
    struct smtp_reply reply = {0};
    struct buf lines;
    struct str line, text, result = STR_NONE;
    int more = 1;

    buf_init(&lines, 1 << 20);
    while (more == 1 && stream_read_line(r->client, SMTP_REPLY_READ_LINE_MAX, &line, NULL) == 0) {
        more = smtp_reply_feed(&reply, line, &text, NULL);
        CHECK(more >= 0 && line.n + 2 <= SMTP_REPLY_LINE_MAX);
        for (size_t i = 0; i < line.n; i++)
            CHECK(line.p[i] >= 32 && line.p[i] < 127);
        if (buf_len(&lines))
            buf_put_c(&lines, '\n');
        buf_put(&lines, line);
    }
    if (more == 0)
        CHECK(arena_dup(&r->arena, buf_str(&lines), &result));
    buf_done(&lines);
    fiber_deadline_restore(before);
    return result;
}

bool rig_closed(struct rig *r)
{
    uint64_t before = fiber_deadline_shorten(run_now() + REPLY_TIMEOUT_MS);
    struct err e = {0};
    bool closed = stream_fill(r->client, &e) < 0 && e.class == ERR_CLOSED &&
                  str_empty(stream_input(r->client));

    fiber_deadline_restore(before);
    return closed;
}
