#include "ipc/control.h"

#include "core/control/op.h"
#include "core/directory/directory.h"

enum {
    ARENA_MAX = 8 << 20,
    PAGE_ROWS = 100,       /* a row has at most some 400 octets of JSON */
    RECIPIENTS_MAX = 1000, /* in one request */
    KEY_EXTRA = 8,         /* octets of JSON around a key */
};

/* How the recipients of a relay domain are checked. */
static const char *const check_words[] = {
    [RECIPIENTS_ANY] = "none", [RECIPIENTS_LISTED] = "list", [RECIPIENTS_ASKED] = "verify"};

static json_t *check_json(const struct directory_domain *d)
{
    return d->relay ? json_string(check_words[d->taken]) : json_null();
}

static int check_parse(struct str word, enum directory_recipients *taken, struct err *e)
{
    for (unsigned i = RECIPIENTS_ANY; i <= RECIPIENTS_ASKED; i++)
        if (str_eq(word, str_c(check_words[i]))) {
            *taken = (enum directory_recipients)i;
            return 0;
        }
    return err_set(e, ERR_PERMANENT, "control", "check: none of none, list, verify");
}

static json_t *domain_json(const struct directory_domain *d)
{
    return json_pack("{s:o, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o}", "domain",
        op_json_str(d->name), "kind", d->relay ? "relay" : "local", "state",
        d->enabled ? "enabled" : "disabled", "separator", op_json_or_null(d->separator), "accounts",
        (json_int_t)d->accounts, "aliases", (json_int_t)d->aliases, "recipients",
        d->taken == RECIPIENTS_LISTED ? json_integer((json_int_t)d->recipients) : json_null(),
        "check", check_json(d), "created", op_json_time(d->created_ms));
}

int op_domain_add(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_domain_new domain = {
        .relay = op_flag(request, "relay"), .disabled = op_flag(request, "disabled")};
    struct str *list, check;
    struct arena arena;
    int status = -1;

    (void)result;
    arena_init(&arena, ARENA_MAX);
    if (op_str(request, "domain", &domain.name, e) == 0 &&
        op_str_optional(request, "separator", &domain.separator, e) == 0 &&
        op_str_optional(request, "check", &check, e) == 0 &&
        (check.n == 0 || check_parse(check, &domain.recipients, e) == 0) &&
        op_strs(&arena, request, "recipients", &list, &domain.count, RECIPIENTS_MAX, e) == 0) {
        domain.list = list;
        status = directory_domain_add(c->directory, &domain, e);
    }
    arena_done(&arena);
    return status;
}

int op_domain_list(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_page page = {.limit = PAGE_ROWS};
    struct directory_domain *rows;
    struct arena arena;
    uint32_t count = 0;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str_optional(request, "after", &page.after, e) == 0 &&
        directory_domain_list(c->directory, &arena, &page, &rows, &count, e) == 0) {
        json_t *items = json_array();
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(items, domain_json(&rows[i]));
        result->json = op_page(items, count == PAGE_ROWS ? rows[count - 1].name : STR_NONE);
        status = 0;
    }
    arena_done(&arena);
    return status;
}

int op_domain_show(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_domain domain;
    struct arena arena;
    struct str name;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str(request, "domain", &name, e) == 0 &&
        directory_domain_show(c->directory, &arena, name, &domain, e) == 0) {
        result->json = domain_json(&domain);
        status = 0;
    }
    arena_done(&arena);
    return status;
}

int op_domain_set(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct str name, separator, check;
    enum directory_recipients taken;

    (void)result;
    if (op_str(request, "domain", &name, e) < 0 ||
        op_str_optional(request, "separator", &separator, e) < 0 ||
        op_str_optional(request, "check", &check, e) < 0 ||
        (check.n && check_parse(check, &taken, e) < 0))
        return -1;
    if (check.n && directory_domain_recipients(c->directory, name, taken, e) < 0)
        return -1;
    if (!json_object_get(request, "separator"))
        return 0;
    return directory_domain_separator(c->directory, name, separator, e);
}

/* ---- the list of a relay domain, in parts */

static int change_recipients(struct control *c, const json_t *request,
    int (*change)(struct directory *, struct str, const struct str *, uint32_t, struct err *),
    struct err *e)
{
    struct str name, *list;
    struct arena arena;
    uint32_t count;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str(request, "domain", &name, e) == 0 &&
        op_strs(&arena, request, "recipients", &list, &count, RECIPIENTS_MAX, e) == 0)
        status = change(c->directory, name, list, count, e);
    arena_done(&arena);
    return status;
}

int op_recipients_add(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return change_recipients(c, request, directory_recipients_add, e);
}

int op_recipients_remove(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return change_recipients(c, request, directory_recipients_remove, e);
}

int op_recipients_list(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_page page = {.limit = DIRECTORY_PAGE_MAX};
    struct str *keys;
    struct arena arena;
    uint32_t count = 0;
    size_t octets = 0;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str(request, "domain", &page.domain, e) == 0 &&
        op_str_optional(request, "after", &page.after, e) == 0 &&
        directory_recipients_list(c->directory, &arena, &page, &keys, &count, e) == 0) {
        json_t *items = json_array();
        uint32_t i;
        for (i = 0; i < count && octets + keys[i].n < CONTROL_PAGE; i++) {
            json_array_append_new(items, op_json_str(keys[i]));
            octets += keys[i].n + KEY_EXTRA;
        }
        result->json = op_page(items, i < count || i == page.limit ? keys[i - 1] : STR_NONE);
        status = 0;
    }
    arena_done(&arena);
    return status;
}

static int set_enabled(struct control *c, const json_t *request, bool enabled, struct err *e)
{
    struct str name;

    if (op_str(request, "domain", &name, e) < 0)
        return -1;
    return directory_domain_enable(c->directory, name, enabled, e);
}

int op_domain_enable(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return set_enabled(c, request, true, e);
}

int op_domain_disable(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return set_enabled(c, request, false, e);
}

int op_domain_remove(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct str name;

    (void)result;
    if (op_str(request, "domain", &name, e) < 0)
        return -1;
    return directory_domain_remove(c->directory, name, e);
}
