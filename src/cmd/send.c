#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/timefmt.h"

#include "ipc/config.h"

#include "cmd/cmd.h"
#include "cmd/pipe.h"
#include "cmd/say.h"
#include "cmd/sendmail_args.h"
#include "cmd/sendmail_message.h"

enum {
    ARENA_MAX = 32 << 20,
    INPUT_MAX = 1 << 30,
    PATH_SIZE = 1024,
};

struct send {
    struct sendmail_args args;
    struct config *config;
    struct arena arena;
    struct buf content;
    const char **rcpt;
    uint32_t rcpts;
    const char *from;
    int status;
};

static int fail(int status, const struct err *e)
{
    cmd_fail_err(e);
    return status;
}

/* Unqualified names get the origin. */
static const char *qualify(struct send *s, struct str address)
{
    struct str full = address;

    if (str_find(address, '@') < 0 && address.n)
        full = arena_printf(&s->arena, "%.*s@%.*s", STR_ARG(address), STR_ARG(s->config->origin));
    else if (!arena_dup(&s->arena, address, &full))
        full = STR_NONE;
    return full.p;
}

static const char *login_name(void)
{
    const struct passwd *user = getpwuid(getuid());

    return user ? user->pw_name : "nobody";
}

/* "a@b", "<a@b>", or the null reverse-path as "" and "<>". */
static const char *reverse_path(struct send *s)
{
    struct str from = str_c(s->args.from ? s->args.from : login_name());

    if (from.n >= 2 && from.p[0] == '<' && from.p[from.n - 1] == '>')
        from = str_sub(from, 1, from.n - 2);
    return from.n ? qualify(s, from) : "";
}

static bool safe(const char *text)
{
    for (; text && *text; text++)
        if (ascii_control(*text))
            return false;
    return text != NULL;
}

static bool ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text > 127)
            return false;
    return true;
}

static bool wants_utf8(const struct send *s)
{
    bool wants = s->args.smtputf8 || !ascii(s->from);

    for (uint32_t i = 0; i < s->rcpts; i++)
        wants |= !ascii(s->rcpt[i]);
    return wants;
}

/* Plain addresses are taken as they are; others are written as in a header field. */
static int take_arguments(struct send *s, struct sendmail_message *m, struct err *e)
{
    for (unsigned i = 0; i < s->args.rcpts; i++) {
        struct str text = str_c(s->args.rcpt[i]);
        if (!safe(text.p) || !strpbrk(text.p, "<>,\"( "))
            s->rcpt[s->rcpts++] = qualify(s, text);
        else if (sendmail_recipients(m, text, e) < 0)
            return -1;
    }
    return 0;
}

/* "Name" <address>: RFC 5322 3.2.4 */
static struct str author(struct send *s, const char *address)
{
    struct buf text;
    struct str from = STR_NONE;

    if (!s->args.full_name)
        return str_c(address);
    buf_init(&text, PATH_SIZE * 4);
    buf_put_c(&text, '"');
    for (const char *p = s->args.full_name; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_put_c(&text, '\\');
        buf_put_c(&text, *p);
    }
    buf_printf(&text, "\" <%s>", address);
    if (buf_ok(&text))
        arena_dup(&s->arena, buf_str(&text), &from);
    buf_done(&text);
    return from.n ? from : str_c(address);
}

