#include "cmd/say.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/escape.h"

#include "wire/smtp_reply.h"

enum {
    REPLY_MAX = 64 * 1024,
    LINE_MAX_OCTETS = 4096,
    REPLY_WAIT_MS = 300000, /* RFC 5321 4.5.3.2 */
    SHOWN_LINES = 14,
};

int say_open(struct say *s, const struct net_address *to, bool show, struct err *e)
{
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *s = (struct say){.show = show};
    buf_init(&s->reply, REPLY_MAX);
    if (fd < 0)
        return err_os(e, errno, "say", "socket");
    if (connect(fd, &to->any, to->len) < 0) {
        err_os(e, errno, "say", "cannot connect to the server");
        close(fd);
        return -1;
    }
    return stream_open(&s->stream, fd, e);
}

void say_close(struct say *s)
{
    stream_close(&s->stream);
    buf_done(&s->reply);
}

static void show_line(const struct say *s, const char *who, struct str line)
{
    struct buf text;

    if (!s->show)
        return;
    buf_init(&text, REPLY_MAX);
    escape_put(&text, line, ESCAPE_TERMINAL);
    printf("  %s %.*s\n", who, STR_ARG(buf_str(&text)));
    buf_done(&text);
}

int say_reply(struct say *s, struct err *e)
{
    uint64_t before = fiber_deadline_shorten(run_now() + REPLY_WAIT_MS);
    struct smtp_reply reply = {0};
    struct str line, text;
    int more;

    buf_clear(&s->reply);
    do {
        more = stream_read_line(s->stream, SMTP_REPLY_READ_LINE_MAX, &line, e);
        if (more == 1)
            more = err_set(e, ERR_PERMANENT, "say", "a reply with a line that is too long");
        if (more < 0)
            break;
        show_line(s, "S:", line);
        more = smtp_reply_feed(&reply, line, &text, e);
        if (more >= 0 && (buf_put(&s->reply, text) < 0 || buf_put_c(&s->reply, '\n') < 0))
            more = err_memory(e, "say");
    } while (more > 0);
    fiber_deadline_restore(before);
    s->code = reply.code;
    return more;
}

static int expect(struct say *s, unsigned class, struct err *e)
{
    struct str text = str_trim(buf_str(&s->reply));

    if (s->code / 100 == class)
        return 0;
    return err_set(e, s->code / 100 == 4 ? ERR_TEMPORARY : ERR_PERMANENT, "say", "%u %.*s", s->code,
        STR_ARG(text));
}

int say_command(struct say *s, unsigned class, struct err *e, const char *format, ...)
{
    struct buf line;
    va_list args;
    int status;

    buf_init(&line, LINE_MAX_OCTETS);
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    show_line(s, "C:", buf_str(&line));
    buf_put(&line, STR("\r\n"));
    status = buf_ok(&line) ? stream_write(s->stream, buf_str(&line), e)
                           : err_set(e, ERR_PERMANENT, "say", "a command that is too long");
    buf_done(&line);
    if (status < 0 || say_reply(s, e) < 0)
        return -1;
    return expect(s, class, e);
}

/* RFC 5321 4.5.2 */
int say_content(struct say *s, struct str content, struct err *e)
{
    struct str rest = content, line;
    unsigned shown = 0;

    while (rest.n) {
        bool ended = str_cut(&rest, '\n', &line);
        if (shown++ < SHOWN_LINES)
            show_line(s, "C:", str_trim(line));
        if (line.n && line.p[0] == '.' && stream_write(s->stream, STR("."), e) < 0)
            return -1;
        if (stream_write(s->stream, line, e) < 0 ||
            (ended && stream_write(s->stream, STR("\n"), e) < 0))
            return -1;
    }
    if (shown > SHOWN_LINES && s->show)
        printf("  C: (%u more lines)\n", shown - SHOWN_LINES);
    show_line(s, "C:", STR("."));
    if (!str_ends(content, STR("\r\n")) && content.n && stream_write(s->stream, STR("\r\n"), e) < 0)
        return -1;
    if (stream_write(s->stream, STR(".\r\n"), e) < 0 || say_reply(s, e) < 0)
        return -1;
    return expect(s, 2, e);
}
