#include "cmd/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/veredus/veredus.conf"

enum {
    WORDS_MAX = 3, /* of a command */
};

/* Does the row's n-th word equal this one? Words are separated by one space. */
static bool row_word(const struct cmd_row *row, unsigned n, const char *word)
{
    struct str rest = str_c(row->words), head;

    while (n--)
        str_cut(&rest, ' ', &head);
    str_cut(&rest, ' ', &head);
    return str_eq(head, str_c(word));
}

static unsigned row_words(const struct cmd_row *row)
{
    unsigned n = 1;

    for (const char *p = row->words; *p; p++)
        n += *p == ' ';
    return n;
}

static void help_row(const struct cmd_row *row)
{
    printf("usage: veredus %s%s%s [options]\n%s\n\noptions:\n", row->words,
        *row->arguments ? " " : "", row->arguments, row->help);
    for (const struct cmd_option *o = row->options; o < row->options + CMD_OPTIONS_MAX && o->name;
         o++) {
        char left[64];
        snprintf(
            left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-26s %s\n", left, o->help);
    }
    printf("  %-26s %s\n", "-c FILE",
        "the configuration (else $VEREDUS_CONFIG, else " DEFAULT_CONFIG ")");
    printf("  %-26s %s\n", "--json", "print JSON");
    printf("  %-26s %s\n", "--help", "print this");
}

static void help_all(const char *group)
{
    if (!group)
        printf("veredus " VEREDUS_VERSION
               ": a mail server and mail delivery platform in one program\n\n"
               "usage: veredus COMMAND [arguments] [options]\n\n");
    for (size_t i = 0; i < cmd_row_count; i++) {
        const struct cmd_row *row = &cmd_rows[i];
        char left[64];
        if (group && !row_word(row, 0, group))
            continue;
        snprintf(left, sizeof left, "%s %s", row->words, row->arguments);
        printf("  %-40s %s\n", left, row->help);
    }
    if (!group)
        printf("  %-40s %s\n\n"
               "-c FILE names the configuration (else $VEREDUS_CONFIG, else " DEFAULT_CONFIG ").\n"
               "`veredus COMMAND --help` tells more.\n",
            "send [sendmail options] [ADDRESS...]", "submit a message as sendmail(8) does");
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < cmd_row_count; i++)
        if (row_words(&cmd_rows[i]) > 1 && row_word(&cmd_rows[i], 0, word))
            return true;
    return false;
}

static const struct cmd_row *find_row(const char **args, unsigned count, unsigned *words)
{
    for (size_t i = 0; i < cmd_row_count; i++) {
        const struct cmd_row *row = &cmd_rows[i];
        bool fits;
        *words = row_words(row);
        fits = count >= *words;
        for (unsigned w = 0; fits && w < *words; w++)
            fits = row_word(row, w, args[w]);
        if (fits)
            return row;
    }
    return NULL;
}

/* Whether the next word belongs to this option. A name takes a value in all rows or in none. */
static bool has_value_apart(const char *word)
{
    if (strcmp(word, "-c") == 0 || strcmp(word, "--config") == 0)
        return true;
    for (size_t i = 0; i < cmd_row_count; i++)
        for (const struct cmd_option *o = cmd_rows[i].options;
             o < cmd_rows[i].options + CMD_OPTIONS_MAX && o->name; o++)
            if (o->value && strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0)
                return true;
    return false;
}

/* The words of the command stand first among what is no option, so that options may stand before.
 */
static const struct cmd_row *row_of(int argc, char **argv, const char **args, unsigned *words)
{
    unsigned count = 0;

    for (int i = 1; i < argc && count < WORDS_MAX; i++) {
        if (has_value_apart(argv[i]))
            i++;
        else if (argv[i][0] != '-')
            args[count++] = argv[i];
    }
    return find_row(args, count, words);
}

static enum cmd_parsed usage(const char *format, const char *what)
{
    fputs("veredus: ", stderr);
    fprintf(stderr, "%s \"%s\"; try veredus --help\n", format, what);
    return CMD_PARSED_USAGE;
}

