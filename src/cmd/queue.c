#include <stdio.h>

#include "cmd/pages.h"
#include "cmd/print.h"
#include "cmd/queue_text.h"
#include "cmd/request.h"
#include "cmd/spell.h"

static const char *const filters[] = {"to", "from", "site", "older", "status"};

static bool is_chosen(const struct cmd *c)
{
    bool any = c->count > 0;

    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        any |= cmd_has(c, filters[i]);
    return any;
}

/* The IDs and the options narrow; each that was given must hold. */
static json_t *filtered(const struct cmd *c, const char *op)
{
    json_t *request = request_new(op);

    if (c->count)
        request_strs(request, "ids", c->args, c->count);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        request_str(request, filters[i], cmd_value(c, filters[i]));
    return request;
}

/* One line for each ID that is not there. */
static int say_missing(const json_t *result)
{
    const json_t *id;
    int status = EXIT_DONE;
    size_t i;

    json_array_foreach(json_object_get(result, "missing"), i, id) status =
        cmd_fail("%s: not in the queue", json_string_value(id));
    return status;
}

/* ---- lists */

enum form {
    FORM_JSON,
    FORM_TABLE, /* a line a message */
    FORM_TEXT,  /* and one for each recipient that waits: mailq */
};

struct listing {
    enum form form;
    struct json_printer printer;
    uint64_t count, octets;
    bool begun; /* the first page has named the IDs that are missing */
    int status;
};

/* For people: the recipients' addresses in one column, and the null sender as it is written. */
static void flatten(json_t *row)
{
    const json_t *rcpt = json_object_get(row, "recipients"), *one;
    uint64_t all = spell_u64(row, "recipient_count");
    json_t *to = json_array();
    char more[48];
    size_t i;

    json_array_foreach(rcpt, i, one) json_array_append(to, json_object_get(one, "address"));
    if (all > json_array_size(rcpt)) {
        snprintf(
            more, sizeof more, "and %llu more", (unsigned long long)(all - json_array_size(rcpt)));
        json_array_append_new(to, json_string(more));
    }
    json_object_set_new(row, "to", to);
    if (spell_str(row, "from").n == 0)
        json_object_set_new(row, "from", json_string("<>"));
}

static void print_rows(json_t *rows, bool title)
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
    print_table_part(rows, columns, sizeof columns / sizeof *columns, title);
}

static int on_page(void *arg, const json_t *page)
{
    json_t *items = json_object_get(page, "items"), *row;
    struct listing *l = arg;
    size_t i;

    if (l->form == FORM_TABLE)
        print_rows(items, l->count == 0);
    json_array_foreach(items, i, row)
    {
        l->count++;
        l->octets += spell_u64(row, "size");
        if (l->form == FORM_JSON)
            json_printer_put(&l->printer, row);
        else if (l->form == FORM_TEXT)
            queue_text_print(row, false);
    }
    if (!l->begun)
        l->status = say_missing(page);
    l->begun = true;
    return ferror(stdout) ? -1 : 0;
}

static int list_fn(struct cmd *c, struct client *client, void *arg)
{
    struct listing *l = arg;
    struct err e = {0};

    if (pages_each(client, filtered(c, "queue.list"), on_page, l, &e) < 0)
        return cmd_fail_err(&e);
    if (l->form == FORM_JSON)
        json_printer_end(&l->printer);
    return l->status;
}

static bool is_state(const char *word)
{
    static const char *const states[] = {"queued", "active", "deferred", "held"};

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], word) == 0)
            return true;
    return false;
}

static int check_status(const struct cmd *c)
{
    const char *status = cmd_value(c, "status");

    if (!status || is_state(status))
        return EXIT_DONE;
    cmd_fail("--status: queued, active, deferred or held, not \"%s\"", status);
    return EXIT_USAGE;
}

int cmd_queue_list(struct cmd *c)
{
    struct listing l = {.form = c->json ? FORM_JSON : FORM_TABLE};

    if (check_status(c) != EXIT_DONE)
        return EXIT_USAGE;
    return client_run(c, CLIENT_SERVER, list_fn, &l);
}

int cmd_mailq(struct cmd *c)
{
    struct listing l = {.form = c->json ? FORM_JSON : FORM_TEXT};
    int status = client_run(c, CLIENT_SERVER, list_fn, &l);

    if (status != EXIT_DONE || c->json)
        return status;
    if (l.count == 0)
        printf("The queue is empty.\n");
    else
        printf("%llu octets in %llu %s.\n", (unsigned long long)l.octets,
            (unsigned long long)l.count, l.count == 1 ? "message" : "messages");
    return EXIT_DONE;
}

