#include "cmd/request.h"

#include "cmd/print.h"

json_t *request_new(const char *op)
{
    return json_pack("{s:s}", "op", op);
}

void request_str(json_t *request, const char *member, const char *value)
{
    if (value)
        json_object_set_new(request, member, json_stringn_nocheck(value, strlen(value)));
}

void request_strs(json_t *request, const char *member, const char **values, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_stringn_nocheck(values[i], strlen(values[i])));
    json_object_set_new(request, member, list);
}

struct simple {
    const char *op, *member;
};

static int simple_fn(struct cmd *c, struct client *client, void *arg)
{
    const struct simple *simple = arg;
    json_t *request = request_new(simple->op);

    if (simple->member)
        request_str(request, simple->member, c->args[0]);
    return client_do(c, client, request);
}

int request_simple(struct cmd *c, enum client_need need, const char *op, const char *member)
{
    struct simple simple = {op, member};

    return client_run(c, need, simple_fn, &simple);
}

static int show_fn(struct cmd *c, struct client *client, void *arg)
{
    const struct simple *simple = arg;
    json_t *request = request_new(simple->op), *object;
    struct err e;

    request_str(request, simple->member, c->args[0]);
    object = client_ask(client, request, &e);
    if (!object)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(object);
    else
        print_object(object);
    json_decref(object);
    return EXIT_DONE;
}

int request_show(struct cmd *c, enum client_need need, const char *op, const char *member)
{
    struct simple simple = {op, member};

    return client_run(c, need, show_fn, &simple);
}
