#include "cmd/pages.h"

#include <stdio.h>

#include "cmd/request.h"

int pages_each(struct client *client, json_t *request, page_fn *fn, void *arg, struct err *e)
{
    bool more = true;
    int status = 0;

    while (more && status >= 0) {
        json_t *page = client_ask(client, json_deep_copy(request), e), *next;
        if (!page) {
            status = -1;
            break;
        }
        next = json_object_get(page, "next");
        more = next && !json_is_null(next);
        if (more)
            json_object_set(request, "after", next);
        status = fn(arg, page);
        json_decref(page);
    }
    json_decref(request);
    return status;
}

void json_printer_put(struct json_printer *p, const json_t *item)
{
    fputs(p->begun ? ",\n" : "[\n", stdout);
    p->begun = true;
    json_dumpf(item, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
}

void json_printer_end(struct json_printer *p)
{
    puts(p->begun ? "\n]" : "[]");
    p->begun = false;
}

struct printing {
    const struct cmd *cmd;
    const struct pages_list *what;
    struct json_printer printer;
    bool begun;
};

static int print_page(void *arg, const json_t *page)
{
    const json_t *items = json_object_get(page, "items"), *row;
    struct printing *p = arg;
    size_t i;

    if (p->cmd->json)
        json_array_foreach(items, i, row) json_printer_put(&p->printer, row);
    else
        print_table_part(items, p->what->columns, p->what->count, !p->begun);
    p->begun = true;
    return ferror(stdout) ? -1 : 0;
}

static int list_fn(struct cmd *c, struct client *client, void *arg)
{
    struct printing p = {.cmd = c, .what = arg};
    json_t *request = request_new(p.what->op);
    struct err e = {0};

    if (p.what->member)
        request_str(request, p.what->member, c->count ? c->args[0] : NULL);
    if (pages_each(client, request, print_page, &p, &e) < 0)
        return cmd_fail_err(&e);
    if (c->json)
        json_printer_end(&p.printer);
    return EXIT_DONE;
}

int pages_list(struct cmd *c, const struct pages_list *what)
{
    return client_run(c, CLIENT_ANY, list_fn, (void *)(uintptr_t)what);
}
