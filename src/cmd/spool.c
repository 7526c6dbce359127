/* veredus spool: is all of it there, and what was set aside. */
#include <stdio.h>

#include "cmd/pages.h"
#include "cmd/print.h"
#include "cmd/request.h"
#include "cmd/spell.h"

/* ---- verify, repair */

struct account {
    const struct cmd *cmd;
    bool repair;
    uint64_t messages, octets, segments, free_segments;
    json_t *problems, *damaged;
};

static int on_page(void *arg, const json_t *page)
{
    struct account *a = arg;

    a->messages += spell_u64(page, "messages");
    a->octets += spell_u64(page, "octets");
    a->segments = spell_u64(page, "segments");
    a->free_segments = spell_u64(page, "free_segments");
    json_array_extend(a->problems, json_object_get(page, "problems"));
    json_array_extend(a->damaged, json_object_get(page, "items"));
    return 0;
}

static void say_range(const json_t *row)
{
    struct buf text;

    buf_init(&text, 4096);
    if (spell_str(row, "file").n == 0)
        buf_printf(
            &text, "segment %llu: no file has it", (unsigned long long)spell_u64(row, "segment"));
    else {
        spell_put(&text, row, "file");
        buf_printf(&text, ", octets %llu to %llu", (unsigned long long)spell_u64(row, "from"),
            (unsigned long long)spell_u64(row, "to"));
    }
    buf_printf(&text, ": ");
    spell_put(&text, row, "what");
    printf("%.*s\n", STR_ARG(buf_str(&text)));
    buf_done(&text);
}

static void say_people(struct buf *text, const json_t *row)
{
    const json_t *to = json_object_get(row, "recipients");

    if (!json_is_array(to)) {
        buf_printf(text, "; from whom and to whom cannot be read");
        return;
    }
    buf_printf(text, ", from <");
    spell_put(text, row, "sender");
    buf_printf(text, "> to ");
    print_value(to, text);
}

static void say_message(const json_t *row, bool repair)
{
    struct buf text;

    buf_init(&text, 64 << 10);
    spell_put(&text, row, "id");
    buf_printf(&text, ": %s, %llu octets", repair ? "lost" : "damaged",
        (unsigned long long)spell_u64(row, "size"));
    say_people(&text, row);
    buf_printf(&text, " (");
    spell_put(&text, row, "file");
    buf_printf(&text, ", octets %llu to %llu)", (unsigned long long)spell_u64(row, "from"),
        (unsigned long long)spell_u64(row, "to"));
    if (repair) {
        buf_printf(&text, "; what is left of it: quarantine/");
        spell_put(&text, row, "copy");
    }
    printf("%.*s\n", STR_ARG(buf_str(&text)));
    buf_done(&text);
}

static void say_account(const struct account *a)
{
    const json_t *row;
    size_t i;

    json_array_foreach(a->problems, i, row) say_range(row);
    json_array_foreach(a->damaged, i, row) say_message(row, a->repair);
    printf("%llu messages read, %llu octets; %llu segments in use, %llu free\n",
        (unsigned long long)a->messages, (unsigned long long)a->octets,
        (unsigned long long)a->segments, (unsigned long long)a->free_segments);
    if (json_array_size(a->damaged) == 0 && json_array_size(a->problems) == 0)
        printf("All of it is intact.\n");
    else if (a->repair)
        printf("%zu messages set aside; senders are not told. Everything else is used.\n",
            json_array_size(a->damaged));
    else
        printf("%zu messages are damaged. To set them aside: veredus spool repair\n",
            json_array_size(a->damaged));
}

static int account_fn(struct cmd *c, struct client *client, void *arg)
{
    struct account *a = arg;
    struct err e = {0};
    bool bad;

    if (pages_each(
            client, request_new(a->repair ? "spool.repair" : "spool.verify"), on_page, a, &e) < 0)
        return cmd_fail_err(&e);
    bad = json_array_size(a->problems) + json_array_size(a->damaged) > 0;
    if (c->json) {
        json_t *all = json_pack("{s:I, s:I, s:I, s:I, s:O, s:O, s:b}", "messages",
            (json_int_t)a->messages, "octets", (json_int_t)a->octets, "segments",
            (json_int_t)a->segments, "free_segments", (json_int_t)a->free_segments, "problems",
            a->problems, "damaged", a->damaged, "intact", !bad);
        print_json(all);
        json_decref(all);
    } else {
        say_account(a);
    }
    return bad && !a->repair ? EXIT_FAILED : EXIT_DONE;
}

static int run_account(struct cmd *c, bool repair)
{
    struct account a = {
        .cmd = c, .repair = repair, .problems = json_array(), .damaged = json_array()};
    int status = client_run(c, CLIENT_ANY, account_fn, &a);

    json_decref(a.problems);
    json_decref(a.damaged);
    return status;
}

int cmd_spool_verify(struct cmd *c)
{
    return run_account(c, false);
}

int cmd_spool_repair(struct cmd *c)
{
    return run_account(c, true);
}

static int adopt_fn(struct cmd *c, struct client *client, void *arg)
{
    (void)client;
    (void)arg;
    if (!c->json)
        printf("This data directory is the one that is used from now on; never start the other.\n");
    return EXIT_DONE;
}

int cmd_spool_adopt(struct cmd *c)
{
    return client_run(c, CLIENT_ADOPT, adopt_fn, NULL);
}

/* ---- quarantine */

int cmd_quarantine_list(struct cmd *c)
{
    static const struct print_column columns[] = {
        {"NAME", "name"},
        {"KIND", "kind"},
        {"TIME", "time"},
        {"SIZE", "size"},
        {"WHY", "why"},
    };
    const struct pages_list what = {
        "spool.quarantine", NULL, columns, sizeof columns / sizeof *columns};

    return pages_list(c, &what);
}

static int show_fn(struct cmd *c, struct client *client, void *arg)
{
    json_t *request = request_new("spool.quarantine.show"), *row;
    struct err e;

    (void)arg;
    request_str(request, "name", c->args[0]);
    row = client_ask(client, request, &e);
    if (!row)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(row);
    else
        print_object(row);
    json_decref(row);
    return EXIT_DONE;
}

int cmd_quarantine_show(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, show_fn, NULL);
}

static int release_fn(struct cmd *c, struct client *client, void *arg)
{
    int status = EXIT_DONE;

    (void)arg;
    for (unsigned i = 0; i < c->count; i++) {
        json_t *request = request_new("spool.quarantine.release"), *result;
        struct err e;

        request_str(request, "name", c->args[i]);
        result = client_ask(client, request, &e);
        if (!result)
            status = cmd_fail_err(&e);
        else if (!c->json)
            printf("%s: released\n", c->args[i]);
        json_decref(result);
    }
    return status;
}

int cmd_quarantine_release(struct cmd *c)
{
    return client_run(c, CLIENT_SERVER, release_fn, NULL);
}

static int remove_fn(struct cmd *c, struct client *client, void *arg)
{
    json_t *request = request_new("spool.quarantine.remove");

    (void)arg;
    request_strs(request, "names", c->args, c->count);
    return client_do(c, client, request);
}

int cmd_quarantine_remove(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, remove_fn, NULL);
}
