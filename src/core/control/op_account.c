#include <string.h>

#include "base/units.h"

#include "ipc/control.h"

#include "core/control/op.h"
#include "core/directory/directory.h"
#include "core/directory/password.h"
#include "core/mailbox/mailbox.h"

enum {
    ARENA_MAX = 8 << 20,
    PAGE_ROWS = 100,
    ROW_JSON = 300,          /* octets about, without address and aliases */
    ALIASES_IN_LIST = 4096,  /* octets */
    ALIASES_IN_SHOW = 40960, /* octets: the answer is one frame */
};

/* As many as have room; *size grows by what they take. */
static json_t *strings(const struct str *v, uint32_t count, size_t max, size_t *size)
{
    json_t *list = json_array();
    size_t before = *size;

    for (uint32_t i = 0; i < count && *size - before + v[i].n < max; i++) {
        json_array_append_new(list, op_json_str(v[i]));
        *size += v[i].n + 8;
    }
    return list;
}

/* SURFACE.md: {address, aliases[], quota, used, messages, limits} and more. Of very many aliases
 * the first that fit into `room`; more_aliases tells. */
static json_t *account_json(struct control *c, struct arena *arena,
    const struct directory_account *account, size_t room, size_t *size)
{
    struct mailbox_counts counts = {0};
    struct str *alias = NULL;
    uint32_t aliases = 0;
    json_t *list;

    if (mailbox_counts(c->mailboxes, account->id, &counts, NULL) < 0 ||
        directory_aliases_of(c->directory, arena, account->address, &alias, &aliases, NULL) < 0)
        return NULL;
    list = strings(alias, aliases, room, size);
    *size += ROW_JSON + account->address.n;
    return json_pack("{s:o, s:s, s:o, s:b, s:o, s:I, s:I, s:n, s:o}", "address",
        op_json_str(account->address), "state", account->enabled ? "enabled" : "disabled",
        "aliases", list, "more_aliases",
        json_array_size(list) < aliases || aliases == DIRECTORY_PAGE_MAX, "quota",
        account->quota ? json_integer((json_int_t)account->quota) : json_null(), "used",
        (json_int_t)counts.octets, "messages", (json_int_t)counts.messages, "limits", "created",
        op_json_time(account->created_ms));
}

static int hash_of(
    struct control *c, const json_t *request, char hash[PASSWORD_HASH_SIZE], struct err *e)
{
    struct str password;

    if (op_str(request, "password", &password, e) < 0)
        return -1;
    return password_hash(c->hashing, password, hash, e);
}

static int quota_of(const json_t *request, uint64_t *quota, struct err *e)
{
    struct str text;

    *quota = 0;
    if (op_str_optional(request, "quota", &text, e) < 0)
        return -1;
    if (text.n && !units_parse_size(text, quota))
        return err_set(e, ERR_PERMANENT, "control", "quota: not a size like 500M or 10G");
    return 0;
}

int op_account_add(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    char hash[PASSWORD_HASH_SIZE];
    struct str address;
    uint64_t quota, id;

    if (op_str(request, "address", &address, e) < 0 || quota_of(request, &quota, e) < 0 ||
        hash_of(c, request, hash, e) < 0 ||
        directory_account_add(c->directory, address, str_c(hash), quota, &id, e) < 0 ||
        mailbox_birth(c->mailboxes, id, e) < 0)
        return -1;
    result->json = json_pack("{s:o}", "address", op_json_str(address));
    return 0;
}

int op_account_passwd(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    char hash[PASSWORD_HASH_SIZE];
    struct str address;

    if (op_str(request, "address", &address, e) < 0 || hash_of(c, request, hash, e) < 0 ||
        directory_account_password(c->directory, address, str_c(hash), e) < 0)
        return -1;
    result->json = json_pack("{s:o}", "address", op_json_str(address));
    return 0;
}

int op_account_list(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_page page = {.limit = PAGE_ROWS};
    struct directory_account *rows;
    struct arena arena;
    uint32_t count = 0, i = 0;
    size_t size = 0;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str_optional(request, "after", &page.after, e) == 0 &&
        op_str_optional(request, "domain", &page.domain, e) == 0 &&
        directory_account_list(c->directory, &arena, &page, &rows, &count, e) == 0) {
        json_t *items = json_array();
        for (; i < count && size < CONTROL_PAGE / 2; i++)
            json_array_append_new(items, account_json(c, &arena, &rows[i], ALIASES_IN_LIST, &size));
        result->json =
            op_page(items, i < count || count == PAGE_ROWS ? rows[i - 1].address : STR_NONE);
        status = 0;
    }
    arena_done(&arena);
    return status;
}

int op_account_show(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_account account;
    struct arena arena;
    struct str address;
    size_t size = 0;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str(request, "address", &address, e) == 0 &&
        directory_account_show(c->directory, &arena, address, &account, e) == 0) {
        result->json = account_json(c, &arena, &account, ALIASES_IN_SHOW, &size);
        status = result->json ? 0 : err_memory(e, "control");
    }
    arena_done(&arena);
    return status;
}

static int set_enabled(struct control *c, const json_t *request, bool enabled, struct err *e)
{
    struct str address;

    if (op_str(request, "address", &address, e) < 0)
        return -1;
    return directory_account_enable(c->directory, address, enabled, e);
}

int op_account_enable(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return set_enabled(c, request, true, e);
}

int op_account_disable(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return set_enabled(c, request, false, e);
}

int op_account_remove(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct str address;
    uint64_t id;

    (void)result;
    if (op_str(request, "address", &address, e) < 0 ||
        directory_account_remove(c->directory, address, &id, e) < 0)
        return -1;
    return mailbox_erase(c->mailboxes, id, e);
}