/* --name, --name=value or --name value; *i is moved past the value. */
static enum cmd_parsed take_option(struct cmd *c, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);

    for (unsigned o = 0; o < CMD_OPTIONS_MAX && c->row && c->row->options[o].name; o++) {
        const struct cmd_option *option = &c->row->options[o];
        if (!str_eq(str_c(option->name), str_of(name, n)))
            continue;
        if (!option->value) {
            if (equals)
                return usage("this option takes no value:", argv[*i]);
            c->values[o] = "";
        } else if (equals) {
            c->values[o] = equals + 1;
        } else if (*i + 1 < argc) {
            c->values[o] = argv[++*i];
        } else {
            return usage("a value is missing after", argv[*i]);
        }
        return CMD_PARSED_RUN;
    }
    return usage("unknown option", argv[*i]);
}

static bool asks_version(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--version") == 0;
}

static enum cmd_parsed take(struct cmd *c, const char **args, int argc, char **argv, bool *help)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0) {
            while (++i < argc)
                args[c->count++] = argv[i];
        } else if (strcmp(word, "-c") == 0 || strcmp(word, "--config") == 0) {
            if (++i == argc)
                return usage("a file is missing after", word);
            c->config_path = argv[i];
        } else if (strcmp(word, "--json") == 0) {
            c->json = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            *help = true;
        } else if (strncmp(word, "--", 2) == 0) {
            if (!c->row) { /* which options there are is known with the command only */
                i += has_value_apart(word) && i + 1 < argc;
                continue;
            }
            if (take_option(c, argc, argv, &i) != CMD_PARSED_RUN)
                return CMD_PARSED_USAGE;
        } else if (word[0] == '-' && word[1]) {
            return usage("unknown option", word);
        } else {
            args[c->count++] = word;
        }
    }
    return CMD_PARSED_RUN;
}

static enum cmd_parsed no_row(const struct cmd *c, bool help)
{
    if (help && c->count == 0) {
        help_all(NULL);
        return CMD_PARSED_HELP;
    }
    if (c->count == 0) {
        fputs("veredus: a command is missing; try veredus --help\n", stderr);
        return CMD_PARSED_USAGE;
    }
    if (is_group(c->args[0])) {
        if (help || c->count == 1) {
            help_all(c->args[0]);
            return help ? CMD_PARSED_HELP : CMD_PARSED_USAGE;
        }
        fprintf(stderr, "veredus: unknown command \"%s %s\"; try veredus %s --help\n", c->args[0],
            c->args[1], c->args[0]);
        return CMD_PARSED_USAGE;
    }
    return usage("unknown command", c->args[0]);
}

enum cmd_parsed cmd_parse(struct cmd *c, const char **args, int argc, char **argv)
{
    const char *path = getenv("VEREDUS_CONFIG");
    unsigned words = 0;
    bool help = false;

    *c = (struct cmd){.program = argv[0], .args = args};
    c->config_path = path && *path ? path : DEFAULT_CONFIG;
    if (asks_version(argc, argv)) {
        printf("veredus " VEREDUS_VERSION "\n");
        return CMD_PARSED_HELP;
    }
    c->row = row_of(argc, argv, args, &words);
    if (take(c, args, argc, argv, &help) != CMD_PARSED_RUN)
        return CMD_PARSED_USAGE;
    if (!c->row)
        return no_row(c, help);
    if (help) {
        help_row(c->row);
        return CMD_PARSED_HELP;
    }
    c->args += words;
    c->count -= words;
    if (c->count < c->row->least || c->count > c->row->most) {
        fprintf(stderr, "veredus: usage: veredus %s %s\n", c->row->words, c->row->arguments);
        return CMD_PARSED_USAGE;
    }
    return CMD_PARSED_RUN;
}

const char *cmd_value(const struct cmd *c, const char *name)
{
    for (unsigned o = 0; c->row && o < CMD_OPTIONS_MAX && c->row->options[o].name; o++)
        if (strcmp(c->row->options[o].name, name) == 0)
            return c->values[o];
    return NULL;
}

bool cmd_has(const struct cmd *c, const char *name)
{
    return cmd_value(c, name) != NULL;
}
