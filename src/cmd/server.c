#include <stdio.h>

#include "cmd/print.h"
#include "cmd/queue_text.h"
#include "cmd/request.h"

static void print_status(const json_t *status)
{
    static const struct print_column processes[] = {
        {"ROLE", "role"},
        {"PID", "pid"},
        {"GENERATION", "generation"},
        {"RESTARTS", "restarts"},
        {"UPTIME", "uptime"},
    };
    json_t *rest = json_copy((json_t *)(uintptr_t)status);

    json_object_del(rest, "processes");
    json_object_del(rest, "failing_sites");
    print_object(rest);
    json_decref(rest);
    queue_text_sites(json_object_get(status, "failing_sites"));
    putchar('\n');
    print_table(
        json_object_get(status, "processes"), processes, sizeof processes / sizeof *processes);
}

static int status_fn(struct cmd *c, struct client *client, void *arg)
{
    struct err e;
    json_t *status = client_ask(client, request_new("status"), &e);

    (void)arg;
    if (!status)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(status);
    else
        print_status(status);
    json_decref(status);
    return EXIT_DONE;
}

int cmd_status(struct cmd *c)
{
    return client_run(c, CLIENT_SERVER, status_fn, NULL);
}

/* The server answers when the new configuration is live, or with what is wrong with it. */
static int reload_fn(struct cmd *c, struct client *client, void *arg)
{
    json_t *result, *line;
    struct err e;
    size_t i, count;

    (void)arg;
    result = client_ask(client, request_new("reload"), &e);
    if (!result)
        return cmd_fail_err(&e);
    count = json_array_size(json_object_get(result, "problems"));
    json_array_foreach(json_object_get(result, "problems"), i, line)
        cmd_fail("%s", json_string_value(line));
    if (c->json)
        print_json(result);
    json_decref(result);
    return count ? cmd_fail("nothing has changed") : EXIT_DONE;
}

int cmd_reload(struct cmd *c)
{
    return client_run(c, CLIENT_SERVER, reload_fn, NULL);
}

int cmd_stop(struct cmd *c)
{
    return request_simple(c, CLIENT_SERVER, "stop", NULL);
}
