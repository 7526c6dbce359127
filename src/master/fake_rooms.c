#include "master/fake_rooms.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#include "io/stream.h"

#include "ipc/channel.h"
#include "ipc/note.h"

#include "master/rooms.h"

enum {
    LINE_MAX_OCTETS = 100,
    ASK_WHO = 1, /* nothing -> its pid */
    CLIENTS_MAX = 64,
};

static struct {
    struct role *role;
    struct scope sessions;
    struct cond changed;
    struct listener *listeners[16];
    unsigned listener_count, open;
    bool ending;
    struct channel *servers[ROLE_KINDS]; /* whom we ask */
    struct client {
        enum role_kind kind;
        struct channel *channel;
    } clients[CLIENTS_MAX]; /* who asks us */
    uint32_t reloads;
    char bans[200];
    uint64_t quarantined;
    unsigned quarantines;
} here;

/* ---- channels */

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    char text[32];

    (void)arg;
    (void)type;
    (void)payload;
    (void)fd;
    snprintf(text, sizeof text, "%d", (int)getpid());
    if (from.call)
        channel_reply(from, str_c(text));
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    struct channel **slot = arg;

    (void)c;
    (void)why;
    channel_close(slot);
}

static const struct channel_handler peer_handler = {on_frame, on_closed};

static void on_peer(void *arg, const struct role_peer *peer, int fd)
{
    bool asks_us = here.role->kind == ROLE_RESOLVER ||
                   (here.role->kind == ROLE_CORE && peer->kind != ROLE_RESOLVER);
    struct channel **slot = &here.servers[peer->kind];
    struct client *client = here.clients;

    (void)arg;
    if (asks_us) {
        while (client->channel && client < here.clients + CLIENTS_MAX - 1)
            client++;
        client->kind = peer->kind;
        slot = &client->channel;
    } else {
        channel_close(slot);
    }
    channel_open(slot, fd, role_kind_name(peer->kind), &peer_handler, slot, NULL);
}

static void finish(void *arg)
{
    (void)arg;
    here.ending = true;
    while (here.listener_count)
        listener_close(&here.listeners[--here.listener_count]);
    cond_wake_all(&here.changed);
}

static void on_reload(void *arg)
{
    (void)arg;
    here.reloads++;
}

static void on_ban(void *arg, const struct role_ban *ban)
{
    struct net_address a;
    struct buf text;

    (void)arg;
    buf_init(&text, 100);
    net_from_octets(ban->address, 0, &a);
    net_format_ip(&a, &text);
    snprintf(here.bans + strlen(here.bans), sizeof here.bans - strlen(here.bans), " %.*s%s %s",
        STR_ARG(buf_str(&text)), ban->network ? "/64" : "",
        ban->left_ms > 0 && ban->left_ms <= 3600000 ? "an-hour" : "not-an-hour");
    buf_done(&text);
}

/* The first core that hears of it dies; the next one holds the message. */
static void on_quarantine(void *arg, uint64_t message)
{
    (void)arg;
    if (here.role->restarts == 0)
        raise(SIGKILL);
    here.quarantined = message;
    here.quarantines++;
    role_quarantined(here.role, message);
}

static const struct role_handler role_events = {.on_peer = on_peer,
    .on_reload = on_reload,
    .on_drain = finish,
    .on_stop = finish,
    .on_ban = on_ban,
    .on_quarantine = on_quarantine};

/* ---- sessions */

/* " core 4711", as it says itself; -1 where nobody answers. */
static void put_server(struct buf *out, enum role_kind kind)
{
    struct channel *server = here.servers[kind];
    struct buf pid;

    buf_init(&pid, 100);
    if (!server || channel_ask(server, ASK_WHO, STR_NONE, &pid, NULL) < 0)
        buf_put(&pid, STR("-1"));
    buf_printf(out, " %s %.*s", role_kind_name(kind), STR_ARG(buf_str(&pid)));
    buf_done(&pid);
}

static unsigned count_clients(enum role_kind kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        n += here.clients[i].channel && here.clients[i].kind == kind;
    return n;
}

/* "die 192.0.2.1:25 77": of that client, at that message, after others have run in between. */
static void die(struct str line)
{
    struct note note = {.stage = NOTE_CONTENT};
    struct net_address a;
    struct str word;

    str_cut(&line, ' ', &word);
    str_cut(&line, ' ', &word);
    if (net_parse(word, &a, NULL) == 0)
        net_octets(&a, note.client);
    str_to_u64(line, UINT64_MAX, &note.message);
    note_set(&note);
    if (fiber_yield(NULL) == 0)
        abort();
}

