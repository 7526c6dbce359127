#include "base/units.h"

#include "ipc/config_int.h"

enum {
    COMMENT_WIDTH = 96
};

static bool numeric(const struct config_row *row)
{
    return row->type == ROW_COUNT || row->type == ROW_SIZE || row->type == ROW_TIME ||
           row->type == ROW_TIMES;
}

/* What may stand there: the words, or the range. */
static void put_choice(const struct config_row *row, struct buf *out)
{
    if (row->type == ROW_WORD) {
        for (size_t i = 0; row->words[i]; i++)
            buf_printf(out, "%s%s", i ? ", " : "", row->words[i]);
    } else if (row->type == ROW_BOOL) {
        buf_put(out, STR("yes, no"));
    } else if (numeric(row)) {
        if (row->flags & ROW_ZERO && row->least > 0)
            buf_put(out, STR("0, "));
        config_limits_put(row, out);
    }
}

static void put_list(struct str values, struct buf *out)
{
    struct str value;

    buf_put(out, STR("{"));
    for (bool first = true; !str_empty(values); first = false) {
        str_cut(&values, ' ', &value);
        buf_printf(out, "%s\"%.*s\"", first ? "" : ", ", STR_ARG(value));
    }
    buf_put(out, STR("}"));
}

static void put_preset(const struct config_row *row, struct buf *out)
{
    struct str preset = str_c(row->preset);
    bool bare = row->type == ROW_BOOL || row->type == ROW_WORD || row->type == ROW_COUNT;

    if (config_row_is_list(row))
        put_list(preset, out);
    else if (bare)
        buf_put(out, preset);
    else
        buf_printf(out, "\"%.*s\"", STR_ARG(preset));
}

/* ---- the sample */

/* Words of text in comment lines. */
static void put_comment(struct str text, const char *indent, struct buf *out)
{
    size_t width = COMMENT_WIDTH - strlen(indent), column = 0;
    struct str word;

    while (!str_empty(text)) {
        str_cut(&text, ' ', &word);
        if (column == 0 || column + 1 + word.n > width) {
            buf_printf(out, "%s%s#", column ? "\n" : "", indent);
            column = 1;
        }
        buf_printf(out, " %.*s", STR_ARG(word));
        column += 1 + word.n;
    }
    buf_put(out, STR("\n"));
}

static void sample_row(const struct config_row *row, const char *indent, struct buf *out)
{
    struct buf note;

    buf_put(out, STR("\n"));
    buf_init(&note, 2048);
    buf_printf(&note, "%s", row->sentence);
    if (row->type == ROW_WORD || row->type == ROW_BOOL || numeric(row)) {
        buf_put(&note, STR(" ("));
        put_choice(row, &note);
        buf_put(&note, STR(")"));
    }
    if (row->rfc)
        buf_printf(&note, " [%s]", row->rfc);
    put_comment(buf_str(&note), indent, out);
    buf_done(&note);
    buf_printf(out, "%s# %s = ", indent, row->name);
    if (row->preset && !row->otherwise)
        put_preset(row, out);
    else if (row->otherwise)
        buf_printf(out, "…    default: %s", row->otherwise);
    else
        buf_put(out, config_row_is_list(row) ? STR("{}") : STR("…"));
    buf_put(out, STR("\n"));
}

static void sample_example(struct str example, struct buf *out)
{
    struct str line;

    str_cut(&example, '\n', &line);
    buf_printf(out, " %.*s {\n", STR_ARG(line));
    while (!str_empty(example)) {
        str_cut(&example, '\n', &line);
        buf_printf(out, "    %.*s\n", STR_ARG(line));
    }
}

