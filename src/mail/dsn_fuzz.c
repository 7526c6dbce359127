/* Hostile text in every place of a notification: what comes out keeps to its grammar. The input is
 * cut at 0x1f into the fields; its first octets are numbers. */
#include "base/check.h"

#include "mail/charset.h"
#include "mail/dsn_check.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    RCPTS = 3
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return charset_prepare() ? 0 : 1;
}

static struct str next(struct str *rest)
{
    struct str head;
    str_cut(rest, '\x1f', &head);
    return head;
}

static uint8_t number(struct str *rest)
{
    uint8_t n = rest->n > 0 ? (uint8_t)rest->p[0] : 0;
    *rest = str_from(*rest, 1);
    return n;
}

static void fill_rcpt(struct dsn_rcpt *r, struct str *rest)
{
    r->kind = (enum dsn_kind)(number(rest) % 5);
    r->status = (struct err_status){number(rest) % 8, number(rest) % 12, number(rest)};
    r->attempt_ms = (int64_t)number(rest) << 40;
    r->until_ms = (int64_t)number(rest) << 32;
    r->address = next(rest);
    r->orcpt = next(rest);
    r->remote_host = next(rest);
    r->remote_ip = next(rest);
    r->reply = next(rest);
    r->error = next(rest);
    r->why = next(rest);
    r->advice = next(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of((const char *)data, size);
    struct dsn_rcpt rcpts[RCPTS] = {0};
    struct dsn d = {.rcpts = rcpts, .id = STR("a"), .content_max = 300};
    struct dsn_form form;
    struct buf out;
    uint8_t flags = number(&rest);
    d.rcpt_count = 1 + number(&rest) % RCPTS;
    d.ret = (enum dsn_ret)(number(&rest) % 3);
    d.smtputf8 = flags & 1;
    d.utf8 = flags & 2;
    d.now_ms = (int64_t)number(&rest) << 36;
    d.arrived_ms = d.now_ms / 2;
    for (size_t i = 0; i < d.rcpt_count; i++)
        fill_rcpt(&rcpts[i], &rest);
    d.host = next(&rest);
    d.from_name = next(&rest);
    d.from = next(&rest);
    d.recipient = next(&rest);
    d.envid = next(&rest);
    d.prefix = next(&rest);
    d.header = next(&rest);
    d.body = rest;
    d.size = flags & 4 ? d.prefix.n + d.header.n + d.body.n : 0;
    buf_init(&out, dsn_size_max(&d));
    CHECK(dsn_build(&d, &out, &form, NULL) == 0);
    dsn_check(&d, buf_str(&out), &form);
    buf_done(&out);
    return 0;
}
