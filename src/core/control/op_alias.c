#include "ipc/control.h"

#include "core/control/op.h"
#include "core/directory/directory.h"

enum {
    ARENA_MAX = 8 << 20,
    TARGETS_MAX = 1000,
};

static int change(struct control *c, const json_t *request, struct err *e,
    int (*fn)(struct directory *d, struct str address, const struct str *target, uint32_t count,
        struct err *e))
{
    struct str address, *targets;
    struct arena arena;
    uint32_t count;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str(request, "address", &address, e) == 0 &&
        op_strs(&arena, request, "targets", &targets, &count, TARGETS_MAX, e) == 0)
        status = fn(c->directory, address, targets, count, e);
    arena_done(&arena);
    return status;
}

int op_alias_add(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return change(c, request, e, directory_alias_add);
}

int op_alias_remove(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)result;
    return change(c, request, e, directory_alias_remove);
}

static json_t *alias_json(const struct directory_alias *alias, size_t *size)
{
    json_t *targets = json_array();

    *size += alias->address.n + 64;
    for (uint32_t i = 0; i < alias->targets; i++) {
        json_array_append_new(targets, op_json_str(alias->target[i]));
        *size += alias->target[i].n + 8;
    }
    return json_pack("{s:o, s:o}", "address", op_json_str(alias->address), "targets", targets);
}

int op_alias_list(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_page page = {.limit = DIRECTORY_PAGE_MAX};
    struct directory_alias *rows;
    struct arena arena;
    uint32_t count = 0, i = 0;
    size_t size = 0;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    if (op_str_optional(request, "after", &page.after, e) == 0 &&
        op_str_optional(request, "domain", &page.domain, e) == 0 &&
        directory_alias_list(c->directory, &arena, &page, &rows, &count, e) == 0) {
        json_t *items = json_array();
        while (i < count && (i == 0 || size < CONTROL_PAGE / 2))
            json_array_append_new(items, alias_json(&rows[i++], &size));
        result->json = op_page(
            items, i < count || count == DIRECTORY_PAGE_MAX ? rows[i - 1].address : STR_NONE);
        status = 0;
    }
    arena_done(&arena);
    return status;
}

int op_alias_import(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct directory_import import = {.check = op_flag(request, "check")};
    uint64_t line;
    uint32_t aliases = 0;

    if (op_str(request, "text", &import.text, e) < 0 ||
        op_str_optional(request, "domain", &import.domain, e) < 0 ||
        op_str_optional(request, "file", &import.file, e) < 0 ||
        op_u64_optional(request, "line", &line, e) < 0)
        return -1;
    if (import.domain.n == 0)
        import.domain = c->config->origin;
    import.line = (unsigned)line;
    if (directory_alias_import(c->directory, &import, &aliases, e) < 0)
        return -1;
    result->json = json_pack("{s:I}", "aliases", (json_int_t)aliases);
    return 0;
}
