#include "cmd/sendmail_args.h"

#include <string.h>

/* Options with a value, and switches, beyond those that mean something here. */
static const char ignored_with_value[] = "ABdhLOpXD";
static const char ignored_switches[] = "GImnUvE";

static int set_mode(struct sendmail_args *a, const char *value, struct err *e)
{
    switch (*value) {
    case 'm':
        a->mode = SENDMAIL_SUBMIT;
        return 0;
    case 's':
        a->mode = SENDMAIL_SMTP;
        return 0;
    case 'p':
        a->mode = SENDMAIL_QUEUE;
        return 0;
    case 'i':
        a->mode = SENDMAIL_NOTHING;
        return 0;
    default:
        return err_set(e, ERR_PERMANENT, "send", "-b%s: this mode is not known", value);
    }
}

static int set_value(struct sendmail_args *a, char option, const char *value, struct err *e)
{
    switch (option) {
    case 'b':
        return set_mode(a, value, e);
    case 'C':
    case 'c':
        a->config_path = value;
        return 0;
    case 'f':
    case 'r':
        a->from = value;
        return 0;
    case 'F':
        a->full_name = value;
        return 0;
    case 'N':
        a->notify = value;
        return 0;
    case 'R':
        a->ret = value;
        return 0;
    case 'V':
        a->envid = value;
        return 0;
    case 'o':
        a->ignore_dots |= strcmp(value, "i") == 0;
        return 0;
    default:
        return 0;
    }
}

static bool takes_value(char option)
{
    return option && (strchr("bCcfrFNRVo", option) || strchr(ignored_with_value, option));
}

static bool take_switch(struct sendmail_args *a, char option)
{
    if (option == 't')
        a->from_headers = true;
    else if (option == 'i')
        a->ignore_dots = true;
    else if (option == 'q')
        a->mode = SENDMAIL_NOTHING;
    else
        return strchr(ignored_switches, option) != NULL;
    return true;
}

/* One word of options; *i moves past a value that stands apart. */
static int take_word(struct sendmail_args *a, int argc, char **argv, int *i, struct err *e)
{
    for (const char *at = argv[*i] + 1; *at; at++) {
        if (takes_value(*at)) {
            const char *value = at[1] ? at + 1 : (*i + 1 < argc ? argv[++*i] : NULL);
            if (!value)
                return err_set(e, ERR_PERMANENT, "send", "-%c: a value is missing", *at);
            return set_value(a, *at, value, e);
        }
        if (*at == 'q') {
            take_switch(a, *at);
            return 0; /* -q15m: the interval is Sendmail's affair */
        }
        if (!take_switch(a, *at))
            return err_set(e, ERR_PERMANENT, "send", "-%c: unknown option", *at);
    }
    return 0;
}

int sendmail_parse(struct sendmail_args *a, const char **rcpt, int argc, char **argv, struct err *e)
{
    const char *slash = strrchr(argv[0], '/');
    bool options = true;

    *a = (struct sendmail_args){.rcpt = rcpt};
    if (strcmp(slash ? slash + 1 : argv[0], "mailq") == 0)
        a->mode = SENDMAIL_QUEUE;
    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && strcmp(argv[i], "--smtputf8") == 0)
            a->smtputf8 = true;
        else if (options && strcmp(argv[i], "--help") == 0)
            a->mode = SENDMAIL_HELP;
        else if (options && argv[i][0] == '-' && argv[i][1]) {
            if (take_word(a, argc, argv, &i, e) < 0)
                return -1;
        } else
            rcpt[a->rcpts++] = argv[i];
    }
    return 0;
}
