/* cmd/pages.h: long lists, a page at a time, so that neither the server nor this process ever holds
 * the whole. */
#pragma once

#include "cmd/client.h"
#include "cmd/print.h"

/* Asks for page after page and hands each to fn, whose negative result ends it and is returned.
 * request is taken over. -1 with e where a page could not be had. */
typedef int page_fn(void *arg, const json_t *page);
int pages_each(struct client *client, json_t *request, page_fn *fn, void *arg, struct err *e);

/* A JSON array that is printed as its items come. */
struct json_printer {
    bool begun;
};
void json_printer_put(struct json_printer *p, const json_t *item);
void json_printer_end(struct json_printer *p);

/* A whole command: lists what `op` gives, as JSON or as a table. The first argument, where there is
 * one, is the request's `member`. */
struct pages_list {
    const char *op, *member;
    const struct print_column *columns;
    unsigned count;
};
int pages_list(struct cmd *c, const struct pages_list *what);
