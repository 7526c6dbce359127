#include "core/directory/aliases_file.h"

#include "core/directory/directory.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int bad(struct err *e, unsigned line, const char *what, struct str text)
{
    return err_set(
        e, ERR_PERMANENT, "aliases", "%u: %s: %.*s", line, what, STR_ARG(str_head(text, 64)));
}

/* Position of the first c outside of quotes; -1 where there is none, -2 where quotes do not end. */
static ptrdiff_t find_unquoted(struct str s, char c)
{
    bool quoted = false;

    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            quoted = !quoted;
        else if (!quoted && s.p[i] == c)
            return (ptrdiff_t)i;
    }
    return quoted ? -2 : -1;
}

/* Blank or a comment. */
static bool is_nothing(struct str physical)
{
    physical = str_trim(physical);
    return physical.n == 0 || physical.p[0] == '#';
}

/* Octets from the front of text, which is a logical line's first, to the end of its last. */
static size_t logical_size(struct str text)
{
    struct str rest = text, physical;
    size_t end = 0;

    while (rest.n) {
        bool continues = is_blank(rest.p[0]);
        str_cut(&rest, '\n', &physical);
        if (is_nothing(physical))
            continue;
        if (end && !continues)
            break;
        end = text.n - rest.n;
    }
    return end;
}

/* One logical line off the front of *rest, without comments and with blanks for its line ends.
 * False at the end of the text, or without memory (then *rest is not empty). */
static bool next_logical(
    struct arena *a, struct str *rest, unsigned *line, unsigned *first, struct str *logical)
{
    struct str physical, whole;
    size_t n = 0;
    char *out;

    for (;;) {
        struct str before = *rest;
        if (!str_cut(rest, '\n', &physical) && before.n == 0)
            return false;
        if (!is_nothing(physical)) {
            *rest = before;
            break;
        }
        ++*line;
    }
    whole = str_head(*rest, logical_size(*rest));
    out = arena_alloc(a, whole.n + 1);
    if (!out)
        return false;
    *rest = str_from(*rest, whole.n);
    for (*first = *line; whole.n; ++*line) {
        str_cut(&whole, '\n', &physical);
        if (is_nothing(physical))
            continue;
        physical = str_trim(physical);
        memcpy(out + n, physical.p, physical.n);
        n += physical.n;
        out[n++] = ' ';
    }
    *logical = str_trim(str_of(out, n));
    return true;
}

/* RFC 5321: what stands for something else than an address is not for us. */
static const char *forbidden(struct str target)
{
    struct str bare = target;

    while (str_starts(bare, STR("\"")) || str_starts(bare, STR("\\")))
        bare = str_from(bare, 1);
    if (str_starts_ascii(bare, STR(":include:")))
        return ":include: is not supported; put the addresses into the alias";
    if (str_starts(bare, STR("|")))
        return "mail cannot be piped into a program";
    if (str_starts(bare, STR("/")))
        return "mail cannot be written to a file; name an account instead";
    if (str_starts(bare, STR(":")))
        return "is not supported";
    return NULL;
}

/* With the domain of names that have none. A backslash before a name ("do not look further") has
 * no meaning of its own: an alias that names itself leads to its account anyway. */
static int full_address(
    struct arena *a, struct str name, struct str domain, struct str *address, struct err *e)
{
    if (str_starts(name, STR("\\")))
        name = str_from(name, 1);
    if (find_unquoted(name, '@') >= 0)
        *address = name;
    else
        *address = arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(domain));
    return address->p ? 0 : err_memory(e, "aliases");
}

static uint32_t count_targets(struct str list)
{
    uint32_t n = 1;
    ptrdiff_t at;

    for (; (at = find_unquoted(list, ',')) >= 0; n++)
        list = str_from(list, (size_t)at + 1);
    return n;
}

static int parse_targets(
    struct arena *a, struct str list, struct str domain, struct alias_line *row, struct err *e)
{
    row->target = arena_array(a, count_targets(list), sizeof *row->target);
    if (!row->target)
        return err_memory(e, "aliases");
    while (list.n) {
        ptrdiff_t at = find_unquoted(list, ',');
        struct str target = str_trim(at < 0 ? list : str_head(list, (size_t)at));
        const char *why = forbidden(target);
        if (why)
            return bad(e, row->line, why, target);
        list = at < 0 ? STR_NONE : str_from(list, (size_t)at + 1);
        if (target.n == 0)
            continue;
        if (row->targets >= DIRECTORY_TARGETS_MAX)
            return bad(e, row->line, "too many targets", row->name);
        if (full_address(a, target, domain, &row->target[row->targets], e) < 0)
            return -1;
        row->targets++;
    }
    return row->targets ? 0 : bad(e, row->line, "no target", row->name);
}

static int parse_line(
    struct arena *a, struct str text, struct str domain, struct alias_line *row, struct err *e)
{
    ptrdiff_t colon = find_unquoted(text, ':');
    struct str name, list;

    if (colon == -2)
        return bad(e, row->line, "quotes that do not end", text);
    if (colon < 0)
        return bad(e, row->line, "no colon after the name", text);
    name = str_trim(str_head(text, (size_t)colon));
    list = str_from(text, (size_t)colon + 1);
    if (name.n == 0)
        return bad(e, row->line, "no name before the colon", text);
    if (find_unquoted(list, ',') == -2)
        return bad(e, row->line, "quotes that do not end", list);
    if (full_address(a, name, domain, &row->name, e) < 0)
        return -1;
    return parse_targets(a, list, domain, row, e);
}

static uint32_t count_lines(struct str text)
{
    struct str line;
    uint32_t n = 0;

    while (text.n) {
        n += !is_blank(text.p[0]) && text.p[0] != '#';
        str_cut(&text, '\n', &line);
    }
    return n;
}

int aliases_file_parse(struct arena *a, struct str text, unsigned line, struct str domain,
    struct alias_line **rows, uint32_t *count, struct err *e)
{
    struct alias_line *v = arena_array(a, (size_t)count_lines(text) + 1, sizeof *v);
    struct str logical;
    uint32_t n = 0;
    unsigned first = line;

    if (!v)
        return err_memory(e, "aliases");
    if (text.n && memchr(text.p, '\0', text.n))
        return err_set(e, ERR_PERMANENT, "aliases", "%u: not a text file", line);
    while (next_logical(a, &text, &line, &first, &logical)) {
        v[n].line = first;
        if (parse_line(a, logical, domain, &v[n], e) < 0)
            return -1;
        n++;
    }
    if (text.n)
        return err_memory(e, "aliases");
    *rows = v;
    *count = n;
    return 0;
}