static void sample_section(const struct config_section *s, struct buf *out)
{
    bool live = s->name && strcmp(s->name, "listen") == 0;
    struct buf body;

    buf_put(out, STR("\n"));
    put_comment(str_c(s->sentence), "", out);
    buf_init(&body, 1 << 16);
    buf_put(&body, str_c(s->name));
    if (s->example)
        sample_example(str_c(s->example), &body);
    else
        buf_put(&body, STR(" {\n"));
    for (size_t i = 0; i < s->count; i++)
        if (!(s->rows[i].flags & ROW_REQUIRED))
            sample_row(&s->rows[i], "    ", &body);
    buf_put(&body, STR("}\n"));
    /* A section of which there need be none is a comment as a whole. */
    for (struct str rest = buf_str(&body), line; !str_empty(rest);) {
        str_cut(&rest, '\n', &line);
        if (s->titled && !live && !str_empty(line))
            buf_put(out, STR("# "));
        buf_put(out, line);
        buf_put(out, STR("\n"));
    }
    buf_done(&body);
}

void config_sample(struct buf *out)
{
    const struct config_section *top = &config_sections[0];

    put_comment(STR("The configuration of veredus. Needed are hostname, data and one listen "
                    "section; every other option stands here with its default. Sizes are octets or "
                    "have K, M, G; times are "
                    "seconds or have ms, s, m, h, d, w. See veredus.conf(5)."),
        "", out);
    buf_put(out, STR("\nhostname = \"mx1.example.org\"\ndata     = \"/var/lib/veredus\"\n"));
    for (size_t i = 0; i < top->count; i++)
        if (!(top->rows[i].flags & ROW_REQUIRED))
            sample_row(&top->rows[i], "", out);
    for (size_t i = 1; i < config_section_count; i++)
        sample_section(&config_sections[i], out);
}

/* ---- the manual */

/* mdoc: a line that begins with '.' or ''' would be a request, '\' an escape. */
static void put_mdoc(struct str text, struct buf *out)
{
    if (str_starts(text, STR(".")) || str_starts(text, STR("'")))
        buf_put(out, STR("\\&"));
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\')
            buf_put(out, STR("\\e"));
        else
            buf_put_c(out, text.p[i]);
    }
}

static void manual_row(const struct config_row *row, struct buf *out)
{
    static const char *const types[] = {[ROW_TEXT] = "text",
        [ROW_BOOL] = "yes | no",
        [ROW_WORD] = "word",
        [ROW_COUNT] = "number",
        [ROW_SIZE] = "size",
        [ROW_TIME] = "time",
        [ROW_TEXTS] = "list of texts",
        [ROW_TIMES] = "list of times",
        [ROW_NETWORKS] = "list of networks"};

    buf_printf(out, ".It Ic %s No = Ar %s\n", row->name, types[row->type]);
    put_mdoc(str_c(row->sentence), out);
    buf_put(out, STR("\n"));
    if (row->type == ROW_WORD || numeric(row)) {
        buf_put(out, STR("Allowed: "));
        put_choice(row, out);
        buf_put(out, STR(".\n"));
    }
    if (row->flags & ROW_REQUIRED)
        buf_put(out, STR("Required.\n"));
    else if (row->otherwise)
        buf_printf(out, "Default: %s.\n", row->otherwise);
    else if (row->preset) {
        buf_put(out, STR("Default: "));
        put_preset(row, out);
        buf_put(out, STR(".\n"));
    }
    if (row->rfc)
        buf_printf(out, "See %s.\n", row->rfc);
}

void config_manual(struct buf *out)
{
    for (size_t i = 0; i < config_section_count; i++) {
        const struct config_section *s = &config_sections[i];
        if (s->name)
            buf_printf(out, ".Ss %s%s\n", s->name, s->titled ? " \\(dqTITLE\\(dq" : "");
        else
            buf_put(out, STR(".Ss Outside of sections\n"));
        put_mdoc(str_c(s->sentence), out);
        buf_put(out, STR("\n.Bl -tag -width Ds\n"));
        for (size_t n = 0; n < s->count; n++)
            manual_row(&s->rows[n], out);
        buf_put(out, STR(".El\n"));
    }
}
