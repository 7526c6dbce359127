#include <string.h>

#include "base/buf.h"

#include "mail/address.h"

#include "ipc/config.h"

#include "cmd/pages.h"
#include "cmd/recipients.h"
#include "cmd/records.h"
#include "cmd/request.h"

static void set_true(json_t *request, const char *member)
{
    json_object_set_new(request, member, json_true());
}

static json_t *add_request(const struct cmd *c)
{
    json_t *request = request_new("domain.add");

    request_str(request, "domain", c->args[0]);
    request_str(request, "separator", cmd_value(c, "separator"));
    if (cmd_has(c, "relay"))
        set_true(request, "relay");
    return request;
}

/* The domain is disabled until its list is complete, and goes again if it cannot be completed. */
static int add_listed(struct cmd *c, struct client *client)
{
    json_t *request = add_request(c), *done;
    struct recipients list;
    struct err e, ignored;
    int status;

    recipients_init(&list);
    if (recipients_read(&list, c->args[0], cmd_value(c, "recipients"), &e) < 0) {
        recipients_done(&list);
        json_decref(request);
        return cmd_fail_err(&e);
    }
    request_str(request, "check", "list");
    set_true(request, "disabled");
    done = client_ask(client, request, &e);
    status = done ? recipients_add_all(&list, client, c->args[0], &e) : -1;
    if (done && status == 0) {
        request = request_new("domain.enable");
    } else if (done) {
        request = request_new("domain.remove");
        request_str(request, "domain", c->args[0]);
        json_decref(client_ask(client, request, &ignored));
    }
    json_decref(done);
    recipients_done(&list);
    if (status < 0)
        return cmd_fail_err(&e);
    request_str(request, "domain", c->args[0]);
    return client_do(c, client, request);
}

static bool is_word(const struct cmd *c, const char *word)
{
    return strcmp(cmd_value(c, "recipients"), word) == 0;
}

static int add(struct cmd *c, struct client *client, void *arg)
{
    json_t *request;

    (void)arg;
    if (cmd_has(c, "recipients") && !is_word(c, "verify"))
        return add_listed(c, client);
    request = add_request(c);
    if (cmd_has(c, "recipients"))
        request_str(request, "check", "verify");
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

int cmd_domain_list(struct cmd *c)
{
    static const struct print_column columns[] = {
        {"DOMAIN", "domain"},
        {"KIND", "kind"},
        {"STATE", "state"},
        {"SEPARATOR", "separator"},
        {"ACCOUNTS", "accounts"},
    };
    static const struct pages_list domains = {
        "domain.list", NULL, columns, sizeof columns / sizeof *columns};

    return pages_list(c, &domains);
}

int cmd_domain_show(struct cmd *c)
{
    return request_show(c, CLIENT_ANY, "domain.show", "domain");
}

static int set(struct cmd *c, struct client *client, void *arg)
{
    json_t *request = request_new("domain.set");
    struct recipients list;
    struct err e;
    int status = 0;

    (void)arg;
    request_str(request, "domain", c->args[0]);
    request_str(request, "separator", cmd_value(c, "separator"));
    recipients_init(&list);
    if (cmd_has(c, "recipients") && (is_word(c, "verify") || is_word(c, "any"))) {
        request_str(request, "check", is_word(c, "any") ? "none" : "verify");
    } else if (cmd_has(c, "recipients")) {
        request_str(request, "check", "list");
        status = recipients_read(&list, c->args[0], cmd_value(c, "recipients"), &e);
        if (status == 0)
            status = recipients_make_equal(&list, client, c->args[0], &e);
    }
    recipients_done(&list);
    if (status == 0)
        return client_do(c, client, request);
    json_decref(request);
    return cmd_fail_err(&e);
}

int cmd_domain_set(struct cmd *c)
{
    if (!cmd_has(c, "separator") && !cmd_has(c, "recipients")) {
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
