#include "cmd/client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "io/net.h"

#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/control.h"

#include "cmd/print.h"
#include "core/control/control.h"
#include "core/offline.h"
#include "master/identity.h"
#include "master/layout.h"

enum {
    REPLY_MAX = CHANNEL_FRAME_MAX,
    WAIT_MS = 60000,
};

struct client {
    struct cmd *cmd;
    struct config *config;
    enum client_need need;
    client_fn *fn;
    void *arg;
    int status;

    struct channel *channel; /* to a running server, or NULL */
    bool lost;
    struct offline *offline; /* else this */
};

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    (void)arg;
    (void)from;
    (void)type;
    (void)payload;
    if (fd >= 0)
        close(fd);
    return false;
}

static void on_closed(void *arg, struct channel *channel, const struct err *why)
{
    struct client *client = arg;

    (void)channel;
    (void)why;
    client->lost = true;
}

static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};

/* 1: connected; 0: nobody is there; -1: cannot talk to whoever is there. */
static int connect_control(struct client *client, struct err *e)
{
    struct net_address a;
    struct buf path;
    int fd, error, parsed;

    buf_init(&path, 4096);
    buf_printf(&path, "unix:%.*s/control", STR_ARG(client->config->runtime));
    parsed = buf_ok(&path) ? net_parse(buf_str(&path), &a, e) : err_memory(e, "cmd");
    buf_done(&path);
    if (parsed < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_os(e, errno, "cmd", "socket");
    if (connect(fd, &a.any, a.len) < 0) {
        error = errno;
        close(fd);
        if (error == ENOENT || error == ECONNREFUSED)
            return 0;
        return err_os(e, error, "cmd", "%.*s/control: cannot connect to the server",
            STR_ARG(client->config->runtime));
    }
    return channel_open(&client->channel, fd, "control", &handler, client, e) < 0 ? -1 : 1;
}

static int open_either(struct client *client, struct err *e)
{
    int connected = connect_control(client, e);

    if (connected > 0 && client->need == CLIENT_ADOPT)
        return err_set(e, ERR_PERMANENT, "cmd", "a server runs on %.*s: it is in use already",
            STR_ARG(client->config->data));
    if (connected != 0)
        return connected < 0 ? -1 : 0;
    if (client->need == CLIENT_SERVER)
        return err_set(
            e, ERR_PERMANENT, "cmd", "no server is running on %.*s", STR_ARG(client->config->data));
    return offline_open(&client->offline, client->config, client->need == CLIENT_ADOPT, e);
}

static void client_fiber(void *arg)
{
    struct client *client = arg;
    struct err e;

    if (open_either(client, &e) < 0)
        client->status = cmd_fail_err(&e);
    else
        client->status = client->fn(client->cmd, client, client->arg);
    channel_close(&client->channel);
    offline_close(&client->offline);
    run_stop();
}

static int run_client(struct client *client, struct err *e)
{
    struct scope scope;

    if (run_open(e) < 0)
        return -1;
    scope_init(&scope);
    if (fiber_start(&scope, "command", client_fiber, client, e) < 0)
        return -1;
    run_loop();
    scope_join(&scope);
    run_close();
    return 0;
}

/* As root: becomes the user that the data directory belongs to. What is missing there is made. */
static int enter(const struct config *config, enum client_need need, struct err *e)
{
    struct identity id;

    if (identity_find(config, &id, e) < 0)
        return -1;
    if (need != CLIENT_SERVER && layout_make_roots(config, &id, e) < 0)
        return -1;
    if (identity_become(config, e) < 0)
        return -1;
    return need != CLIENT_SERVER ? layout_make(config, e) : 0;
}

int client_run(struct cmd *c, enum client_need need, client_fn *fn, void *arg)
{
    struct client client = {.cmd = c, .need = need, .fn = fn, .arg = arg, .status = EXIT_FAILED};
    struct err e;

    client.config = cmd_config(c);
    if (!client.config)
        return EXIT_FAILED;
    if (enter(client.config, need, &e) < 0 || run_client(&client, &e) < 0)
        cmd_fail_err(&e);
    config_free(client.config);
    return client.status;
}

static bool is_utf8(const json_t *v)
{
    return !json_is_string(v) || utf8_valid(str_of(json_string_value(v), json_string_length(v)));
}

/* Why a request cannot be written as JSON. */
static int not_json(const json_t *request, struct err *e)
{
    const char *member;
    json_t *v, *one;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)request, member, v)
    {
        bool bad = !is_utf8(v);
        json_array_foreach(v, i, one) bad |= !is_utf8(one);
        if (bad)
            return err_set(e, ERR_PERMANENT, "cmd", "%s: not UTF-8", member);
    }
    return err_memory(e, "cmd");
}