static int show_fn(struct cmd *c, struct client *client, void *arg)
{
    json_t *request, *message;
    struct err e;

    (void)arg;
    request = request_new("queue.show");
    request_str(request, "id", c->args[0]);
    message = client_ask(client, request, &e);
    if (!message)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(message);
    else
        queue_text_print(message, true);
    json_decref(message);
    return EXIT_DONE;
}

int cmd_queue_show(struct cmd *c)
{
    return client_run(c, CLIENT_SERVER, show_fn, NULL);
}

/* ---- numbers */

static int stats_fn(struct cmd *c, struct client *client, void *arg)
{
    json_t *stats;
    struct err e;

    (void)arg;
    stats = client_ask(client, request_new("queue.stats"), &e);
    if (!stats)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(stats);
    else
        queue_text_stats(stats);
    json_decref(stats);
    return EXIT_DONE;
}

int cmd_queue_stats(struct cmd *c)
{
    return client_run(c, CLIENT_SERVER, stats_fn, NULL);
}

static int on_rules(void *arg, const json_t *page)
{
    static const struct print_column columns[] = {
        {"SINCE", "since"},
        {"FROM", "from"},
        {"TO", "to"},
    };
    json_t *items = json_object_get(page, "items"), *rule;
    struct listing *l = arg;
    size_t i;

    if (l->form == FORM_JSON)
        json_array_foreach(items, i, rule) json_printer_put(&l->printer, rule);
    else
        print_table_part(items, columns, sizeof columns / sizeof *columns, l->count == 0);
    l->count += json_array_size(items);
    return 0;
}

static int rules_fn(struct cmd *c, struct client *client, void *arg)
{
    struct listing l = {.form = c->json ? FORM_JSON : FORM_TABLE};
    struct err e = {0};

    (void)arg;
    if (pages_each(client, request_new("queue.rules"), on_rules, &l, &e) < 0)
        return cmd_fail_err(&e);
    if (c->json)
        json_printer_end(&l.printer);
    else if (l.count == 0)
        printf("No rule holds mail.\n");
    return EXIT_DONE;
}

/* ---- acts */

struct act {
    const char *op, *done, *rule; /* what is said of a rule that was made or taken away */
};

static void say_done(const struct act *act, const json_t *result)
{
    uint64_t n = spell_u64(result, "messages");

    if (act->rule && json_is_true(json_object_get(result, "rule")))
        printf("%s\n", act->rule);
    printf("%llu %s %s\n", (unsigned long long)n, n == 1 ? "message" : "messages", act->done);
}

static int act_fn(struct cmd *c, struct client *client, void *arg)
{
    const struct act *act = arg;
    struct err e;
    json_t *result = client_ask(client, filtered(c, act->op), &e);
    int status;

    if (!result)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(result);
    else
        say_done(act, result);
    status = say_missing(result);
    json_decref(result);
    return status;
}

static int run_act(struct cmd *c, struct act *act)
{
    if (check_status(c) != EXIT_DONE)
        return EXIT_USAGE;
    return client_run(c, CLIENT_SERVER, act_fn, act);
}

/* Nobody removes or releases everything by forgetting to say what. */
static int run_chosen(struct cmd *c, struct act *act)
{
    if (is_chosen(c))
        return run_act(c, act);
    cmd_fail("%s: which messages? IDs, --to, --from, --site, --older or --status", c->row->words);
    return EXIT_USAGE;
}

int cmd_queue_retry(struct cmd *c)
{
    struct act act = {"queue.retry", "tried again", NULL};

    return run_act(c, &act);
}

int cmd_queue_hold(struct cmd *c)
{
    struct act act = {"queue.hold", "held", "what comes later is held too"};

    if (!is_chosen(c))
        return client_run(c, CLIENT_SERVER, rules_fn, NULL);
    return run_act(c, &act);
}

int cmd_queue_release(struct cmd *c)
{
    struct act act = {"queue.release", "released", "what comes later is not held any more"};

    return run_chosen(c, &act);
}

int cmd_queue_remove(struct cmd *c)
{
    struct act act = {"queue.remove", "removed", NULL};

    return run_chosen(c, &act);
}
