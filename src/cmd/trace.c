#include <stdio.h>

#include "ipc/inbound_core.h"

#include "cmd/pages.h"
#include "cmd/print.h"
#include "cmd/request.h"
#include "cmd/spell.h"

enum {
    LINE_MAX_OCTETS = 64 * 1024,
};

/* How each event reads behind the recipient's name. */
static const struct phrase {
    const char *event, *words;
} phrases[] = {
    {"received", "received"},
    {"refused", "refused"},
    {"queued", "is a recipient"},
    {"held", "held"},
    {"released", "released"},
    {"delivered", "delivered"},
    {"relayed", "sent on"},
    {"deferred", "not yet"},
    {"failed", "failed"},
    {"expired", "given up: its time is over"},
    {"delayed", "its sender was warned"},
    {"dsn", "its sender was told"},
    {"no-dsn", "nobody is told"},
    {"discarded", "discarded"},
    {"removed", "removed by the operator"},
    {"retried", "tried again by the operator"},
    {"quarantined", "set aside"},
    {"forwarded", "leaves with another sender"},
    {"ended", "nothing is left to do"},
};

static const char *words_of(struct str event)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (str_eq(event, str_c(phrases[i].event)))
            return phrases[i].words;
    return "something that this version does not know";
}

/* "mx.example [192.0.2.1]" */
static void put_host(struct buf *out, const json_t *ev, const char *name, const char *address)
{
    spell_put(out, ev, name);
    if (spell_str(ev, address).n) {
        buf_put(out, spell_str(ev, name).n ? STR(" [") : STR("["));
        spell_put(out, ev, address);
        buf_put_c(out, ']');
    }
}

/* ": mx.example [192.0.2.1] said 450 4.2.0 later" */
static void put_said(struct buf *out, const json_t *ev)
{
    bool host = spell_str(ev, "host").n || spell_str(ev, "address").n;
    bool said = spell_str(ev, "text").n || spell_str(ev, "enhanced").n;

    if (!host && !said)
        return;
    buf_put(out, STR(": "));
    put_host(out, ev, "host", "address");
    if (host && said)
        buf_put(out, spell_u64(ev, "code") ? STR(" said") : STR(":"));
    if (spell_u64(ev, "code"))
        buf_printf(out, " %llu", (unsigned long long)spell_u64(ev, "code"));
    if (spell_str(ev, "enhanced").n) {
        buf_put(out, host || spell_u64(ev, "code") ? STR(" ") : STR(""));
        spell_put(out, ev, "enhanced");
    }
    if (spell_str(ev, "text").n) {
        buf_put(out, host || spell_str(ev, "enhanced").n ? STR(" ") : STR(""));
        spell_put(out, ev, "text");
    }
}

static void put_received(struct buf *out, const json_t *ev)
{
    if (spell_str(ev, "client").n || spell_str(ev, "helo").n) {
        buf_put(out, STR(" from "));
        spell_put(out, ev, "client");
        if (spell_str(ev, "helo").n) {
            buf_put(out, STR(" (it says "));
            spell_put(out, ev, "helo");
            buf_put_c(out, ')');
        }
    }
    if (spell_str(ev, "protocol").n) {
        buf_put(out, STR(" by "));
        spell_put(out, ev, "protocol");
    }
    buf_put(out, STR(", sender <"));
    spell_put(out, ev, "from");
    buf_put(out, STR(">, "));
    spell_count(out, spell_u64(ev, "size"), "octet", "octets");
    buf_put(out, STR(", for "));
    spell_count(out, spell_u64(ev, "count"), "recipient", "recipients");
}

static void put_rest(struct buf *out, const json_t *ev, bool has_to)
{
    if (spell_u64(ev, "attempt") > 1)
        buf_printf(out, " (attempt %llu)", (unsigned long long)spell_u64(ev, "attempt"));
    if (spell_str(ev, "from").n && has_to) {
        buf_put(out, STR(", sender <"));
        spell_put(out, ev, "from");
        buf_put_c(out, '>');
    }
    put_said(out, ev);
    if (spell_str(ev, "until").n) {
        buf_put(out, STR("; next try "));
        spell_time(out, ev, "until");
    }
    if (spell_str(ev, "other").n) {
        buf_put(out, STR("; see message "));
        spell_put(out, ev, "other");
    }
}

static void put_given(struct buf *out, const json_t *ev)
{
    buf_put(out, STR(", given as "));
    spell_put(out, ev, "text");
}

static void put_event(struct buf *out, const json_t *ev)
{
    struct str event = spell_str(ev, "event");
    bool has_to = spell_str(ev, "to").n > 0;

    buf_put(out, STR("  "));
    spell_time(out, ev, "time");
    buf_put(out, STR("  "));
    if (has_to) {
        spell_put(out, ev, "to");
        buf_put(out, STR(" "));
    }
    buf_put(out, str_c(words_of(event)));
    if (str_eq(event, STR("received")))
        put_received(out, ev);
    else if (str_eq(event, STR("queued")) && spell_str(ev, "text").n)
        put_given(out, ev);
    else
        put_rest(out, ev, has_to);
    buf_put_c(out, '\n');
}