static int answer_client(struct stream *s, struct str line, struct err *e)
{
    struct buf servers;

    if (str_eq(line, STR("crash")))
        raise(SIGKILL);
    if (str_starts(line, STR("die ")))
        die(line);
    if (str_eq(line, STR("misbehave")))
        return open("/etc/passwd", 0) < 0 && errno == EACCES ? stream_write(s, STR("EACCES\n"), e)
                                                             : stream_write(s, STR("open\n"), e);
    buf_init(&servers, 200);
    put_server(&servers, ROLE_CORE);
    put_server(&servers, ROLE_RESOLVER);
    stream_printf(s, e, "inbound %s %u generation %u pid %d%.*s\r\n",
        role_class_name(here.role->class), here.role->index, here.role->generation, (int)getpid(),
        STR_ARG(buf_str(&servers)));
    buf_done(&servers);
    return stream_flush(s, e);
}

static void put_status(struct buf *out, struct err *e)
{
    struct role_process *v;
    struct arena arena;
    uint32_t count;

    arena_init(&arena, 1 << 20);
    if (role_ask_status(here.role, &arena, &v, &count, e) == 0)
        for (uint32_t i = 0; i < count; i++)
            buf_printf(out, "%s%s:%u:%u:%u ", v[i].role, role_class_name(v[i].class), v[i].index,
                v[i].generation, v[i].restarts);
    arena_done(&arena);
}

static int answer_control(struct stream *s, struct str line, struct err *e)
{
    struct buf text;
    int result;

    buf_init(&text, 60000);
    if (str_eq(line, STR("reload"))) {
        result = role_ask_reload(here.role, &text, e);
        if (result == 0)
            buf_printf(
                &text, "live %u %" PRIu64, here.reloads, here.role->config->limits.recipients);
    } else if (str_eq(line, STR("stop"))) {
        role_ask_stop(here.role, e);
        buf_put(&text, STR("stopping"));
    } else if (str_eq(line, STR("status"))) {
        put_status(&text, e);
    } else if (str_eq(line, STR("verdicts"))) {
        buf_printf(&text, "%u restarts, banned:%s, quarantine: %" PRIu64 " told %u",
            here.role->restarts, here.bans, here.quarantined, here.quarantines);
    } else if (str_eq(line, STR("peers"))) {
        put_server(&text, ROLE_RESOLVER);
        buf_printf(&text, " outbound %u", count_clients(ROLE_OUTBOUND));
    }
    stream_write(s, buf_str(&text), e);
    buf_done(&text);
    stream_write(s, STR("\r\n"), e);
    return stream_flush(s, e);
}

static void session(void *arg)
{
    struct stream *s = arg;
    struct str line;
    struct err e;

    while (stream_read_line(s, LINE_MAX_OCTETS, &line, &e) == 0)
        if ((here.role->kind == ROLE_CORE ? answer_control : answer_client)(s, line, &e) < 0)
            break;
    stream_close(&s);
    here.open--;
    cond_wake_all(&here.changed);
}

static void on_connection(void *arg, int fd, const struct net_address *peer)
{
    struct stream *s;

    (void)arg;
    (void)peer;
    if (stream_open(&s, fd, NULL) < 0)
        return;
    here.open++;
    if (fiber_start(&here.sessions, "session", session, s, NULL) < 0)
        stream_close(&s);
}

static int listen_on(int fd, struct err *e)
{
    return listener_open(&here.listeners[here.listener_count++], fd, on_connection, NULL, e);
}

/* ---- rooms */

static int prepare(struct role *r, struct err *e)
{
    char path[300];

    snprintf(path, sizeof path, "%.*s/fail-%s", STR_ARG(r->config->data), role_kind_name(r->kind));
    if (access(path, F_OK) == 0)
        return err_set(e, ERR_PERMANENT, "test", "%s: told to fail", path);
    return 0;
}

static int run(struct role *r, struct err *e)
{
    here.role = r;
    scope_init(&here.sessions);
    cond_init(&here.changed);
    for (uint32_t i = 0; i < r->listener_count; i++)
        if (listen_on(r->listeners[i].fd, e) < 0)
            return -1;
    if (r->control_fd >= 0 && listen_on(r->control_fd, e) < 0)
        return -1;
    role_serve(r, &role_events, NULL);
    role_ready(r);
    while (!here.ending || (here.open && r->kind == ROLE_INBOUND)) {
        uint64_t before = fiber_deadline_shorten(r->stop_at);
        int result = cond_wait(&here.changed, "the end", NULL);
        fiber_deadline_restore(before);
        if (result < 0 && run_now_fresh() >= r->stop_at)
            break;
    }
    return 0;
}

const struct role_room role_rooms[ROLE_KINDS] = {
    {prepare, run}, {prepare, run}, {prepare, run}, {prepare, run}};
