/* bench/wall.c: the thinnest thread through the real structure, to know what the wall costs.
 *
 *     wall --dir DIRECTORY [--listen ADDRESS:PORT] [--fronts N] [--no-wall]
 *
 * N fronts (processes with src/run's fibers and src/io's streams) take SMTP as bench/bare does: by
 * the first letter of a command and the end of data, nothing checked. Each message is one frame to
 * the process behind the wall, which hands it to the spool, with its group sync, and replies. With
 * --no-wall there is one front, and the spool is in it: the difference is the wall.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/table.h"

#include "io/net.h"
#include "io/stream.h"
#include "io/sys.h"

#include "ipc/channel.h"

#include "common.h"
#include "core/spool/spool.h"

enum {
    FRONTS_MAX = 16,
    LINE_OCTETS = 2048,
    CONTENT_MAX = 60 * 1024,
    FRAME_COMMIT = 1,
};

static struct scope scope;
static struct spool *spool;     /* of this process; NULL in a front */
static struct channel *channel; /* of a front */
static uint64_t last_id;

/* ---- the spool's side */

struct message {
    struct spool_message m;
    struct channel_call from;
    struct str piece;
    char octets[];
};

static void release(struct spool_message *m)
{
    mem_free(m);
}

static int store(struct message *m, struct err *e)
{
    struct spool_message *message = &m->m;

    m->m = (struct spool_message){
        .id = ++last_id,
        .rcpts = 1,
        .envelope = STR("a sender and a recipient, about as many octets as they have"),
        .prefix = STR("Received: from there by here with ESMTP id 0123456789abc; some time\r\n"),
        .content = &m->piece,
        .pieces = 1,
        .release = release,
    };
    return spool_commit(spool, &message, 1, NULL, 0, SPOOL_MAIL, e);
}

static struct message *message_new(struct str content)
{
    struct message *m = mem_alloc(sizeof *m + content.n);

    if (!m)
        die("no memory");
    memcpy(m->octets, content.p, content.n);
    m->piece = str_of(m->octets, content.n);
    return m;
}

static void commit_fiber(void *arg)
{
    struct message *m = arg;
    struct channel_call from = m->from;

    channel_reply(from, store(m, NULL) == 0 ? STR("y") : STR("n"));
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct message *m = message_new(payload);

    (void)arg;
    (void)type;
    (void)fd;
    m->from = from;
    if (fiber_start(&scope, "commit", commit_fiber, m, NULL) < 0)
        die("no fiber");
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
    run_stop();
}

static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};

static int on_live(void *arg, const struct spool_found *f)
{
    (void)arg;
    (void)f;
    return 0;
}

static void open_spool(const char *directory)
{
    static char path[512];
    struct err e;

    snprintf(path, sizeof path, "%s/spool", directory);
    if (spool_open(&spool,
            &(struct spool_settings){.sys = &sys_real, .path = path, .on_live = on_live}, &e) < 0)
        die("%s", e.text);
}

/* ---- the front's side */

struct session {
    struct stream *stream;
    struct buf content;
    struct buf reply;
};

static int commit(struct session *s, struct err *e)
{
    if (spool)
        return store(message_new(buf_str(&s->content)), e);
    buf_clear(&s->reply);
    if (channel_ask(channel, FRAME_COMMIT, buf_str(&s->content), &s->reply, e) < 0)
        return -1;
    return str_eq(buf_str(&s->reply), STR("y")) ? 0 : -1;
}

static int take_content(struct session *s, struct err *e)
{
    static const char end[] = "\r\n.\r\n";

    buf_clear(&s->content);
    if (stream_write(s->stream, STR("354 go on\r\n"), e) < 0)
        return -1;
    for (;;) {
        struct str in = stream_input(s->stream);
        ptrdiff_t at = str_find_str(in, str_c(end));
        if (at >= 0) {
            buf_put(&s->content, str_head(in, (size_t)at + 2));
            stream_consume(s->stream, (size_t)at + sizeof end - 1);
            return commit(s, e);
        }
        if (in.n >= CONTENT_MAX || stream_fill(s->stream, e) < 0)
            return -1;
    }
}

