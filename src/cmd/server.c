#include <stdio.h>

#include "cmd/print.h"
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
    print_object(rest);
    json_decref(rest);
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
int cmd_reload(struct cmd *c)
{
    return request_simple(c, CLIENT_SERVER, "reload", NULL);
}

int cmd_stop(struct cmd *c)
{
    return request_simple(c, CLIENT_SERVER, "stop", NULL);
}
