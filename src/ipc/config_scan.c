#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/escape.h"
#include "base/utf8.h"

#include "ipc/config_int.h"

/* One pass over the text, by token; no nesting deeper than a list in a section. */

enum token_kind {
    TOKEN_WORD,
    TOKEN_EQUALS,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_END,
};

struct token {
    enum token_kind kind;
    struct str word;
    unsigned line;
};

enum {
    WORDS_MAX = 3, /* route from "D" */
    SHOWN_MAX = 80,
    SECTIONS_MAX = 12000, /* libConfuse compares each title with all before it */
};

struct scanner {
    struct config_scan *out;
    struct config_problem_list *problems;
    struct str rest;
    unsigned line, clean_line;
    struct token words[WORDS_MAX]; /* of the statement so far */
    unsigned word_count;
    enum token_kind before;
    bool wants_value, in_list, in_section;
    unsigned list_line;
};

static int fatal(struct scanner *s, unsigned line, const char *text)
{
    config_problem(s->problems, line, "%s", text);
    s->out->fatal_line = line;
    return -1;
}

static int fatal_word(
    struct scanner *s, unsigned line, const char *before, struct str word, const char *behind)
{
    char shown[SHOWN_MAX];

    escape_copy(shown, sizeof shown, word, ESCAPE_TEXT);
    config_problem(s->problems, line, "%s'%s'%s", before, shown, behind);
    s->out->fatal_line = line;
    return -1;
}

static int no_memory(struct scanner *s)
{
    s->problems->out_of_memory = true;
    return -1;
}

/* ---- tokens */

static bool bare(char c)
{
    return !ascii_control(c) && !memchr(" {}=,;()\"'#", c, 11);
}

/* Drops a comment at the start: 1 if there was one. */
static int skip_comment(struct scanner *s)
{
    ptrdiff_t at;

    if (s->rest.p[0] == '#' || str_starts(s->rest, STR("//"))) {
        at = str_find(s->rest, '\n');
        s->rest = str_from(s->rest, at < 0 ? s->rest.n : (size_t)at);
        return 1;
    }
    if (!str_starts(s->rest, STR("/*")))
        return 0;
    at = str_find_str(str_from(s->rest, 2), STR("*/"));
    if (at < 0)
        return fatal(s, s->line, "this comment is not closed");
    for (ptrdiff_t i = 0; i < at; i++)
        s->line += s->rest.p[2 + i] == '\n';
    s->rest = str_from(s->rest, (size_t)at + 4);
    return 1;
}

static int skip_blank(struct scanner *s)
{
    while (!str_empty(s->rest)) {
        char c = s->rest.p[0];
        int comment;
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            s->line += c == '\n';
            s->rest = str_from(s->rest, 1);
            continue;
        }
        comment = skip_comment(s);
        if (comment <= 0)
            return comment;
    }
    return 0;
}

/* A backslash takes the next character as it is; in single quotes only a quote or a backslash. */
static int take_string(struct scanner *s, struct str *word)
{
    char quote = s->rest.p[0];
    size_t i = 1, n = 0, end = 1;
    char *to;

    while (end < s->rest.n && s->rest.p[end] != quote && s->rest.p[end] != '\n')
        end += s->rest.p[end] == '\\' && end + 1 < s->rest.n && s->rest.p[end + 1] != '\n' ? 2 : 1;
    if (end >= s->rest.n || s->rest.p[end] != quote)
        return fatal(s, s->line, "this string is not closed on its line");
    to = arena_alloc(&s->out->arena, end);
    if (!to)
        return no_memory(s);
    while (i < end) {
        char next = s->rest.p[i + 1];
        if (s->rest.p[i] == '\\' && (quote == '"' || next == '\'' || next == '\\')) {
            if (ascii_alnum(next))
                return fatal(
                    s, s->line, "a backslash before a letter or digit has no meaning here");
            i++;
        }
        to[n++] = s->rest.p[i++];
    }
    *word = str_of(to, n);
    s->rest = str_from(s->rest, end + 1);
    return 0;
}

