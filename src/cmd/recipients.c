#include "cmd/recipients.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#include "mail/address.h"

#include "cmd/request.h"

enum {
    FILE_MAX = 256 << 20,
    KEYS_MAX = 512 << 20,
    PART_OCTETS = 40 * 1024, /* of addresses in one request */
    PART_COUNT = 1000,
    ENTRY_EXTRA = 8, /* octets of JSON around an address, escapes apart */
};

struct recipient {
    size_t at; /* in keys */
    uint32_t n;
    struct str text; /* as it stands in the file */
};

void recipients_init(struct recipients *r)
{
    *r = (struct recipients){0};
    buf_init(&r->text, FILE_MAX + 65536);
    buf_init(&r->keys, KEYS_MAX);
}

void recipients_done(struct recipients *r)
{
    buf_done(&r->text);
    buf_done(&r->keys);
    mem_free(r->v);
}

static struct str key_at(const struct recipients *r, size_t i)
{
    return str_sub(buf_str(&r->keys), r->v[i].at, r->v[i].n);
}

/* ---- the file */

static int domain_key(const char *domain, struct buf *out, struct err *e)
{
    enum domain_kind kind;

    if (domain_parse(str_c(domain), &kind, e) < 0 || domain_canonical(str_c(domain), out, e) < 0)
        return err_prefix(e, "%s", domain);
    return 0;
}

/* The key of a line: of an address, or of a local part alone. */
static int put_key(struct str line, struct str domain, struct buf *out, struct err *e)
{
    char whole[ADDRESS_KEY_MAX];
    struct mailbox m;
    int n;

    if (str_find(line, '@') < 0) {
        n = snprintf(whole, sizeof whole, "%.*s@%.*s", STR_ARG(line), STR_ARG(domain));
        if (n < 0 || (size_t)n >= sizeof whole)
            return err_set(e, ERR_PERMANENT, "recipients", "too long for an address");
        line = str_of(whole, (size_t)n);
    }
    return mailbox_parse(line, &m, e) < 0 ? -1 : mailbox_key(&m, out, e);
}

static int take_line(struct recipients *r, struct str line, struct str domain, struct err *e)
{
    struct recipient *v = &r->v[r->count];
    struct str key;
    struct buf made;
    int status = -1;

    buf_init(&made, ADDRESS_KEY_MAX);
    if (put_key(line, domain, &made, e) == 0) {
        key = buf_str(&made);
        if (!str_eq(str_from(key, (size_t)(str_find_last(key, '@') + 1)), domain)) {
            err_set(e, ERR_PERMANENT, "recipients", "%.*s: not an address of %.*s", STR_ARG(line),
                STR_ARG(domain));
        } else {
            *v = (struct recipient){.at = buf_len(&r->keys), .n = (uint32_t)key.n, .text = line};
            status = buf_put(&r->keys, key) < 0 ? err_memory(e, "recipients") : 0;
            r->count++;
        }
    }
    buf_done(&made);
    return status;
}

static int by_key(const void *a, const void *b, void *keys)
{
    const struct recipient *x = a, *y = b;
    struct str all = buf_str(keys);

    return str_cmp(str_sub(all, x->at, x->n), str_sub(all, y->at, y->n));
}

static void sort_unique(struct recipients *r)
{
    size_t kept = 0;

    if (r->count)
        qsort_r(r->v, r->count, sizeof *r->v, by_key, &r->keys);
    for (size_t i = 0; i < r->count; i++)
        if (kept == 0 || !str_eq(key_at(r, kept - 1), key_at(r, i)))
            r->v[kept++] = r->v[i];
    r->count = kept;
}

static int take_lines(struct recipients *r, const char *path, struct str domain, struct err *e)
{
    struct str rest = buf_str(&r->text), line;
    size_t lines = 1;

    for (size_t i = 0; i < rest.n; i++)
        lines += rest.p[i] == '\n';
    r->v = mem_array(lines, sizeof *r->v);
    if (!r->v)
        return err_memory(e, "recipients");
    for (unsigned number = 1; rest.n; number++) {
        str_cut(&rest, '\n', &line);
        line = str_trim(line);
        if (line.n && line.p[0] != '#' && take_line(r, line, domain, e) < 0)
            return err_prefix(e, "%s:%u", path, number);
    }
    sort_unique(r);
    return 0;
}

int recipients_read(struct recipients *r, const char *domain, const char *path, struct err *e)
{
    struct buf key;
    int status;

    buf_init(&key, ADDRESS_KEY_MAX);
    status = domain_key(domain, &key, e);
    if (status == 0)
        status = cmd_read_file(path, FILE_MAX, &r->text, e);
    if (status == 0)
        status = take_lines(r, path, buf_str(&key), e);
    buf_done(&key);
    return status;
}

