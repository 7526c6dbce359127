#include <stdio.h>
#include <unistd.h>

#include "base/timefmt.h"

#include "cmd/demo_mx.h"
#include "cmd/demo_server.h"
#include "cmd/request.h"
#include "cmd/say.h"

enum {
    MESSAGE_MAX = 16384,
    ID_SIZE = 64,
    MX_PORT = 2526,
};

/* A subject that needs RFC 2047, a text part in UTF-8 and an attachment. */
static const char message[] = "From: Alice <alice@example.test>\r\n"
                              "To: Bob <bob@example.test>\r\n"
                              "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_von_veredus_=F0=9F=90=8E?=\r\n"
                              "Date: %s\r\n"
                              "Message-ID: <first.%d@example.test>\r\n"
                              "MIME-Version: 1.0\r\n"
                              "Content-Type: multipart/mixed; boundary=\"demo\"\r\n"
                              "\r\n"
                              "--demo\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: quoted-printable\r\n"
                              "\r\n"
                              "Lieber Bob,\r\n"
                              "\r\n"
                              "this mail was durable before the server said 250. =E2=9C=93\r\n"
                              "--demo\r\n"
                              "Content-Type: text/csv; name=\"stages.csv\"\r\n"
                              "Content-Disposition: attachment; filename=\"stages.csv\"\r\n"
                              "Content-Transfer-Encoding: base64\r\n"
                              "\r\n"
                              "c3RhZ2UsbWlsZXMKUm9tYSxYCkFyaW1pbnVtLENDWAo=\r\n"
                              "--demo--\r\n";

static const char letter[] =
    "From: Alice <alice@example.test>\r\n"
    "To: Carol <carol@elsewhere.test>\r\n"
    "Subject: To another host\r\n"
    "Date: %s\r\n"
    "Message-ID: <second.%d@example.test>\r\n"
    "\r\n"
    "Dear Carol, this mail waits in the queue until your host takes it.\r\n";

struct talk {
    struct demo_server *server;
    int (*fn)(struct talk *talk, struct err *e);
    int status;
    char id[ID_SIZE]; /* of the message that was taken */
};

static int converse(struct talk *talk, struct err *e)
{
    const struct demo_server *server = talk->server;
    struct say say;
    struct buf text;
    char date[TIME_RFC5322_SIZE];
    int status = -1;

    buf_init(&text, MESSAGE_MAX);
    time_rfc5322(wall_ms(), date);
    buf_printf(&text, message, date, (int)getpid());
    printf("\nThe conversation, over SMTP to 127.0.0.1:%u\n\n", server->smtp_port);
    if (say_open(&say, &server->smtp, true, e) == 0 && say_reply(&say, e) == 0 &&
        say_command(&say, 2, e, "EHLO demo.example.test") == 0 &&
        say_command(&say, 2, e, "MAIL FROM:<alice@example.test>") == 0 &&
        say_command(&say, 2, e, "RCPT TO:<bob@example.test>") == 0 &&
        say_command(&say, 3, e, "DATA") == 0 && say_content(&say, buf_str(&text), e) == 0 &&
        say_command(&say, 2, e, "QUIT") == 0)
        status = 0;
    say_close(&say);
    buf_done(&text);
    return status;
}

/* "2.0.0 queued as ID" */
static void note_id(struct talk *talk, struct str reply)
{
    struct str word = STR_NONE;

    reply = str_trim(reply);
    while (reply.n)
        str_cut(&reply, ' ', &word);
    str_copy_c(talk->id, sizeof talk->id, word);
}

static int post(struct talk *talk, struct err *e)
{
    struct say say;
    struct buf text;
    char date[TIME_RFC5322_SIZE];
    int status = -1;

    buf_init(&text, MESSAGE_MAX);
    time_rfc5322(wall_ms(), date);
    buf_printf(&text, letter, date, (int)getpid());
    if (say_open(&say, &talk->server->smtp, false, e) == 0 && say_reply(&say, e) == 0 &&
        say_command(&say, 2, e, "EHLO demo.example.test") == 0 &&
        say_command(&say, 2, e, "MAIL FROM:<alice@example.test>") == 0 &&
        say_command(&say, 2, e, "RCPT TO:<carol@elsewhere.test>") == 0 &&
        say_command(&say, 3, e, "DATA") == 0 && say_content(&say, buf_str(&text), e) == 0) {
        note_id(talk, buf_str(&say.reply));
        status = say_command(&say, 2, e, "QUIT");
    }
    say_close(&say);
    buf_done(&text);
    return status;
}

/* Delivery follows the 250 by itself: the server tells when nothing is left to deliver. */
static int wait_fn(struct cmd *c, struct client *client, void *arg)
{
    (void)arg;
    return client_do(c, client, request_new("queue.idle"));
}