/* The message of standard input, and the recipients of the command line and (-t) the header. */
static int prepare(struct send *s, struct err *e)
{
    struct sendmail_message m = {
        .hostname = s->config->hostname,
        .now_ms = wall_ms(),
        .ignore_dots = s->args.ignore_dots,
        .from_headers = s->args.from_headers,
        .arena = &s->arena,
        .content = &s->content,
    };
    uint64_t max = s->config->limits.message_size ? s->config->limits.message_size : INPUT_MAX;
    const char *sender = *s->from ? s->from : qualify(s, str_c(login_name()));
    struct buf text;
    int status;

    m.from = author(s, sender);
    buf_init(&text, max + 65536);
    status = cmd_read_file("-", max, &text, e);
    if (status == 0)
        status = sendmail_prepare(&m, buf_str(&text), e);
    buf_done(&text);
    if (status < 0)
        return -1;
    s->rcpt = arena_array(&s->arena, (size_t)s->args.rcpts + SENDMAIL_RCPTS_MAX, sizeof *s->rcpt);
    if (!s->rcpt)
        return err_memory(e, "send");
    if (take_arguments(s, &m, e) < 0)
        return -1;
    for (uint32_t i = 0; i < m.rcpts; i++)
        s->rcpt[s->rcpts++] = qualify(s, m.rcpt[i]);
    for (uint32_t i = 0; i < s->rcpts; i++)
        if (!safe(s->rcpt[i]))
            return err_set(e, ERR_PERMANENT, "send", "a recipient that holds control characters");
    return 0;
}

static int say_mail(struct say *say, const struct send *s, struct err *e)
{
    const struct sendmail_args *a = &s->args;

    return say_command(say, 2, e, "MAIL FROM:<%s>%s%s%s%s%s%s", s->from,
        wants_utf8(s) ? " SMTPUTF8" : "", " BODY=8BITMIME", a->ret ? " RET=" : "",
        a->ret ? a->ret : "", a->envid ? " ENVID=" : "", a->envid ? a->envid : "");
}

static int converse(struct say *say, const struct send *s, struct err *e)
{
    if (say_reply(say, e) < 0 ||
        say_command(say, 2, e, "EHLO %.*s", STR_ARG(s->config->hostname)) < 0 ||
        say_mail(say, s, e) < 0)
        return -1;
    for (uint32_t i = 0; i < s->rcpts; i++)
        if (say_command(say, 2, e, "RCPT TO:<%s>%s%s", s->rcpt[i], s->args.notify ? " NOTIFY=" : "",
                s->args.notify ? s->args.notify : "") < 0)
            return err_prefix(e, "%s", s->rcpt[i]);
    if (say_command(say, 3, e, "DATA") < 0 || say_content(say, buf_str(&s->content), e) < 0)
        return -1;
    say_command(say, 2, NULL, "QUIT"); /* the message is safe whatever comes now */
    return 0;
}

/* sysexits for what went wrong: temporary ones make the caller try again. */
static int exit_of(const struct say *say, const struct err *e)
{
    if (e->class != ERR_PERMANENT)
        return EX_TEMPFAIL;
    if (say->code == 550 || say->code == 553)
        return EX_NOUSER;
    return say->code ? EX_DATAERR : EX_UNAVAILABLE;
}

static int submit_address(const struct send *s, struct net_address *to, struct err *e)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "unix:%.*s/submit", STR_ARG(s->config->runtime));
    return net_parse(str_c(path), to, e);
}

static void send_fiber(void *arg)
{
    struct send *s = arg;
    struct net_address to;
    struct say say = {0};
    struct err e;

    s->status = EX_OK;
    if (submit_address(s, &to, &e) < 0)
        s->status = fail(EX_CONFIG, &e);
    else if (say_open(&say, &to, false, &e) < 0)
        s->status = fail(EX_TEMPFAIL, &e);
    else if (converse(&say, s, &e) < 0)
        s->status = fail(exit_of(&say, &e), &e);
    say_close(&say);
    run_stop();
}

static int submit(struct send *s)
{
    struct scope scope;
    struct err e;

    s->from = reverse_path(s);
    if (!safe(s->from) || (s->args.envid && !safe(s->args.envid)) ||
        (s->args.notify && !safe(s->args.notify)) || (s->args.ret && !safe(s->args.ret)) ||
        (s->args.full_name && !safe(s->args.full_name))) {
        cmd_fail("an argument holds control characters");
        return EX_USAGE;
    }
    if (prepare(s, &e) < 0)
        return fail(e.class == ERR_PERMANENT ? EX_DATAERR : EX_TEMPFAIL, &e);
    if (s->rcpts == 0) {
        cmd_fail("no recipients: name them, or use -t");
        return EX_USAGE;
    }
    if (run_open(&e) < 0)
        return fail(EX_TEMPFAIL, &e);
    scope_init(&scope);
    if (fiber_start(&scope, "send", send_fiber, s, &e) < 0)
        return fail(EX_TEMPFAIL, &e);
    run_loop();
    scope_join(&scope);
    run_close();
    return s->status;
}