static int take_token(struct scanner *s, struct token *t)
{
    static const char marks[] = "={},";
    const char *mark;
    size_t n = 0;

    if (skip_blank(s) < 0)
        return -1;
    *t = (struct token){.kind = TOKEN_END, .line = s->line};
    if (str_empty(s->rest))
        return 0;
    mark = memchr(marks, s->rest.p[0], sizeof marks - 1);
    if (mark) {
        static const enum token_kind kinds[] = {TOKEN_EQUALS, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA};
        t->kind = kinds[mark - marks];
        s->rest = str_from(s->rest, 1);
        return 0;
    }
    t->kind = TOKEN_WORD;
    if (s->rest.p[0] == '"' || s->rest.p[0] == '\'')
        return take_string(s, &t->word);
    while (n < s->rest.n && bare(s->rest.p[n]))
        n++;
    if (n == 0)
        return fatal_word(s, s->line, "", str_head(s->rest, 1), " has no place here");
    t->word = str_head(s->rest, n);
    s->rest = str_from(s->rest, n);
    return 0;
}

/* ---- what libConfuse gets */

static void emit(struct scanner *s, unsigned line, struct str text)
{
    for (; s->clean_line < line; s->clean_line++)
        buf_put_c(&s->out->clean, '\n');
    buf_put(&s->out->clean, text);
}

static void emit_word(struct scanner *s, const struct token *t)
{
    emit(s, t->line, STR(" '"));
    for (size_t i = 0; i < t->word.n; i++) {
        if (t->word.p[i] == '\'' || t->word.p[i] == '\\')
            buf_put_c(&s->out->clean, '\\');
        buf_put_c(&s->out->clean, t->word.p[i]);
    }
    buf_put_c(&s->out->clean, '\'');
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_alnum(s.p[i]) && s.p[i] != '-')
            return false;
    return s.n > 0;
}

/* ---- statements */

static uint32_t section_count(const struct scanner *s)
{
    uint32_t count;

    scan_sections(s->out, &count);
    return count;
}

static struct scan_option *last_option(struct scanner *s)
{
    struct str all = buf_str(&s->out->options);
    char *base = s->out->options.p + s->out->options.start;

    return (struct scan_option *)(void *)(base + all.n - sizeof(struct scan_option));
}

static int on_value(struct scanner *s, const struct token *t)
{
    if (s->in_list && s->before == TOKEN_WORD)
        return fatal_word(s, t->line, "a comma is missing before ", t->word, "");
    buf_put(&s->out->value_lines, str_of((const char *)&t->line, sizeof t->line));
    if (buf_ok(&s->out->options))
        last_option(s)->count++;
    emit_word(s, t);
    s->wants_value = false;
    return 0;
}

static int on_word(struct scanner *s, const struct token *t)
{
    if (s->in_list || s->wants_value)
        return on_value(s, t);
    if (s->word_count == WORDS_MAX)
        return fatal_word(s, t->line, "", t->word, " has no place here");
    s->words[s->word_count++] = *t;
    return 0;
}

static int on_equals(struct scanner *s, const struct token *t)
{
    struct scan_option option = {.name = s->words[0].word, .line = s->words[0].line};
    struct str name = s->words[0].word;

    if (s->word_count && str_ends(s->words[s->word_count - 1].word, STR("+")))
        return fatal(s, t->line, "there is no '+=': an option is given once, with its whole list");
    if (s->word_count != 1 || s->wants_value || s->in_list)
        return fatal(s, t->line, "'=' has no place here");
    if (!is_name(name))
        return fatal_word(s, t->line, "", name, " is no name of an option");
    option.section = s->in_section ? section_count(s) - 1 : 0;
    option.first = (uint32_t)(buf_len(&s->out->value_lines) / sizeof(unsigned));
    buf_put(&s->out->options, str_of((const char *)&option, sizeof option));
    emit_word(s, &s->words[0]);
    emit(s, t->line, STR(" ="));
    s->word_count = 0;
    s->wants_value = true;
    return 0;
}

