#include <stdio.h>
#include <unistd.h>

#include "base/timefmt.h"

#include "cmd/demo_server.h"
#include "cmd/request.h"
#include "cmd/say.h"

enum {
    MESSAGE_MAX = 16384
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

static int converse(const struct demo_server *server, struct err *e)
{
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
           "  %s account add -c %s carol@example.test\n"
           "  echo hello | %s send -c %s carol@example.test\n"
           "  %s status -c %s\n\n"
           "Submission listens on 127.0.0.1:%u. The log: %s/log\n",
        server->directory, server->smtp_port, server->smtp_port, p, f, p, f, p, f, p, f,
        server->submission_port, server->directory);
    fflush(stdout);
}

struct talk {
    struct demo_server *server;
    int status;
};

static void talk_fiber(void *arg)
{
    struct talk *talk = arg;
    struct err e;

    talk->status = converse(talk->server, &e) < 0 ? cmd_fail_err(&e) : EXIT_DONE;
    run_stop();
}

/* Each step has a loop of its own, as each command has. */
static int talk_to(struct demo_server *server)
{
    struct talk talk = {.server = server, .status = EXIT_FAILED};
    struct scope scope;
    struct err e;

    if (run_open(&e) < 0)
        return cmd_fail_err(&e);
    scope_init(&scope);
    if (fiber_start(&scope, "demo", talk_fiber, &talk, &e) < 0)
        return cmd_fail_err(&e);
    run_loop();
    scope_join(&scope);
    run_close();
    return talk.status;
}

int cmd_demo(struct cmd *c)
{
    struct demo_server server;
    struct err e;
    int status;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (demo_server_start(&server, c->program, &e) < 0) {
        demo_server_stop(&server);
        return cmd_fail_err(&e);
    }
    printf("veredus " VEREDUS_VERSION ": a throw-away server with the accounts alice@example.test "
           "and bob@example.test\n");
    c->config_path = server.config_path;
    status = talk_to(&server);
    if (status == EXIT_DONE && demo_server_interrupted())
        status = cmd_fail("interrupted");
    if (status == EXIT_DONE)
        status = read_back(c);
    if (status == EXIT_DONE && !cmd_has(c, "once")) {
        try_next(&server);
        demo_server_wait(&server);
    }
    if (demo_server_stop(&server) < 0 && status == EXIT_DONE)
        status = cmd_fail("the server did not end well; see its log");
    return status;
}
