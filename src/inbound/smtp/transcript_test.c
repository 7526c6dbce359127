/* Runs the dialogues of tests/transcripts/smtp (README.txt there says how they are written), each
 * twice: with whole groups of lines, and one octet at a time. */
#include <dirent.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"

#include "mail/testdata.h"

#include "run/run_test.h"

#include "inbound/smtp/rig.h"

struct transcript {
    const char *path;
    struct rig rig;
    struct arena arena;
    struct buf options, sending;
    enum config_protocol protocol;
    const char *peer;
    struct str reply; /* the last one */
    unsigned line;
    bool open, one_by_one, whole_only;
    struct stub_message *message; /* the last one */
};

static struct str current; /* the text of the transcript, for the fiber */
static const char *current_path;
static bool current_one_by_one;

#define FAIL(t, format, ...)                                                                       \
    fail_msg("%s:%u (%s): " format, (t)->path, (t)->line, (t)->one_by_one ? "octets" : "lines",    \
        ##__VA_ARGS__)

static struct str unescaped(struct transcript *t, struct str s)
{
    struct buf out;
    struct str copy;

    buf_init(&out, 128 << 20);
    testdata_unescape(s, &out);
    assert_true(arena_dup(&t->arena, buf_str(&out), &copy));
    buf_done(&out);
    return copy;
}

/* ---- directives */

static void ready(struct transcript *t)
{
    if (!t->open) {
        rig_open(
            &t->rig, arena_printf(&t->arena, "%.*s", STR_ARG(buf_str(&t->options))).p, t->protocol);
        t->open = true;
    }
    if (!t->rig.client)
        rig_connect(&t->rig, t->peer);
}

/* All that was gathered goes as one write. */
static void send_gathered(struct transcript *t)
{
    ready(t);
    if (buf_len(&t->sending))
        rig_send(&t->rig, buf_str(&t->sending), t->one_by_one);
    buf_clear(&t->sending);
}

static void do_option(struct transcript *t, struct str arg)
{
    buf_put(&t->options, arg);
    buf_put_c(&t->options, '\n');
}

static void do_listener(struct transcript *t, struct str arg)
{
    if (str_eq(arg, STR("lmtp")))
        t->protocol = PROTOCOL_LMTP;
    else if (str_eq(arg, STR("submission")))
        t->protocol = PROTOCOL_SUBMISSION;
}

static void do_peer(struct transcript *t, struct str arg)
{
    t->peer = str_eq(arg, STR("unix")) ? NULL : arena_printf(&t->arena, "%.*s", STR_ARG(arg)).p;
}

static void do_whole(struct transcript *t, struct str arg)
{
    (void)arg;
    t->whole_only = true;
}

static void do_connect(struct transcript *t, struct str arg)
{
    if (t->open)
        rig_disconnect(&t->rig);
    if (!str_empty(arg))
        do_peer(t, arg);
    ready(t);
}

static void do_core(struct transcript *t, struct str arg)
{
    ready(t);
    if (str_eq(arg, STR("away")))
        rig_core_away(&t->rig);
    else if (str_eq(arg, STR("back")))
        rig_core_back(&t->rig);
    else if (str_eq(arg, STR("full")))
        stub_core_say_state(&t->rig.core, IC_FULL);
    else if (str_eq(arg, STR("broken")))
        stub_core_say_state(&t->rig.core, IC_BROKEN);
    else if (str_eq(arg, STR("refuse")))
        t->rig.core.refuse_connections = true;
    else if (str_eq(arg, STR("fail")))
        t->rig.core.fail_commits = true;
    else if (str_eq(arg, STR("work")))
        t->rig.core.fail_commits = t->rig.core.refuse_connections = false;
    else
        FAIL(t, "core: what?");
    rig_turns(&t->rig, 20);
}

static void do_client(struct transcript *t, struct str arg)
{
    struct buf octets;

    buf_init(&octets, 128 << 20);
    testdata_unescape(arg, &octets);
    buf_put(&t->sending, buf_str(&octets));
    buf_put(&t->sending, STR("\r\n"));
    buf_done(&octets);
}

static void do_octets(struct transcript *t, struct str arg)
{
    testdata_unescape(arg, &t->sending);
}

static void do_server(struct transcript *t, struct str arg)
{
    struct str last, rest;

    send_gathered(t);
    if (str_eq(arg, STR("close"))) {
        if (!rig_closed(&t->rig))
            FAIL(t, "the connection was not closed: %.*s", STR_ARG(rig_reply(&t->rig)));
        rig_disconnect(&t->rig);
        return;
    }
    t->reply = rig_reply(&t->rig);
    if (!t->reply.p)
        FAIL(t, "no reply, but %.*s", STR_ARG(arg));
    rest = t->reply;
    while (str_cut(&rest, '\n', &last))
        ;
    if (!str_starts(last, arg) && !(last.n > 3 && last.p[3] == ' ' && str_starts(arg, STR("*"))))
        FAIL(t, "%.*s, not %.*s", STR_ARG(last), STR_ARG(arg));
}

/* A line of the last reply has this text behind its code. */
static void do_line(struct transcript *t, struct str arg)
{
    struct str rest = t->reply, line;
    bool more = true;

    while (more) {
        more = str_cut(&rest, '\n', &line);
        if (str_starts(str_from(line, 4), arg))
            return;
    }
    FAIL(t, "no such line: %.*s", STR_ARG(arg));
}

static void do_no_line(struct transcript *t, struct str arg)
{
    if (str_find_str(t->reply, arg) >= 0)
        FAIL(t, "it is there: %.*s", STR_ARG(arg));
}

static void drop_message(struct transcript *t)
{
    if (t->message)
        stub_message_free(t->message);
    t->message = NULL;
}

/* "FROM TO,TO": the next message; "none": there is none. */
static void do_message(struct transcript *t, struct str arg)
{
    struct str from, to;

    ready(t);
    drop_message(t);
    t->message = stub_core_take(&t->rig.core);
    if (str_eq(arg, STR("none")) != (t->message == NULL))
        FAIL(t, "messages: not as said");
    if (!t->message)
        return;
    str_cut(&arg, ' ', &from);
    if (!str_eq(t->message->commit.envelope.reverse_path, str_trim(unescaped(t, from))) &&
        !(str_eq(from, STR("<>")) && str_empty(t->message->commit.envelope.reverse_path)))
        FAIL(t, "from %.*s", STR_ARG(t->message->commit.envelope.reverse_path));
    for (uint32_t i = 0; i < t->message->commit.envelope.count; i++) {
        str_cut(&arg, ',', &to);
        if (!str_eq(unescaped(t, to), t->message->commit.envelope.rcpt[i].address))
            FAIL(t, "to %.*s", STR_ARG(t->message->commit.envelope.rcpt[i].address));
    }
    if (!str_empty(arg))
        FAIL(t, "not to %.*s", STR_ARG(arg));
}

static void do_content(struct transcript *t, struct str arg)
{
    struct str want = unescaped(t, arg), got = buf_str(&t->message->content);

    if (!str_eq(want, got))
        FAIL(t, "content of %zu octets, not %zu: %.*s", got.n, want.n, STR_ARG(str_head(got, 300)));
}

static void do_prefix(struct transcript *t, struct str arg)
{
    if (str_find_str(t->message->commit.prefix, unescaped(t, arg)) < 0)
        FAIL(t, "not in the prefix: %.*s", STR_ARG(t->message->commit.prefix));
}

static void do_no_prefix(struct transcript *t, struct str arg)
{
    if (str_find_str(t->message->commit.prefix, unescaped(t, arg)) >= 0)
        FAIL(t, "in the prefix: %.*s", STR_ARG(t->message->commit.prefix));
}

/* What local copies do not have. */
static void do_cut(struct transcript *t, struct str arg)
{
    const struct ic_commit *c = &t->message->commit;
    struct buf out;

    buf_init(&out, 1 << 20);
    for (uint32_t i = 0; i < c->cuts; i++)
        buf_put(&out, str_sub(buf_str(&t->message->content), (size_t)c->cut[2 * i],
                          (size_t)c->cut[2 * i + 1]));
    if (!str_eq(buf_str(&out), unescaped(t, arg)))
        FAIL(t, "cut: %.*s", STR_ARG(buf_str(&out)));
    buf_done(&out);
}

static void do_envelope(struct transcript *t, struct str arg)
{
    const struct ic_envelope *e = &t->message->commit.envelope;
    struct str text = arena_printf(&t->arena,
        "utf8=%d 8bit=%d ret=%d envid=%.*s notify=%u orcpt=%.*s", e->smtputf8, e->eight_bit, e->ret,
        STR_ARG(e->envid), e->rcpt[0].notify, STR_ARG(e->rcpt[0].orcpt));

    if (!str_eq(text, arg))
        FAIL(t, "%.*s", STR_ARG(text));
}

static void do_drain(struct transcript *t, struct str arg)
{
    (void)arg;
    send_gathered(t);
    smtp_service_drain(t->rig.service);
}

static const struct {
    struct str word;
    void (*run)(struct transcript *t, struct str arg);
} directives[] = {
    {STR_INIT("C:"), do_client},
    {STR_INIT("C>"), do_octets},
    {STR_INIT("S:"), do_server},
    {STR_INIT("S-"), do_line},
    {STR_INIT("S!"), do_no_line},
    {STR_INIT("message:"), do_message},
    {STR_INIT("content:"), do_content},
    {STR_INIT("prefix:"), do_prefix},
    {STR_INIT("prefix!"), do_no_prefix},
    {STR_INIT("cut:"), do_cut},
    {STR_INIT("envelope:"), do_envelope},
    {STR_INIT("core:"), do_core},
    {STR_INIT("connect:"), do_connect},
    {STR_INIT("drain:"), do_drain},
    {STR_INIT("option:"), do_option},
    {STR_INIT("listener:"), do_listener},
    {STR_INIT("peer:"), do_peer},
    {STR_INIT("whole:"), do_whole},
};

static void run_line(struct transcript *t, struct str line)
{
    t->line++;
    if (str_empty(str_trim(line)) || line.p[0] == '#')
        return;
    for (size_t i = 0; i < sizeof directives / sizeof *directives; i++) {
        struct str arg;
        if (!str_starts(line, directives[i].word))
            continue;
        arg = str_from(line, directives[i].word.n);
        if (arg.n && arg.p[0] == ' ')
            arg = str_from(arg, 1);
        directives[i].run(t, arg);
        return;
    }
    FAIL(t, "what is %.*s", STR_ARG(line));
}

static void run_transcript(void)
{
    struct transcript t = {.path = current_path, .one_by_one = current_one_by_one};
    struct str rest = current, line;

    t.peer = "192.0.2.1:1025";
    arena_init(&t.arena, 1 << 30);
    buf_init(&t.options, 65536);
    buf_init(&t.sending, 128 << 20);
    while (!str_empty(rest) && !(t.one_by_one && t.whole_only)) {
        str_cut(&rest, '\n', &line);
        run_line(&t, line);
    }
    drop_message(&t);
    if (t.open)
        rig_close(&t.rig);
    buf_done(&t.options);
    buf_done(&t.sending);
    arena_done(&t.arena);
}

static int by_name(const struct dirent *d)
{
    return str_ends(str_c(d->d_name), STR(".txt")) && d->d_name[0] != 'R';
}

/* RFC 5321 and its extensions, and hostile.md section 1, as dialogues. */
static void test_transcripts(void **state)
{
    const char *only = getenv("VEREDUS_TRANSCRIPT");
    struct dirent **entries;
    int n = scandir(TRANSCRIPTS, &entries, by_name, alphasort);

    (void)state;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct buf text;
        snprintf(path, sizeof path, "%s/%s", TRANSCRIPTS, entries[i]->d_name);
        if (!only || strstr(path, only)) {
            assert_true(testdata_read(path, &text));
            current = buf_str(&text);
            current_path = path;
            for (int mode = 0; mode < 2; mode++) {
                current_one_by_one = mode;
                run_in_fiber(run_transcript);
            }
            buf_done(&text);
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d transcripts\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transcripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
