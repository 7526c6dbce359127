#include "base/buf.h"

#include "mail/address.h"

#include "ipc/config.h"

#include "cmd/print.h"
#include "cmd/records.h"
#include "cmd/request.h"

enum {
    RECIPIENTS_MAX = 16 << 20
};

/* The addresses of --recipients, one a line; blank lines and # comments are skipped. */
static int add_recipients(json_t *request, const char *path, struct err *e)
{
    json_t *list = json_array();
    struct buf text;
    struct str rest, line;

    buf_init(&text, RECIPIENTS_MAX + 65536);
    if (cmd_read_file(path, RECIPIENTS_MAX, &text, e) < 0) {
        buf_done(&text);
        json_decref(list);
        return -1;
    }
    rest = buf_str(&text);
    while (rest.n) {
        str_cut(&rest, '\n', &line);
        line = str_trim(line);
        if (line.n && line.p[0] != '#')
            json_array_append_new(list, json_stringn_nocheck(line.p, line.n));
    }
    buf_done(&text);
    json_object_set_new(request, "recipients", list);
    return 0;
}

static int add(struct cmd *c, struct client *client, void *arg)
{
    json_t *request = request_new("domain.add");
    struct err e;

    (void)arg;
    request_str(request, "domain", c->args[0]);
    request_str(request, "separator", cmd_value(c, "separator"));
    if (cmd_has(c, "relay"))
        json_object_set_new(request, "relay", json_true());
    if (cmd_has(c, "recipients") && add_recipients(request, cmd_value(c, "recipients"), &e) < 0) {
        json_decref(request);
        return cmd_fail_err(&e);
    }
    return client_do(c, client, request);
}

int cmd_domain_add(struct cmd *c)
{
    if (cmd_has(c, "recipients") && !cmd_has(c, "relay")) {
        cmd_fail("--recipients goes with --relay: a local domain has accounts and aliases");
        return EXIT_USAGE;
    }
    return client_run(c, CLIENT_ANY, add, NULL);
}

static int list(struct cmd *c, struct client *client, void *arg)
{
    static const struct print_column columns[] = {
        {"DOMAIN", "domain"},
        {"KIND", "kind"},
        {"STATE", "state"},
        {"SEPARATOR", "separator"},
        {"ACCOUNTS", "accounts"},
    };
    struct err e;
    json_t *rows = client_ask_list(client, request_new("domain.list"), &e);

    (void)arg;
    if (!rows)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(rows);
    else
        print_table(rows, columns, sizeof columns / sizeof *columns);
    json_decref(rows);
    return EXIT_DONE;
}

int cmd_domain_list(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, list, NULL);
}

static int show(struct cmd *c, struct client *client, void *arg)
{
    json_t *request = request_new("domain.show"), *domain;
    struct err e;

    (void)arg;
    request_str(request, "domain", c->args[0]);
    domain = client_ask(client, request, &e);
    if (!domain)
        return cmd_fail_err(&e);
    if (c->json)
        print_json(domain);
    else
        print_object(domain);
    json_decref(domain);
    return EXIT_DONE;
}

int cmd_domain_show(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, show, NULL);
}

static int set(struct cmd *c, struct client *client, void *arg)
{
    json_t *request = request_new("domain.set");

    (void)arg;
    request_str(request, "domain", c->args[0]);
    request_str(request, "separator", cmd_value(c, "separator"));
    return client_do(c, client, request);
}

int cmd_domain_set(struct cmd *c)
{
    if (!cmd_has(c, "separator")) {
        cmd_fail("nothing to change was given; see veredus domain set --help");
        return EXIT_USAGE;
    }
    return client_run(c, CLIENT_ANY, set, NULL);
}

int cmd_domain_disable(struct cmd *c)
{
    return request_simple(c, CLIENT_ANY, "domain.disable", "domain");
}

int cmd_domain_enable(struct cmd *c)
{
    return request_simple(c, CLIENT_ANY, "domain.enable", "domain");
}

int cmd_domain_remove(struct cmd *c)
{
    return request_simple(c, CLIENT_ANY, "domain.remove", "domain");
}

int cmd_domain_dns(struct cmd *c)
{
    struct config *config = cmd_config(c);
    enum domain_kind kind;
    struct buf domain;
    struct err e;
    int status = EXIT_DONE;

    if (!config)
        return EXIT_FAILED;
    buf_init(&domain, ADDRESS_KEY_MAX);
    if (domain_parse(str_c(c->args[0]), &kind, &e) < 0 ||
        domain_canonical(str_c(c->args[0]), &domain, &e) < 0)
        status = cmd_fail("\"%s\": %s", c->args[0], e.text);
    else if (kind != DOMAIN_NAME)
        status = cmd_fail("\"%s\": an address is not a name", c->args[0]);
    else
        records_print(buf_str(&domain), config->hostname, c->json);
    buf_done(&domain);
    config_free(config);
    return status;
}
