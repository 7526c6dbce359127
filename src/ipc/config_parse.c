#include <confuse.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/escape.h"
#include "base/mem.h"

#include "ipc/config_int.h"

/* From the rows come libConfuse's options, all of them strings and lists of strings; libConfuse
 * reads what config_scan() made of the file; its tree is walked by the rows again. */

struct parse {
    struct config *c;
    struct config_scan scan;
    struct config_problem_list problems;
    unsigned fatal_line;    /* UINT_MAX where everything was read */
    uint32_t *elements[16]; /* of each titled section: which section of the scan element i is */
};

/* libConfuse's error function gets no argument of ours. */
static struct parse *parsing;

void config_problem(struct config_problem_list *list, unsigned line, const char *format, ...)
{
    struct config_problems *p = list->p;
    char text[400];
    struct str copy;
    va_list args;

    if (p->count >= CONFIG_PROBLEMS_MAX)
        return;
    if (p->count == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 8;
        struct config_problem *v = arena_array(list->arena, cap, sizeof *v);
        if (!v) {
            list->out_of_memory = true;
            return;
        }
        if (p->count)
            memcpy(v, p->v, p->count * sizeof *v);
        p->v = v;
        p->cap = cap;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!arena_dup(list->arena, str_c(text), &copy))
        list->out_of_memory = true;
    else
        p->v[p->count++] = (struct config_problem){line, copy};
}

/* ---- options for libConfuse */

static void make_options(const struct config_section *s, cfg_opt_t *to)
{
    size_t n = 0;

    for (; n < s->count; n++) {
        const struct config_row *row = &s->rows[n];
        if (config_row_is_list(row))
            to[n] = (cfg_opt_t)CFG_STR_LIST(row->name, NULL, CFGF_NODEFAULT);
        else
            to[n] = (cfg_opt_t)CFG_STR(row->name, NULL, CFGF_NODEFAULT);
    }
    if (!s->name)
        for (size_t i = 0; i < config_section_count; i++) {
            const struct config_section *sub = &config_sections[i];
            cfg_flag_t flags = sub->titled ? CFGF_MULTI | CFGF_TITLE : CFGF_NODEFAULT;
            if (sub->name)
                to[n++] = (cfg_opt_t)CFG_SEC(sub->name, NULL, flags);
        }
    to[n] = (cfg_opt_t)CFG_END();
}

/* All tables of options in one allocation: the top's first, whose sections point at the others. */
static cfg_opt_t *make_all_options(void)
{
    size_t total = config_section_count, n = 0, top = 0;
    cfg_opt_t *all;

    for (size_t i = 0; i < config_section_count; i++)
        total += config_sections[i].count + 1;
    all = mem_array(total, sizeof *all);
    if (!all)
        return NULL;
    for (size_t i = 0; i < config_section_count; i++) {
        const struct config_section *s = &config_sections[i];
        make_options(s, all + n);
        if (!s->name)
            top = s->count;
        else
            all[top++].subopts = all + n;
        n += s->count + 1 + (s->name ? 0 : config_section_count - 1);
    }
    return all;
}

/* ---- what libConfuse says */

static void fatal_at(struct parse *p, unsigned line, const char *text)
{
    if (line >= p->fatal_line)
        return; /* what the scan has said is the reason */
    p->fatal_line = line;
    config_problem(&p->problems, line, "%s", text);
}

__attribute__((format(printf, 2, 0))) static void on_confuse_error(
    cfg_t *cfg, const char *format, va_list args)
{
    struct parse *p = parsing;
    char said[160], text[200];
    bool top = !cfg->name || strcmp(cfg->name, "root") == 0;

    vsnprintf(said, sizeof said, format, args);
    snprintf(text, sizeof text, "%s%s%s", top ? "" : cfg->name, top ? "" : ": ", said);
    fatal_at(p, cfg->line > 0 ? (unsigned)cfg->line : 0, text);
}

/* ---- lines */

static const struct scan_option *scan_option_of(
    const struct parse *p, uint32_t section, const char *name)
{
    uint32_t count;
    const struct scan_section *in = &scan_sections(&p->scan, &count)[section];
    const struct scan_option *all = scan_options(&p->scan, &count);

    for (uint32_t i = in->first + in->count; i > in->first; i--)
        if (all[i - 1].section == section && str_eq(all[i - 1].name, str_c(name)))
            return &all[i - 1];
    return NULL;
}