static int open_section(struct scanner *s, const struct token *t)
{
    struct scan_section section = {.name = s->words[0].word, .line = s->words[0].line};
    char number[24];

    if (s->word_count == 0 || s->in_section || !is_name(section.name))
        return fatal(s, t->line, "'{' has no place here");
    if (section_count(s) > SECTIONS_MAX)
        return fatal(s, t->line, "too many sections");
    if (s->word_count == 3) {
        /* Sender routes: the title is two words. */
        if (!str_eq(s->words[1].word, STR("from")))
            return fatal_word(s, t->line, "", s->words[2].word, " has no place here");
        section.title = arena_printf(&s->out->arena, "from %.*s", STR_ARG(s->words[2].word));
        if (!section.title.p)
            return no_memory(s);
    } else if (s->word_count == 2) {
        section.title = s->words[1].word;
    }
    emit_word(s, &s->words[0]);
    if (s->word_count > 1) {
        snprintf(number, sizeof number, " '%u'", section_count(s));
        emit(s, t->line, str_c(number));
    }
    scan_options(s->out, &section.first);
    buf_put(&s->out->sections, str_of((const char *)&section, sizeof section));
    emit(s, t->line, STR(" {"));
    s->word_count = 0;
    s->in_section = true;
    return 0;
}

static int on_open(struct scanner *s, const struct token *t)
{
    if (!s->wants_value)
        return s->in_list ? fatal(s, t->line, "'{' has no place here") : open_section(s, t);
    s->wants_value = false;
    s->in_list = true;
    s->list_line = t->line;
    emit(s, t->line, STR(" {"));
    return 0;
}

static int on_close(struct scanner *s, const struct token *t)
{
    if (s->wants_value)
        return fatal(s, t->line, "a value is missing before this '}'");
    if (s->in_list) {
        if (s->before == TOKEN_COMMA)
            config_problem(s->problems, t->line, "the comma before this '}' is one too many");
        s->in_list = false;
    } else if (s->in_section && s->word_count == 0) {
        s->in_section = false;
    } else if (s->word_count) {
        return fatal_word(
            s, s->words[0].line, "'=' or '{' is missing behind ", s->words[0].word, "");
    } else {
        return fatal(s, t->line, "this '}' closes nothing");
    }
    emit(s, t->line, STR(" }"));
    return 0;
}

static int on_comma(struct scanner *s, const struct token *t)
{
    if (!s->in_list || s->before != TOKEN_WORD)
        return fatal(s, t->line, "this comma has no place here");
    emit(s, t->line, STR(" ,"));
    return 0;
}

static int on_end(struct scanner *s, const struct token *t)
{
    if (s->in_list)
        return fatal(s, s->list_line, "the list that begins here is not closed");
    if (s->wants_value)
        return fatal_word(s, t->line, "the value of ", last_option(s)->name, " is missing");
    if (s->word_count)
        return fatal_word(
            s, s->words[0].line, "'=' or '{' is missing behind ", s->words[0].word, "");
    if (s->in_section) {
        uint32_t count;
        const struct scan_section *all = scan_sections(s->out, &count);
        return fatal_word(s, all[count - 1].line, "the section ", all[count - 1].name,
            " that begins here is not closed");
    }
    return 0;
}

static int on_token(struct scanner *s, const struct token *t)
{
    switch (t->kind) {
    case TOKEN_WORD:
        return on_word(s, t);
    case TOKEN_EQUALS:
        return on_equals(s, t);
    case TOKEN_OPEN:
        return on_open(s, t);
    case TOKEN_CLOSE:
        return on_close(s, t);
    case TOKEN_COMMA:
        return on_comma(s, t);
    case TOKEN_END:
        return on_end(s, t);
    }
    return -1;
}

/* ---- the octets */

static unsigned line_at(struct str text, size_t at)
{
    unsigned line = 1;

    for (size_t i = 0; i < at; i++)
        line += text.p[i] == '\n';
    return line;
}

/* Text, and nothing that an editor would not show. */
static int check_octets(struct scanner *s)
{
    struct str text = s->rest, rest = text;

    if (text.n > CONFIG_SIZE_MAX)
        return fatal(s, 0, "the file is larger than 1 MiB");
    if (str_starts(text, STR("\xef\xbb\xbf")))
        return fatal(s, 1, "the file begins with a byte order mark: save it without");
    while (!str_empty(rest)) {
        size_t at = text.n - rest.n;
        uint32_t point = utf8_next(&rest);
        bool end_of_line = point == '\r' && rest.n && rest.p[0] == '\n';
        if (point == UTF8_INVALID)
            return fatal(s, line_at(text, at), "this line holds octets that are not UTF-8");
        if (point == 0x7F || (point < 0x20 && point != '\t' && point != '\n' && !end_of_line))
            return fatal(s, line_at(text, at), "this line holds a control character");
    }
    return 0;
}