static int obey(struct session *s, struct str line, struct err *e)
{
    switch (line.n ? line.p[0] : 0) {
    case 'E':
    case 'H':
        return stream_write(s->stream, STR("250-wall\r\n250 PIPELINING\r\n"), e);
    case 'D':
        if (take_content(s, e) < 0)
            return -1;
        return stream_write(s->stream, STR("250 2.0.0 taken\r\n"), e);
    case 'Q':
        (void)stream_write(s->stream, STR("221 bye\r\n"), e);
        (void)stream_flush(s->stream, e);
        return -1;
    default:
        return stream_write(s->stream, STR("250 ok\r\n"), e);
    }
}

static void session_fiber(void *arg)
{
    struct session *s = arg;
    struct str line;
    struct err e;

    if (stream_write(s->stream, STR("220 wall ESMTP\r\n"), &e) == 0)
        while (stream_read_line(s->stream, LINE_OCTETS, &line, &e) == 0 && obey(s, line, &e) == 0)
            continue;
    stream_close(&s->stream);
    buf_done(&s->content);
    buf_done(&s->reply);
    mem_free(s);
}

static void on_connection(void *arg, int fd, const struct net_address *peer)
{
    struct session *s = MEM_NEW(struct session);

    (void)arg;
    (void)peer;
    if (!s || stream_open(&s->stream, fd, NULL) < 0)
        die("no session");
    buf_init(&s->content, CONTENT_MAX + LINE_OCTETS);
    buf_init(&s->reply, 16);
    if (fiber_start(&scope, "session", session_fiber, s, NULL) < 0)
        die("no fiber");
}

/* ---- the processes */

static void begin(void)
{
    struct err e;

    if (run_open(&e) < 0)
        die("%s", e.text);
    scope_init(&scope);
}

static void front(int listening, int wall)
{
    struct listener *listener;
    struct err e;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    begin();
    if (wall >= 0 && channel_open(&channel, wall, "core", &handler, NULL, &e) < 0)
        die("%s", e.text);
    if (listener_open(&listener, listening, on_connection, NULL, &e) < 0)
        die("%s", e.text);
    run_loop();
    _exit(0);
}

static void run_walled(const char *directory, const int *listening, unsigned fronts)
{
    struct channel *to[FRONTS_MAX];
    int ends[FRONTS_MAX][2];
    struct err e;

    for (unsigned i = 0; i < fronts; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]) < 0)
            die("socketpair: %m");
        if (fork() == 0) {
            close(ends[i][0]);
            front(listening[i], ends[i][1]);
        }
        close(ends[i][1]);
    }
    begin();
    open_spool(directory);
    for (unsigned i = 0; i < fronts; i++)
        if (channel_open(&to[i], ends[i][0], "front", &handler, NULL, &e) < 0)
            die("%s", e.text);
    run_loop();
}

static void run_bare(const char *directory, int listening)
{
    struct listener *listener;
    struct err e;

    begin();
    open_spool(directory);
    if (listener_open(&listener, listening, on_connection, NULL, &e) < 0)
        die("%s", e.text);
    run_loop();
}

struct arguments {
    const char *listen, *directory;
    unsigned fronts;
    bool wall;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
        {"dir", required_argument, NULL, 'd'}, {"fronts", required_argument, NULL, 'f'},
        {"no-wall", no_argument, NULL, 'n'}, {0}};

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'l')
            a->listen = optarg;
        else if (c == 'd')
            a->directory = optarg;
        else if (c == 'f')
            a->fronts = (unsigned)number_parse("fronts", optarg);
        else if (c == 'n')
            a->wall = false;
        else
            return false;
    }
    return a->directory && a->fronts > 0 && a->fronts <= FRONTS_MAX;
}

int main(int argc, char **argv)
{
    struct arguments a = {.listen = "127.0.0.1:2526", .fronts = 2, .wall = true};
    int listening[FRONTS_MAX];
    struct net_address address;
    uint8_t key[16];
    struct err e;

    if (!parse(argc, argv, &a))
        die("usage: wall --dir DIRECTORY [--listen ADDRESS:PORT] [--fronts N] [--no-wall]");
    if (getrandom(key, sizeof key, 0) != sizeof key)
        die("getrandom: %m");
    table_seed(key);
    if (net_parse(str_c(a.listen), &address, &e) < 0 ||
        net_listen(&address, 0, 4096, listening, a.wall ? a.fronts : 1, &e) < 0)
        die("%s", e.text);
    if (a.wall)
        run_walled(a.directory, listening, a.fronts);
    else
        run_bare(a.directory, listening[0]);
    return 0;
}
