#include <stdio.h>

#include "cmd/pages.h"
#include "cmd/password.h"
#include "cmd/print.h"
#include "cmd/request.h"

enum {
    PASSWORD_BUF = 2048
};

/* add and passwd: the same but for the operation's name and the quota. */
static int with_password(struct cmd *c, struct client *client, void *arg)
{
    const char *op = arg, *quota = cmd_value(c, "quota");
    json_t *request = request_new(op), *result;
    struct buf password;
    bool generated;
    struct err e;
    int status = EXIT_DONE;

    buf_init(&password, PASSWORD_BUF);
    request_str(request, "address", c->args[0]);
    request_str(request, "quota", quota);
    if (password_take(c, &password, &generated, &e) < 0) {
        json_decref(request);
        status = cmd_fail_err(&e);
    } else {
        struct str p = buf_str(&password);
        json_object_set_new(request, "password", json_stringn_nocheck(p.p, p.n));
        result = client_ask(client, request, &e);
        if (!result)
            status = cmd_fail_err(&e);
        if (result && generated)
            json_object_set_new(result, "password", json_stringn(p.p, p.n));
        if (result && c->json)
            print_json(result);
        else if (result && generated)
            printf("password: %.*s\n", STR_ARG(p));
        json_decref(result);
    }
    if (password.p)
        explicit_bzero(password.p, password.cap);
    buf_done(&password);
    return status;
}

static char op_add[] = "account.add", op_passwd[] = "account.passwd";

int cmd_account_add(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, with_password, op_add);
}

int cmd_account_passwd(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, with_password, op_passwd);
}

int cmd_account_list(struct cmd *c)
{
    static const struct print_column columns[] = {
        {"ADDRESS", "address"},
        {"STATE", "state"},
        {"MESSAGES", "messages"},
        {"USED", "used"},
        {"QUOTA", "quota"},
    };
    static const struct pages_list accounts = {
        "account.list", "domain", columns, sizeof columns / sizeof *columns};

    return pages_list(c, &accounts);
}

int cmd_account_show(struct cmd *c)
{
    return request_show(c, CLIENT_ANY, "account.show", "address");
}

int cmd_account_disable(struct cmd *c)
{
    return request_simple(c, CLIENT_ANY, "account.disable", "address");
}

int cmd_account_enable(struct cmd *c)
{
    return request_simple(c, CLIENT_ANY, "account.enable", "address");
}

int cmd_account_remove(struct cmd *c)
{
    return request_simple(c, CLIENT_ANY, "account.remove", "address");
}