static void print_event(const json_t *ev)
{
    struct buf line;

    buf_init(&line, LINE_MAX_OCTETS);
    put_event(&line, ev);
    fwrite(buf_str(&line).p, 1, buf_len(&line), stdout);
    buf_done(&line);
}

/* ---- one message: as it comes */

struct printing {
    bool json;
    struct json_printer printer;
    uint64_t count;
    json_t *kept; /* of an address, for people: until all are there, to be put in order */
};

static int on_page(void *arg, const json_t *page)
{
    struct printing *p = arg;
    const json_t *items = json_object_get(page, "items"), *ev;
    size_t i;

    json_array_foreach(items, i, ev)
    {
        p->count++;
        if (p->json)
            json_printer_put(&p->printer, ev);
        else if (p->kept)
            json_array_append(p->kept, (json_t *)(uintptr_t)ev);
        else
            print_event(ev);
    }
    return ferror(stdout) ? -1 : 0;
}

static int trace_message(struct cmd *c, struct client *client, struct printing *p)
{
    json_t *request = request_new("trace.events");
    struct err e = {0};

    request_strs(request, "ids", c->args, 1);
    request_str(request, "since", cmd_value(c, "since"));
    if (pages_each(client, request, on_page, p, &e) < 0)
        return cmd_fail_err(&e);
    if (p->json)
        json_printer_end(&p->printer);
    if (p->count == 0)
        return cmd_fail("%s: nothing is known of this message", c->args[0]);
    return EXIT_DONE;
}

/* ---- an address: its messages, each with its own lines together, in the order of their begin */

static void print_message(const json_t *events, struct str id)
{
    const json_t *ev;
    size_t i;

    if (id.n)
        printf("message %.*s\n", STR_ARG(id));
    else
        printf("not taken\n");
    json_array_foreach(events, i, ev) if (str_eq(spell_str(ev, "id"), id)) print_event(ev);
}

static void print_by_message(const json_t *events)
{
    json_t *seen = json_object();
    const json_t *ev;
    size_t i;

    json_array_foreach(events, i, ev)
    {
        struct str id = spell_str(ev, "id");
        const char *key = id.n ? id.p : "";
        if (json_object_get(seen, key))
            continue;
        json_object_set_new(seen, key, json_true());
        print_message(events, id);
    }
    json_decref(seen);
}

/* The second question: all of what it sent, of what it got what concerns it. */
static json_t *events_request(const struct cmd *c, const json_t *found)
{
    json_t *request = request_new("trace.events"), *whole = json_array(), *part = json_array();
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(found, "ids"), i, one)
    {
        bool sent = json_is_true(json_object_get(one, "sent"));
        json_array_append(sent ? whole : part, json_object_get(one, "id"));
    }
    json_object_set_new(request, "ids", whole);
    json_object_set_new(request, "part", part);
    request_str(request, "address", c->args[0]);
    request_str(request, "since", cmd_value(c, "since"));
    return request;
}

static int print_address(
    struct cmd *c, struct client *client, struct printing *p, const json_t *found)
{
    struct err e = {0};

    if (!p->json)
        p->kept = json_array();
    if (pages_each(client, events_request(c, found), on_page, p, &e) < 0) {
        json_decref(p->kept);
        return cmd_fail_err(&e);
    }
    if (p->json)
        json_printer_end(&p->printer);
    else
        print_by_message(p->kept);
    json_decref(p->kept);
    if (json_is_true(json_object_get(found, "more")))
        fprintf(stderr, "veredus: there are older messages: --limit shows more of them\n");
    return EXIT_DONE;
}

static int trace_address(struct cmd *c, struct client *client, struct printing *p, uint64_t limit)
{
    json_t *request = request_new("trace.find"), *found;
    struct err e;
    int status;

    request_str(request, "address", c->args[0]);
    request_str(request, "since", cmd_value(c, "since"));
    if (limit)
        json_object_set_new(request, "limit", json_integer((json_int_t)limit));
    found = client_ask(client, request, &e);
    if (!found)
        return cmd_fail_err(&e);
    if (json_array_size(json_object_get(found, "ids")) == 0 &&
        !json_is_true(json_object_get(found, "refused"))) {
        if (p->json)
            json_printer_end(&p->printer);
        status = cmd_fail("%s: nothing is known of mail from or to this address", c->args[0]);
    } else {
        status = print_address(c, client, p, found);
    }
    json_decref(found);
    return status;
}

static int trace_fn(struct cmd *c, struct client *client, void *arg)
{
    struct printing p = {.json = c->json};
    uint64_t id;

    if (ic_id_parse(str_c(c->args[0]), &id))
        return trace_message(c, client, &p);
    return trace_address(c, client, &p, *(const uint64_t *)arg);
}

int cmd_trace(struct cmd *c)
{
    const char *text = cmd_value(c, "limit");
    uint64_t limit = 0;

    if (text && (!str_to_u64(str_c(text), 1000, &limit) || limit == 0)) {
        cmd_fail("--limit: 1 to 1000 messages, not \"%s\"", text);
        return EXIT_USAGE;
    }
    return client_run(c, CLIENT_ANY, trace_fn, &limit);
}