static int smtp_on_stdio(const struct send *s)
{
    struct net_address to;
    struct err e;

    if (submit_address(s, &to, &e) < 0)
        return fail(EX_CONFIG, &e);
    return pipe_session(&to, &e) < 0 ? fail(EX_TEMPFAIL, &e) : EX_OK;
}

static const char help[] =
    "usage: veredus send [options] [--] [ADDRESS...]\n"
    "submit a message from standard input as sendmail(8) does; also by the names sendmail, mailq\n"
    "\n"
    "options:\n"
    "  -t                         take the recipients from To, Cc and Bcc\n"
    "  -i, -oi                    a dot alone on a line does not end the message\n"
    "  -f ADDRESS, -r ADDRESS     the reverse-path; <> for none\n"
    "  -F NAME                    the full name for a missing From field\n"
    "  -N never|success,failure,delay  when to notify the sender (RFC 3461)\n"
    "  -R full|hdrs, -V ID        what a notification returns, and its ENVID\n"
    "  --smtputf8                 ask for SMTPUTF8 (done by itself where an address needs it)\n"
    "  -bm, -bs, -bp              submit (default), speak SMTP on standard input, list the queue\n"
    "  -c FILE, -C FILE           the configuration (else $VEREDUS_CONFIG, else\n"
    "                             /etc/veredus/veredus.conf)\n"
    "Other options of sendmail(8) are taken and ignored. Names without a domain get `origin`.\n"
    "\n"
    "exit status: 0 accepted, 64 usage, 65 message refused, 67 no such recipient, 69 unavailable,\n"
    "75 try again later, 78 configuration\n";

static int print_queue(struct cmd *c)
{
    return cmd_mailq(c) == EXIT_DONE ? EX_OK : EX_UNAVAILABLE;
}

static int run_send(struct send *s)
{
    const char *env = getenv("VEREDUS_CONFIG");
    struct cmd c = {.config_path = s->args.config_path};

    if (!c.config_path)
        c.config_path = env && *env ? env : "/etc/veredus/veredus.conf";
    if (s->args.mode == SENDMAIL_QUEUE)
        return print_queue(&c);
    s->config = cmd_config(&c);
    if (!s->config)
        return EX_CONFIG;
    switch (s->args.mode) {
    case SENDMAIL_SUBMIT:
        return submit(s);
    case SENDMAIL_SMTP:
        return smtp_on_stdio(s);
    case SENDMAIL_QUEUE:
    case SENDMAIL_HELP:
    case SENDMAIL_NOTHING:
        return EX_OK;
    }
    return EX_SOFTWARE;
}

int cmd_send(int argc, char **argv)
{
    struct send s = {0};
    const char **rcpt = mem_array((size_t)argc + 1, sizeof *rcpt);
    struct err e;
    int status;

    if (!rcpt)
        return EX_TEMPFAIL;
    arena_init(&s.arena, ARENA_MAX);
    buf_init(&s.content, (size_t)INPUT_MAX * 2);
    if (sendmail_parse(&s.args, rcpt, argc, argv, &e) < 0)
        status = fail(EX_USAGE, &e);
    else if (s.args.mode == SENDMAIL_HELP)
        status = fputs(help, stdout) < 0 ? EX_IOERR : EX_OK;
    else
        status = run_send(&s);
    if (status == EX_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = EX_IOERR;
    config_free(s.config);
    buf_done(&s.content);
    arena_done(&s.arena);
    mem_free(rcpt);
    return status;
}