/* ---- what stands there twice */

struct key {
    uint32_t owner; /* the section of an option; UINT32_MAX for sections */
    struct str name, title;
    unsigned line;
};

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    int order = (a->owner > b->owner) - (a->owner < b->owner);

    if (!order)
        order = str_cmp(a->name, b->name);
    if (!order)
        order = str_cmp(a->title, b->title);
    return order ? order : (a->line > b->line) - (a->line < b->line);
}

static void report_twice(struct scanner *s, const struct key *first, const struct key *again)
{
    char name[SHOWN_MAX], title[SHOWN_MAX];

    escape_copy(name, sizeof name, again->name, ESCAPE_TEXT);
    escape_copy(title, sizeof title, again->title, ESCAPE_TEXT);
    config_problem(s->problems, again->line, "%s%s%s%s stands here again: line %u has it already",
        name, title[0] ? " '" : "", title, title[0] ? "'" : "", first->line);
}

static void find_twice(struct scanner *s)
{
    uint32_t options, sections;
    const struct scan_option *option = scan_options(s->out, &options);
    const struct scan_section *section = scan_sections(s->out, &sections);
    struct key *keys = arena_array(&s->out->arena, (size_t)options + sections, sizeof *keys);
    size_t n = 0;

    if (!keys) {
        no_memory(s);
        return;
    }
    for (uint32_t i = 0; i < options; i++)
        keys[n++] = (struct key){option[i].section, option[i].name, STR_NONE, option[i].line};
    for (uint32_t i = 1; i < sections; i++)
        keys[n++] = (struct key){UINT32_MAX, section[i].name, section[i].title, section[i].line};
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (keys[i].owner == keys[i - 1].owner && str_eq(keys[i].name, keys[i - 1].name) &&
            str_eq(keys[i].title, keys[i - 1].title))
            report_twice(s, &keys[i - 1], &keys[i]);
}

static void count_options(struct scanner *s)
{
    uint32_t options, sections;
    const struct scan_option *option = scan_options(s->out, &options);
    struct scan_section *section =
        (struct scan_section *)(void *)(s->out->sections.p + s->out->sections.start);

    scan_sections(s->out, &sections);
    for (uint32_t i = 0; i < options; i++)
        section[option[i].section].count++;
    /* Options outside of sections may stand anywhere. */
    section[0].first = 0;
    section[0].count = options;
}

void config_scan(struct config_scan *out, struct str text, struct config_problem_list *problems)
{
    const struct scan_section top = {0};
    struct scanner s = {.out = out,
        .problems = problems,
        .rest = text,
        .line = 1,
        .clean_line = 1,
        .before = TOKEN_END};
    struct token t = {.kind = TOKEN_COMMA};

    *out = (struct config_scan){.fatal_line = UINT_MAX};
    arena_init(&out->arena, (size_t)64 << 20);
    buf_init(&out->clean, 8 * CONFIG_SIZE_MAX);
    buf_init(&out->sections, (size_t)32 << 20);
    buf_init(&out->options, (size_t)32 << 20);
    buf_init(&out->value_lines, (size_t)32 << 20);
    buf_put(&out->sections, str_of((const char *)&top, sizeof top));
    if (!buf_ok(&out->sections) || check_octets(&s) < 0)
        goto out;
    while (t.kind != TOKEN_END) {
        if (take_token(&s, &t) < 0 || on_token(&s, &t) < 0 || !buf_ok(&out->options))
            break;
        s.before = t.kind;
    }
    /* So that what libConfuse says of the text's end comes no earlier than our own reason. */
    if (out->fatal_line != UINT_MAX)
        emit(&s, out->fatal_line, STR(""));
    find_twice(&s);
    count_options(&s);
out:
    if (!buf_ok(&out->sections) || !buf_ok(&out->options) || !buf_ok(&out->value_lines) ||
        !buf_ok(&out->clean))
        no_memory(&s);
}

void config_scan_done(struct config_scan *s)
{
    arena_done(&s->arena);
    buf_done(&s->clean);
    buf_done(&s->sections);
    buf_done(&s->options);
    buf_done(&s->value_lines);
}