/* ---- parts */

struct parts {
    struct client *client;
    const char *op, *domain;
    json_t *list;
    size_t octets;
};

static void parts_begin(struct parts *p, struct client *client, const char *op, const char *domain)
{
    *p = (struct parts){.client = client, .op = op, .domain = domain, .list = json_array()};
}

static int parts_send(struct parts *p, struct err *e)
{
    json_t *request, *done;

    if (json_array_size(p->list) == 0)
        return 0;
    request = request_new(p->op);
    request_str(request, "domain", p->domain);
    json_object_set_new(request, "recipients", p->list);
    p->list = json_array();
    p->octets = 0;
    done = client_ask(p->client, request, e);
    json_decref(done);
    return done ? 0 : -1;
}

static int parts_put(struct parts *p, struct str text, struct err *e)
{
    json_array_append_new(p->list, json_stringn_nocheck(text.p, text.n));
    p->octets += text.n + ENTRY_EXTRA;
    if (p->octets < PART_OCTETS && json_array_size(p->list) < PART_COUNT)
        return 0;
    return parts_send(p, e);
}

static int parts_end(struct parts *p, int status, struct err *e)
{
    if (status == 0)
        status = parts_send(p, e);
    json_decref(p->list);
    return status;
}

int recipients_add_all(
    const struct recipients *r, struct client *client, const char *domain, struct err *e)
{
    struct parts p;
    int status = 0;

    parts_begin(&p, client, "domain.recipients.add", domain);
    for (size_t i = 0; i < r->count && status == 0; i++)
        status = parts_put(&p, r->v[i].text, e);
    return parts_end(&p, status, e);
}

/* ---- what the server has, beside the file: both in the order of their keys */

struct walk {
    const struct recipients *r;
    struct parts *add, *remove;
    size_t at; /* in the file */
};

/* A key as an address. */
static int put_removal(struct parts *p, struct str key, struct err *e)
{
    ptrdiff_t at = str_find_last(key, '@');
    struct buf text;
    int status;

    buf_init(&text, ADDRESS_KEY_MAX);
    if (at < 0 ||
        mailbox_print(str_head(key, (size_t)at), str_from(key, (size_t)at + 1), &text) < 0)
        status = err_set(e, ERR_PERMANENT, "recipients", "%.*s: not an address", STR_ARG(key));
    else
        status = parts_put(p, buf_str(&text), e);
    buf_done(&text);
    return status;
}

/* Passes one key of the server's; an empty one is behind all. Removals, and additions, wait in
 * their parts: only one of both is sent in a walk. */
static int pass(struct walk *w, struct str key, struct err *e)
{
    for (; w->at < w->r->count; w->at++) {
        int order = key.n ? str_cmp(key_at(w->r, w->at), key) : -1;
        if (order == 0) {
            w->at++;
            return 0;
        }
        if (order > 0)
            break;
        if (w->add && parts_put(w->add, w->r->v[w->at].text, e) < 0)
            return -1;
    }
    return key.n && w->remove ? put_removal(w->remove, key, e) : 0;
}

/* The pages are behind each other by key, so that what a walk changes does not move what is to
 * come. */
static int walk(struct walk *w, struct client *client, const char *domain, struct err *e)
{
    char after[ADDRESS_KEY_MAX + 1] = "";

    do {
        json_t *request = request_new("domain.recipients"), *page, *row;
        const char *next;
        size_t i;
        int status = 0;

        request_str(request, "domain", domain);
        request_str(request, "after", after);
        page = client_ask(client, request, e);
        if (!page)
            return -1;
        json_array_foreach(json_object_get(page, "items"), i, row)
        {
            if (status == 0)
                status = pass(w, str_of(json_string_value(row), json_string_length(row)), e);
        }
        next = json_string_value(json_object_get(page, "next"));
        str_copy_c(after, sizeof after, str_c(next));
        json_decref(page);
        if (status < 0)
            return -1;
    } while (after[0]);
    return pass(w, STR_NONE, e);
}

int recipients_make_equal(
    const struct recipients *r, struct client *client, const char *domain, struct err *e)
{
    struct parts add, remove;
    struct walk adding = {.r = r, .add = &add}, removing = {.r = r, .remove = &remove};
    int status;

    parts_begin(&add, client, "domain.recipients.add", domain);
    status = parts_end(&add, walk(&adding, client, domain, e), e);
    if (status < 0)
        return -1;
    parts_begin(&remove, client, "domain.recipients.remove", domain);
    return parts_end(&remove, walk(&removing, client, domain, e), e);
}
