#include "base/buf.h"

#include "ipc/control.h"

#include "core/control/mail_json.h"
#include "core/control/op.h"
#include "core/directory/directory.h"
#include "core/mailbox/mailbox.h"

enum {
    ARENA_MAX = 32 << 20,
    PAGE_ROWS = 50,
};

/* Whose mailbox: the address must be an account's. */
static int account_of(struct control *c, struct arena *arena, const json_t *request, uint64_t *id,
    struct str *mailbox, struct err *e)
{
    struct directory_account account;
    struct str address;

    if (op_str(request, "address", &address, e) < 0 ||
        op_str_optional(request, "mailbox", mailbox, e) < 0 ||
        directory_account_show(c->directory, arena, address, &account, e) < 0)
        return -1;
    *id = account.id;
    return 0;
}

/* "MAILBOX-NUMBER:UID" */
static int parse_after(const json_t *request, struct mail_after *after, struct err *e)
{
    uint64_t mailbox = 0, uid = 0;
    struct str text, head;

    *after = (struct mail_after){0};
    if (op_str_optional(request, "after", &text, e) < 0)
        return -1;
    if (text.n == 0)
        return 0;
    if (!str_cut(&text, ':', &head) || !str_to_u64(head, UINT32_MAX, &mailbox) ||
        !str_to_u64(text, UINT32_MAX, &uid))
        return err_set(e, ERR_PERMANENT, "control", "after: not a place in a list");
    *after = (struct mail_after){.mailbox = (uint32_t)mailbox, .uid = (uint32_t)uid};
    return 0;
}

int op_mail_list(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct mail_after after;
    struct mail_row *rows;
    struct arena arena;
    struct str mailbox;
    uint32_t count = 0;
    uint64_t id;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (account_of(c, &arena, request, &id, &mailbox, e) == 0 &&
        parse_after(request, &after, e) == 0 &&
        mailbox_list(c->mailboxes, &arena, id, mailbox, op_flag(request, "all"), &after, PAGE_ROWS,
            &rows, &count, e) == 0) {
        json_t *items = json_array();
        struct str next = STR_NONE;
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(items, mail_json(&rows[i], MAIL_JSON_SHORT));
        if (after.uid)
            next = arena_printf(&arena, "%u:%u", after.mailbox, after.uid);
        result->json = op_page(items, next);
        status = 0;
    }
    arena_done(&arena);
    return status;
}

/* Without a UID: the newest. */
static int find_row(struct control *c, struct arena *arena, const json_t *request,
    struct mail_row *row, struct err *e)
{
    struct str mailbox;
    uint64_t id, uid;

    if (account_of(c, arena, request, &id, &mailbox, e) < 0 ||
        op_u64_optional(request, "uid", &uid, e) < 0)
        return -1;
    if (uid > UINT32_MAX)
        return err_set(e, ERR_PERMANENT, "control", "uid: too large");
    return mailbox_find(c->mailboxes, arena, id, mailbox, (uint32_t)uid, row, e);
}

int op_mail_find(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct mail_row row;
    struct arena arena;
    int status;

    arena_init(&arena, ARENA_MAX);
    status = find_row(c, &arena, request, &row, e);
    if (status == 0)
        result->json = mail_json(&row, MAIL_JSON_WHOLE);
    arena_done(&arena);
    return status;
}

int op_mail_raw(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct arena arena;
    struct str mailbox;
    uint64_t id, uid, offset, size;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    result->used_raw = true;
    if (account_of(c, &arena, request, &id, &mailbox, e) == 0 &&
        op_u64_optional(request, "uid", &uid, e) == 0 &&
        op_u64_optional(request, "offset", &offset, e) == 0)
        status = mailbox_read(
            c->mailboxes, id, mailbox, (uint32_t)uid, offset, CONTROL_PAGE, result->raw, &size, e);
    arena_done(&arena);
    return status;
}