static unsigned value_line(const struct parse *p, const struct scan_option *option, uint32_t i)
{
    const unsigned *lines = (const unsigned *)(const void *)buf_str(&p->scan.value_lines).p;

    if (!option)
        return 0;
    return i < option->count ? lines[option->first + i] : option->line;
}

static unsigned section_line(const struct parse *p, uint32_t section)
{
    uint32_t count;

    return scan_sections(&p->scan, &count)[section].line;
}

/* The last section of this name, as libConfuse keeps it; 0 (the top) where there is none. */
static uint32_t scan_section_of(const struct parse *p, const char *name)
{
    uint32_t count;
    const struct scan_section *all = scan_sections(&p->scan, &count);

    while (count > 1 && !str_eq(all[count - 1].name, str_c(name)))
        count--;
    return count - 1;
}

/* ---- the walk */

static void problem_in(struct parse *p, unsigned line, const struct config_section *s,
    uint32_t scanned, const char *option, const char *text)
{
    char title[64];
    uint32_t count;
    struct str t = scan_sections(&p->scan, &count)[scanned].title;

    escape_copy(title, sizeof title, t, ESCAPE_TEXT);
    config_problem(&p->problems, line, "%s%s%s%s%s%s: %s", s->name ? s->name : "",
        title[0] ? " '" : "", title, title[0] ? "'" : "", s->name && option ? " " : "",
        option ? option : "", text);
}

static void value_problem(struct parse *p, unsigned line, const struct config_section *s,
    uint32_t scanned, const struct config_row *row, struct str value, const struct err *e)
{
    char shown[64], text[sizeof e->text + 80];

    escape_copy(shown, sizeof shown, value, ESCAPE_TEXT);
    snprintf(text, sizeof text, "'%s': %s", shown, e->text);
    problem_in(p, line, s, scanned, row->name, text);
}

static int absent_value(struct parse *p, const struct config_section *s, uint32_t scanned,
    const struct config_row *row, void *section)
{
    struct err e;

    if (row->flags & ROW_REQUIRED) {
        if (p->fatal_line == UINT_MAX)
            problem_in(p, section_line(p, scanned), s, scanned, row->name, "missing");
        return 0;
    }
    if (row->derive)
        return row->derive(p->c, section) ? 0 : -1;
    if (config_preset(&p->c->arena, row, config_field(section, row), &e) < 0) {
        CHECK(e.class == ERR_TEMPORARY); /* no memory: the presets are sound */
        return -1;
    }
    return 0;
}

static void walk_row(struct parse *p, const struct config_section *s, cfg_t *cfg, uint32_t scanned,
    const struct config_row *row, void *section)
{
    cfg_opt_t *opt = cfg ? cfg_getopt(cfg, row->name) : NULL;
    const struct scan_option *option = cfg ? scan_option_of(p, scanned, row->name) : NULL;
    unsigned count = opt ? cfg_opt_size(opt) : 0;
    void *field = config_field(section, row);
    struct err e;

    if (!option || (count == 0 && !config_row_is_list(row))) {
        if (absent_value(p, s, scanned, row, section) < 0)
            p->problems.out_of_memory = true;
        return;
    }
    if (config_row_is_list(row) && config_list_make(&p->c->arena, row, field, count, &e) < 0) {
        problem_in(p, option->line, s, scanned, row->name, e.text);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        struct str value = str_c(cfg_opt_getnstr(opt, i));
        if (config_value_parse(&p->c->arena, row, field, i, value, &e) < 0)
            value_problem(p, value_line(p, option, i), s, scanned, row, value, &e);
    }
}

static void walk_section(
    struct parse *p, const struct config_section *s, cfg_t *cfg, uint32_t scanned, void *section)
{
    for (size_t i = 0; i < s->count; i++)
        walk_row(p, s, cfg, scanned, &s->rows[i], section);
}

