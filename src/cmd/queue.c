#include <string.h>

#include "cmd/print.h"
#include "cmd/request.h"

static const char *text_of(const json_t *row, const char *member)
{
    const char *text = json_string_value(json_object_get(row, member));

    return text ? text : "";
}

static bool has_recipient(const json_t *row, const char *address)
{
    const json_t *rcpt = json_object_get(row, "recipients");
    json_t *one;
    size_t i;

    json_array_foreach(
        rcpt, i, one) if (strcasecmp(text_of(one, "address"), address) == 0) return true;
    return false;
}

/* The IDs and the options narrow; each that was given must hold. */
static bool wanted(const struct cmd *c, const json_t *row)
{
    const char *from = cmd_value(c, "from"), *to = cmd_value(c, "to");
    const char *status = cmd_value(c, "status");
    bool named = c->count == 0;

    for (unsigned i = 0; i < c->count; i++)
        named |= strcmp(text_of(row, "id"), c->args[i]) == 0;
    return named && (!from || strcasecmp(text_of(row, "from"), from) == 0) &&
           (!to || has_recipient(row, to)) &&
           (!status || strcmp(text_of(row, "state"), status) == 0);
}

/* For people: the recipients' addresses in one column. */
static void flatten(json_t *row)
{
    const json_t *rcpt = json_object_get(row, "recipients");
    json_t *to = json_array(), *one;
    size_t i;

    json_array_foreach(rcpt, i, one) json_array_append(to, json_object_get(one, "address"));
    json_object_set_new(row, "to", to);
}

static void print_rows(json_t *rows)
{
    static const struct print_column columns[] = {
        {"ID", "id"},
        {"STATE", "state"},
        {"ARRIVED", "arrived"},
        {"SIZE", "size"},
        {"FROM", "from"},
        {"TO", "to"},
    };
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) flatten(row);
    print_table(rows, columns, sizeof columns / sizeof *columns);
}

/* One line for each ID that is not there. */
static int missing(const struct cmd *c, const json_t *rows)
{
    int status = EXIT_DONE;

    for (unsigned n = 0; n < c->count; n++) {
        bool found = false;
        for (size_t i = 0; i < json_array_size(rows) && !found; i++)
            found = strcmp(text_of(json_array_get(rows, i), "id"), c->args[n]) == 0;
        if (!found)
            status = cmd_fail("%s: not in the queue", c->args[n]);
    }
    return status;
}

static int list(struct cmd *c, struct client *client, void *arg)
{
    json_t *all, *rows, *row;
    struct err e;
    size_t i;
    int status;

    (void)arg;
    all = client_ask_list(client, request_new("queue.list"), &e);
    if (!all)
        return cmd_fail_err(&e);
    rows = json_array();
    json_array_foreach(all, i, row) if (wanted(c, row)) json_array_append(rows, row);
    if (c->json)
        print_json(rows);
    else
        print_rows(rows);
    status = missing(c, all);
    json_decref(rows);
    json_decref(all);
    return status;
}

static bool is_state(const char *word)
{
    static const char *const states[] = {"queued", "active", "deferred", "held"};

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], word) == 0)
            return true;
    return false;
}

int cmd_queue_list(struct cmd *c)
{
    const char *status = cmd_value(c, "status");

    if (status && !is_state(status)) {
        cmd_fail("--status: queued, active, deferred or held, not \"%s\"", status);
        return EXIT_USAGE;
    }
    return client_run(c, CLIENT_SERVER, list, NULL);
}