static int read_back(struct cmd *c)
{
    const char *args[] = {"bob@example.test"};
    struct cmd show = *c;

    if (client_run(c, CLIENT_SERVER, wait_fn, NULL) != EXIT_DONE)
        return EXIT_FAILED;
    show.json = false;
    show.args = args;
    show.count = 1;
    printf("\nRead back with: veredus mail show bob@example.test\n\n");
    return cmd_mail_show(&show);
}

static void try_next(const struct demo_server *server)
{
    const char *p = server->program, *f = server->config_path;

    printf("\nThe demo runs until Ctrl-C; everything is below %s. To try:\n\n"
           "  swaks --server 127.0.0.1:%u --from you@example.org --to bob@example.test\n"
           "  curl smtp://127.0.0.1:%u --mail-from you@example.org --mail-rcpt bob@example.test -T "
           "FILE\n"
           "  %s mail list -c %s bob@example.test\n"
           "  %s account add -c %s dave@example.test\n"
           "  echo hello | %s send -c %s carol@elsewhere.test\n"
           "  %s queue list -c %s\n"
           "  %s status -c %s\n\n"
           "Submission listens on 127.0.0.1:%u. The log: %s/log\n",
        server->directory, server->smtp_port, server->smtp_port, p, f, p, f, p, f, p, f, p, f,
        server->submission_port, server->directory);
    fflush(stdout);
}

static void talk_fiber(void *arg)
{
    struct talk *talk = arg;
    struct err e;

    talk->status = talk->fn(talk, &e) < 0 ? cmd_fail_err(&e) : EXIT_DONE;
    run_stop();
}

/* Each step has a loop of its own, as each command has. */
static int run_talk(struct talk *talk)
{
    struct scope scope;
    struct err e;

    talk->status = EXIT_FAILED;
    if (run_open(&e) < 0)
        return cmd_fail_err(&e);
    scope_init(&scope);
    if (fiber_start(&scope, "demo", talk_fiber, talk, &e) < 0)
        return cmd_fail_err(&e);
    run_loop();
    scope_join(&scope);
    run_close();
    return talk->status;
}

static int show_trace(struct cmd *c, const char *id)
{
    struct cmd trace = *c;

    if (client_run(c, CLIENT_SERVER, wait_fn, NULL) != EXIT_DONE)
        return EXIT_FAILED;
    trace.json = false;
    trace.args = &id;
    trace.count = 1;
    printf("\nWhat happened to it, by: veredus trace %s\n\n", id);
    return cmd_trace(&trace);
}

/* To a host that wants to be asked twice. */
static int relay(struct cmd *c, struct demo_server *server, struct demo_mx *mx)
{
    struct talk talk = {.server = server, .fn = post};
    struct err e;
    int status = run_talk(&talk);

    if (status != EXIT_DONE)
        return status;
    printf("\nMail for carol@elsewhere.test goes to another host. Its side of it:\n");
    fflush(stdout);
    if (demo_mx_show(mx, &e) < 0)
        return cmd_fail_err(&e);
    return show_trace(c, talk.id);
}

static int go(struct cmd *c, struct demo_server *server, struct demo_mx *mx)
{
    struct talk talk = {.server = server, .fn = converse};
    int status = run_talk(&talk);

    if (status == EXIT_DONE && demo_server_interrupted())
        status = cmd_fail("interrupted");
    if (status == EXIT_DONE)
        status = read_back(c);
    if (status == EXIT_DONE && demo_server_interrupted())
        status = cmd_fail("interrupted");
    if (status == EXIT_DONE)
        status = relay(c, server, mx);
    if (status == EXIT_DONE && !cmd_has(c, "once")) {
        try_next(server);
        demo_server_wait(server);
    }
    return status;
}

static int start(struct demo_server *server, const char *program, struct demo_mx *mx)
{
    struct err e;

    if (demo_mx_start(mx, &e) == 0 && demo_server_start(server, program, mx->port, &e) == 0)
        return EXIT_DONE;
    return cmd_fail_err(&e);
}

int cmd_demo(struct cmd *c)
{
    struct demo_server server = {0};
    struct demo_mx mx = {.port = MX_PORT};
    int status;

    setvbuf(stdout, NULL, _IOLBF, 0);
    status = start(&server, c->program, &mx);
    if (status == EXIT_DONE) {
        printf(
            "veredus " VEREDUS_VERSION ": a throw-away server with the accounts alice@example.test "
            "and bob@example.test\n");
        c->config_path = server.config_path;
        status = go(c, &server, &mx);
    }
    if (demo_server_stop(&server) < 0 && status == EXIT_DONE)
        status = cmd_fail("the server did not end well; see its log");
    demo_mx_stop(&mx);
    return status;
}
