#include "core/control/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"

#include "io/net.h"

#include "ipc/channel.h"
#include "ipc/control.h"

#include "core/control/control.h"
#include "core/core.h"

enum {
    CONNECTIONS_MAX = 64
};

struct control_server {
    struct core *core;
    struct listener *listener;
    struct list connections;
    struct scope scope;
    uint32_t count;
};

struct connection {
    struct list link;
    struct control_server *server;
    struct channel *channel;
    bool busy, closed;
};

struct request {
    struct connection *connection;
    struct channel_call from;
    struct buf text;
};

static void connection_free(struct connection *c)
{
    channel_close(&c->channel);
    list_remove(&c->link);
    c->server->count--;
    mem_free(c);
}

static void request_fiber(void *arg)
{
    struct request *r = arg;
    struct connection *c = r->connection;
    struct core *core = c->server->core;
    struct control control = {
        .config = core->config,
        .directory = core->stores.directory,
        .mailboxes = core->stores.mailboxes,
        .hashing = core->stores.hashing,
        .core = core,
    };
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    control_execute(&control, buf_str(&r->text), &reply);
    channel_reply(r->from, buf_str(&reply));
    buf_done(&reply);
    buf_done(&r->text);
    mem_free(r);
    c->busy = false;
    if (c->closed)
        connection_free(c);
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct connection *c = arg;
    struct request *r;

    if (fd >= 0)
        close(fd);
    if (!from.call)
        return false;
    r = type == CONTROL_REQUEST && !c->busy ? MEM_NEW(struct request) : NULL;
    if (!r) {
        channel_reply(from, STR("\1one request at a time"));
        return false;
    }
    r->connection = c;
    r->from = from;
    buf_init(&r->text, CHANNEL_FRAME_MAX);
    c->busy = true;
    if (buf_put(&r->text, payload) == 0 &&
        fiber_start(&c->server->scope, "control", request_fiber, r, NULL) == 0)
        return false;
    c->busy = false;
    buf_done(&r->text);
    mem_free(r);
    channel_reply(from, STR("\2out of memory"));
    return false;
}

static void close_fiber(void *arg)
{
    connection_free(arg);
}

/* The channel may not be closed from within its own callback's stack by its owner's rules: a fiber
 * does it, or the request that still runs. */
static void on_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct connection *c = arg;

    (void)channel;
    (void)why;
    c->closed = true;
    if (!c->busy && fiber_start(&c->server->scope, "control-close", close_fiber, c, NULL) < 0)
        log_error(c->server->core->event, "out_of_memory");
}

static bool allowed(const struct control_server *s, int fd, uint32_t *uid)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t n = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return false;
    *uid = peer.uid;
    return peer.uid == 0 || peer.uid == s->core->uid;
}

static void on_accept(void *arg, int fd, const struct net_address *peer)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct control_server *s = arg;
    struct connection *c;
    uint32_t uid = 0;
    struct err e;

    (void)peer;
    if (!allowed(s, fd, &uid) || s->count == CONNECTIONS_MAX || !(c = MEM_NEW(struct connection))) {
        log_warning(s->core->event, "control_refused", kv_u64("uid", uid));
        close(fd);
        return;
    }
    c->server = s;
    if (channel_open(&c->channel, fd, "control", &handler, c, &e) < 0) {
        log_warning(s->core->event, "control_refused", kv_err(&e));
        mem_free(c);
        return;
    }
    list_add(&s->connections, &c->link);
    s->count++;
}

int control_server_open(struct control_server **out, struct core *core, int fd, struct err *e)
{
    struct control_server *s = MEM_NEW(struct control_server);

    if (!s) {
        close(fd);
        return err_memory(e, "control");
    }
    s->core = core;
    scope_init(&s->scope);
    list_init(&s->connections);
    if (listener_open(&s->listener, fd, on_accept, s, e) < 0) {
        mem_free(s);
        return -1;
    }
    *out = s;
    return 0;
}

void control_server_close(struct control_server **out)
{
    struct control_server *s = *out;

    if (!s)
        return;
    listener_close(&s->listener);
    scope_join(&s->scope);
    while (!list_empty(&s->connections))
        connection_free(LIST_FIRST(&s->connections, struct connection, link));
    mem_free(s);
    *out = NULL;
}
