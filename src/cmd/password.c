#include "cmd/password.h"

#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/rng.h"

enum {
    PASSWORD_MAX = 1024,
    GENERATED = 20, /* of 32 letters: 100 bits */
};

/* Letters that are not mistaken for each other when read aloud or copied by hand. */
static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";

void password_generate(struct buf *password)
{
    uint8_t octets[GENERATED];

    rng_bytes(octets, sizeof octets);
    for (size_t i = 0; i < GENERATED; i++) {
        if (i && i % 5 == 0)
            buf_put_c(password, '-');
        buf_put_c(password, letters[octets[i] % 32]);
    }
}

static int from_file(const char *path, struct buf *password, struct err *e)
{
    struct buf text;
    struct str line, rest;
    int status;

    buf_init(&text, 65536 + PASSWORD_MAX);
    status = cmd_read_file(path, PASSWORD_MAX, &text, e);
    rest = buf_str(&text);
    str_cut(&rest, '\n', &line);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (status == 0 && line.n == 0)
        status = err_set(e, ERR_PERMANENT, "cmd", "%s: no password in its first line", path);
    if (status == 0 && buf_put(password, line) < 0)
        status = err_memory(e, "cmd");
    buf_done(&text);
    return status;
}

static int ask(const char *prompt, char *line, size_t size)
{
    struct termios before, quiet;
    char *got;

    fputs(prompt, stderr);
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return -1;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    got = fgets(line, (int)size, stdin);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    if (!got)
        return -1;
    line[strcspn(line, "\r\n")] = '\0';
    return 0;
}

static int from_terminal(struct buf *password, struct err *e)
{
    char first[PASSWORD_MAX], again[PASSWORD_MAX];

    if (ask("Password: ", first, sizeof first) < 0 || ask("Again: ", again, sizeof again) < 0)
        return err_set(e, ERR_PERMANENT, "cmd", "no password was typed");
    if (strcmp(first, again) != 0)
        return err_set(e, ERR_PERMANENT, "cmd", "the two passwords differ");
    if (!*first)
        return err_set(e, ERR_PERMANENT, "cmd", "an empty password");
    return buf_put(password, str_c(first)) < 0 ? err_memory(e, "cmd") : 0;
}

int password_take(const struct cmd *c, struct buf *password, bool *generated, struct err *e)
{
    const char *given = cmd_value(c, "password"), *file = cmd_value(c, "password-file");

    *generated = false;
    if (given && file)
        return err_set(e, ERR_PERMANENT, "cmd", "--password and --password-file: give one of them");
    if (file)
        return from_file(file, password, e);
    if (given && strcmp(given, "-") == 0)
        return from_file("-", password, e);
    if (given && !*given)
        return err_set(e, ERR_PERMANENT, "cmd", "an empty password");
    if (given)
        return buf_put(password, str_c(given)) < 0 ? err_memory(e, "cmd") : 0;
    if (isatty(STDIN_FILENO))
        return from_terminal(password, e);
    *generated = true;
    password_generate(password);
    return buf_ok(password) ? 0 : err_memory(e, "cmd");
}