static void walk_titled(struct parse *p, size_t which, cfg_t *top)
{
    const struct config_section *s = &config_sections[which];
    unsigned count = cfg_size(top, s->name);
    uint32_t scan_count;
    const struct scan_section *all = scan_sections(&p->scan, &scan_count);

    if (count > s->most) {
        config_problem(&p->problems, 0, "more than %u sections %s", s->most, s->name);
        return;
    }
    if (s->required && count == 0 && p->fatal_line == UINT_MAX)
        config_problem(&p->problems, 0, "there is no %s section", s->name);
    p->elements[which] = arena_array(&p->scan.arena, count, sizeof *p->elements[which]);
    if (!p->elements[which] || !config_elements_make(p->c, s, count)) {
        p->problems.out_of_memory = true;
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        cfg_t *cfg = cfg_getnsec(top, s->name, i);
        uint64_t scanned = 0;
        void *element = config_element(p->c, s, i);
        struct err e;
        CHECK(str_to_u64(str_c(cfg_title(cfg)), scan_count - 1, &scanned));
        p->elements[which][i] = (uint32_t)scanned;
        if (s->sound_title(all[scanned].title, &e) < 0)
            problem_in(p, all[scanned].line, s, (uint32_t)scanned, NULL, e.text);
        else if (!arena_dup(&p->c->arena, all[scanned].title, element))
            p->problems.out_of_memory = true;
        walk_section(p, s, cfg, (uint32_t)scanned, element);
    }
}

static void walk(struct parse *p, cfg_t *top)
{
    for (size_t i = 0; i < config_section_count; i++) {
        const struct config_section *s = &config_sections[i];
        uint32_t scanned = s->name ? scan_section_of(p, s->name) : 0;
        if (s->titled)
            walk_titled(p, i, top);
        else if (!s->name)
            walk_section(p, s, top, 0, p->c);
        else
            walk_section(p, s, scanned ? cfg_getnsec(top, s->name, 0) : NULL, scanned,
                config_section_at(p->c, s));
    }
}

/* ---- checks over several options */

struct parse_checker {
    struct config_checker k;
    struct parse *p;
};

static void report_with_line(struct config_checker *k, const struct config_section *s, uint32_t i,
    const char *option, const char *text)
{
    struct parse *p = ((struct parse_checker *)(void *)k)->p;
    uint32_t scanned;
    const struct scan_option *at;
    unsigned line;

    scanned = s->titled ? p->elements[s - config_sections][i] : scan_section_of(p, s->name);
    at = scan_option_of(p, scanned, option);
    line = at ? at->line : section_line(p, scanned);
    problem_in(p, line, s, scanned, option, text);
}

/* ---- all together */

static void read_tree(struct parse *p, cfg_t *top)
{
    struct parse_checker check = {{report_with_line}, p};
    int result;

    cfg_set_error_function(top, on_confuse_error);
    parsing = p;
    result = cfg_parse_buf(top, p->scan.clean.p);
    parsing = NULL;
    if (result != CFG_SUCCESS && p->fatal_line == UINT_MAX)
        fatal_at(p, 0, "this is no configuration");
    walk(p, top);
    if (p->problems.p->count == 0 && !p->problems.out_of_memory)
        config_check(p->c, &check.k);
}

/* By line, those without a line first, and none behind the one that ended the reading. */
static void sort_problems(struct config_problems *p, unsigned fatal_line)
{
    uint32_t kept = 0;

    for (uint32_t i = 1; i < p->count; i++) {
        struct config_problem problem = p->v[i];
        uint32_t at = i;
        for (; at > 0 && p->v[at - 1].line > problem.line; at--)
            p->v[at] = p->v[at - 1];
        p->v[at] = problem;
    }
    for (uint32_t i = 0; i < p->count; i++)
        if (p->v[i].line <= fatal_line)
            p->v[kept++] = p->v[i];
    p->count = kept;
}

struct config *config_parse(struct str text, struct arena *arena, struct config_problems *problems)
{
    struct parse p = {.problems = {arena, problems, false}};
    cfg_opt_t *options = make_all_options();
    cfg_t *top = options ? cfg_init(options, CFGF_NONE) : NULL;

    CHECK(config_section_count <= sizeof p.elements / sizeof *p.elements);
    *problems = (struct config_problems){0};
    p.c = config_new();
    config_scan(&p.scan, text, &p.problems);
    p.fatal_line = p.scan.fatal_line;
    if (buf_put(&p.scan.clean, str_of("\n", 2)) < 0 || !top || !p.c)
        p.problems.out_of_memory = true;
    if (!p.problems.out_of_memory)
        read_tree(&p, top);
    sort_problems(problems, p.fatal_line);
    if (p.problems.out_of_memory)
        config_problem(&p.problems, 0, "out of memory");
    if (top)
        cfg_free(top);
    mem_free(options);
    config_scan_done(&p.scan);
    if (p.problems.out_of_memory || problems->count) {
        config_free(p.c);
        return NULL;
    }
    return p.c;
}
