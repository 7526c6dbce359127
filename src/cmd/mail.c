#include <stdio.h>

#include "base/buf.h"

#include "mail/rfc2047.h"

#include "cmd/print.h"
#include "cmd/request.h"
#include "cmd/show.h"

enum {
    RAW_MAX = 1 << 30,
    SUBJECT_MAX = 16 * 1024,
};

static json_t *mail_request(const char *op, const struct cmd *c, const char *mailbox)
{
    json_t *request = request_new(op);

    request_str(request, "address", c->args[0]);
    request_str(request, "mailbox", mailbox);
    return request;
}

/* Core hands header values on as they are in the message: what a stranger wrote is decoded here. */
static void decode_subject(json_t *row)
{
    const json_t *subject = json_object_get(row, "subject");
    struct buf text;

    if (!json_is_string(subject))
        return;
    buf_init(&text, SUBJECT_MAX);
    rfc2047_decode(
        str_of(json_string_value(subject), json_string_length(subject)), SUBJECT_MAX / 2, &text);
    json_object_set_new(
        row, "subject", json_stringn(buf_len(&text) ? buf_str(&text).p : "", buf_len(&text)));
    buf_done(&text);
}

static int list(struct cmd *c, struct client *client, void *arg)
{
    static const struct print_column columns[] = {
        {"UID", "uid"},
        {"MAILBOX", "mailbox"},
        {"RECEIVED", "received"},
        {"FROM", "from"},
        {"SUBJECT", "subject"},
        {"SIZE", "size"},
        {"FLAGS", "flags"},
    };
    json_t *request = mail_request("mail.list", c, c->count > 1 ? c->args[1] : NULL), *rows, *row;
    size_t i;
    struct err e;

    (void)arg;
    if (cmd_has(c, "all"))
        json_object_set_new(request, "all", json_true());
    rows = client_ask_list(client, request, &e);
    if (!rows)
        return cmd_fail_err(&e);
    json_array_foreach(rows, i, row) decode_subject(row);
    if (c->json)
        print_json(rows);
    else
        print_table(rows, columns, sizeof columns / sizeof *columns);
    json_decref(rows);
    return EXIT_DONE;
}

int cmd_mail_list(struct cmd *c)
{
    return client_run(c, CLIENT_ANY, list, NULL);
}

/* The message's octets, piece by piece. */
static int fetch(
    struct cmd *c, struct client *client, const json_t *row, struct buf *raw, struct err *e)
{
    uint64_t size = (uint64_t)json_integer_value(json_object_get(row, "size"));

    while (buf_len(raw) < size) {
        json_t *request = request_new("mail.raw");
        size_t before = buf_len(raw);
        request_str(request, "address", c->args[0]);
        json_object_set(request, "mailbox", json_object_get(row, "mailbox"));
        json_object_set(request, "uid", json_object_get(row, "uid"));
        json_object_set_new(request, "offset", json_integer((json_int_t)before));
        if (client_ask_raw(client, request, raw, e) < 0)
            return -1;
        if (buf_len(raw) == before)
            return err_set(e, ERR_TEMPORARY, "cmd", "the message ends too early");
    }
    return 0;
}

static int print_mail(const struct cmd *c, json_t *row, struct str raw)
{
    if (cmd_has(c, "raw")) {
        fwrite(raw.p, 1, raw.n, stdout);
        return EXIT_DONE;
    }
    return c->json ? show_json(row, raw) : show_text(raw);
}

/* [MAILBOX] [UID]: a number alone is a UID in INBOX; 0 where none was given. */
static bool which(const struct cmd *c, const char **mailbox, uint64_t *uid)
{
    *mailbox = c->count > 1 ? c->args[1] : NULL;
    *uid = 0;
    if (c->count == 2 && str_to_u64(str_c(c->args[1]), UINT32_MAX, uid) && *uid)
        *mailbox = NULL;
    if (c->count < 3)
        return true;
    return str_to_u64(str_c(c->args[2]), UINT32_MAX, uid) && *uid;
}

static int show(struct cmd *c, struct client *client, void *arg)
{
    json_t *request, *row;
    const char *mailbox;
    struct buf raw;
    uint64_t uid;
    struct err e;
    int status;

    (void)arg;
    which(c, &mailbox, &uid);
    request = mail_request("mail.find", c, mailbox);
    if (uid)
        json_object_set_new(request, "uid", json_integer((json_int_t)uid));
    row = client_ask(client, request, &e);
    if (!row)
        return cmd_fail_err(&e);
    decode_subject(row);
    buf_init(&raw, RAW_MAX);
    if (fetch(c, client, row, &raw, &e) < 0)
        status = cmd_fail_err(&e);
    else
        status = print_mail(c, row, buf_str(&raw));
    buf_done(&raw);
    json_decref(row);
    return status;
}

int cmd_mail_show(struct cmd *c)
{
    const char *mailbox;
    uint64_t uid;

    if (!which(c, &mailbox, &uid)) {
        cmd_fail("%s: not a UID", c->args[2]);
        return EXIT_USAGE;
    }
    return client_run(c, CLIENT_ANY, show, NULL);
}
