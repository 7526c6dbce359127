#include <stdio.h>

#include "base/buf.h"

#include "cmd/pages.h"
#include "cmd/request.h"

enum {
    FILE_MAX = 64 << 20,
    PIECE = 32 * 1024, /* JSON may double it, and it must fit into a request */
};

static int with_targets(struct cmd *c, struct client *client, void *arg)
{
    json_t *request = request_new(arg);

    request_str(request, "address", c->args[0]);
    if (c->count > 1)
        request_strs(request, "targets", c->args + 1, c->count - 1);
    return client_do(c, client, request);
}

static char op_add[] = "alias.add", op_remove[] = "alias.remove";

int cmd_alias_add(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, with_targets, op_add);
}

int cmd_alias_remove(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, with_targets, op_remove);
}

int cmd_alias_list(struct cmd *c)
{
    static const struct print_column columns[] = {{"ADDRESS", "address"}, {"TARGETS", "targets"}};
    static const struct pages_list aliases = {
        "alias.list", "domain", columns, sizeof columns / sizeof *columns};

    return pages_list(c, &aliases);
}

/* The longest run of whole logical lines (a line that begins with white space continues the one
 * before) of at most PIECE octets; a single longer one is given whole and refused by the server. */
static struct str next_piece(struct str *rest, unsigned *lines)
{
    size_t good = 0, at = 0;
    unsigned count = 0, good_count = 0;
    struct str piece;

    while (at < rest->n) {
        ptrdiff_t end = str_find(str_from(*rest, at), '\n');
        size_t next = end < 0 ? rest->n : at + (size_t)end + 1;
        bool continues = rest->p[at] == ' ' || rest->p[at] == '\t';
        if (!continues && at) {
            good = at;
            good_count = count;
        }
        if (next > PIECE && good)
            break;
        count++;
        at = next;
    }
    if (at == rest->n) {
        good = at;
        good_count = count;
    }
    piece = str_head(*rest, good);
    *rest = str_from(*rest, good);
    *lines = good_count;
    return piece;
}

/* All pieces once; with check nothing is changed. The number of aliases, or -1. */
static long import_pass(
    struct cmd *c, struct client *client, struct str text, bool check, struct err *e)
{
    unsigned line = 1, lines;
    long total = 0;

    while (text.n) {
        struct str piece = next_piece(&text, &lines);
        json_t *request = request_new("alias.import"), *result;
        request_str(request, "domain", cmd_value(c, "domain"));
        request_str(request, "file", c->args[0]);
        json_object_set_new(request, "text", json_stringn_nocheck(piece.p, piece.n));
        json_object_set_new(request, "line", json_integer(line));
        json_object_set_new(request, "check", json_boolean(check));
        result = client_ask(client, request, e);
        if (!result)
            return -1;
        total += (long)json_integer_value(json_object_get(result, "aliases"));
        json_decref(result);
        line += lines;
    }
    return total;
}

static int import(struct cmd *c, struct client *client, void *arg)
{
    struct buf text;
    struct err e;
    long total = -1;

    (void)arg;
    buf_init(&text, FILE_MAX + 65536);
    if (cmd_read_file(c->args[0], FILE_MAX, &text, &e) == 0 &&
        import_pass(c, client, buf_str(&text), true, &e) >= 0)
        total = import_pass(c, client, buf_str(&text), false, &e);
    buf_done(&text);
    if (total < 0)
        return cmd_fail_err(&e);
    if (c->json)
        printf("{\"aliases\": %ld}\n", total);
    else
        printf("%ld aliases\n", total);
    return EXIT_DONE;
}

int cmd_alias_import(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, import, NULL);
}