/* The reply's octets after the outcome; -1 with e where the outcome is not CONTROL_DONE. */
static int exchange(struct client *client, json_t *request, struct buf *reply, struct err *e)
{
    char *text = json_dumps(request, JSON_COMPACT);
    uint64_t before = fiber_deadline_shorten(run_now() + WAIT_MS);
    struct str result;
    int status = 0;

    if (!text)
        status = not_json(request, e);
    else if (strlen(text) > CONTROL_REQUEST_MAX)
        status = err_set(e, ERR_PERMANENT, "cmd", "more arguments than fit into one request");
    else if (!client->channel)
        status = offline_control(client->offline, str_c(text), reply, e);
    else
        status = channel_ask(client->channel, CONTROL_REQUEST, str_c(text), reply, e);
    json_decref(request);
    mem_free(text);
    fiber_deadline_restore(before);
    if (status < 0)
        return client->lost ? err_set(e, ERR_TEMPORARY, "cmd", "the server has gone") : -1;
    result = buf_str(reply);
    if (result.n == 0)
        return err_set(e, ERR_BUG, "cmd", "an empty answer");
    if (result.p[0] == CONTROL_DONE) {
        buf_consume(reply, 1);
        return 0;
    }
    return err_set(e, result.p[0] == CONTROL_LATER ? ERR_TEMPORARY : ERR_PERMANENT, "cmd", "%.*s",
        STR_ARG(str_from(result, 1)));
}

json_t *client_ask(struct client *client, json_t *request, struct err *e)
{
    struct buf reply;
    json_t *result = NULL;

    buf_init(&reply, REPLY_MAX);
    if (exchange(client, request, &reply, e) == 0) {
        struct str text = buf_str(&reply);
        result = json_loadb(text.n ? text.p : "null", text.n ? text.n : 4, JSON_DECODE_ANY, NULL);
        if (!result)
            err_set(e, ERR_BUG, "cmd", "an answer that is no JSON");
    }
    buf_done(&reply);
    return result;
}

int client_ask_raw(struct client *client, json_t *request, struct buf *out, struct err *e)
{
    struct buf reply;
    int status;

    buf_init(&reply, REPLY_MAX);
    status = exchange(client, request, &reply, e);
    if (status == 0 && buf_put(out, buf_str(&reply)) < 0)
        status = err_memory(e, "cmd");
    buf_done(&reply);
    return status;
}

/* A page is {"items": [...], "next": value or null}. */
json_t *client_ask_list(struct client *client, json_t *request, struct err *e)
{
    json_t *all = json_array();
    bool more = true;

    while (all && more) {
        json_t *page = client_ask(client, json_deep_copy(request), e), *next;
        if (!page || json_array_extend(all, json_object_get(page, "items")) < 0) {
            if (page)
                err_set(e, ERR_BUG, "cmd", "a page without items");
            json_decref(page);
            json_decref(all);
            all = NULL;
            break;
        }
        next = json_object_get(page, "next");
        more = next && !json_is_null(next);
        if (more)
            json_object_set(request, "after", next);
        json_decref(page);
    }
    json_decref(request);
    return all;
}

int client_do(struct cmd *c, struct client *client, json_t *request)
{
    struct err e;
    json_t *result = client_ask(client, request, &e);

    if (!result)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(result);
    json_decref(result);
    return EXIT_DONE;
}
