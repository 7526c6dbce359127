#include "cmd/pages.h"

#include <stdio.h>

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
