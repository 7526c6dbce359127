/* Runs the dialogues of tests/transcripts/outbound (README.txt there says how they are written),
 * each twice: what the server says in whole groups, and one octet at a time. */
#include <dirent.h>
#include <stdio.h>

#include "base/mem.h"

#include "mail/testdata.h"

#include "run/run_test.h"

#include "outbound/smtp/rig.h"

struct transcript {
    const char *path;
    struct rig rig;
    struct arena arena;
    struct buf options, sending;
    unsigned line;
    uint32_t assignments;
    uint64_t messages;
    bool open, one_by_one, whole_only;
    struct rig_delivery *delivery; /* the last that was described */
    struct rig_outcome *outcome;   /* the last that was told */
    uint32_t result;               /* the next of it */
    struct rig_closed *closed;
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
    struct str copy = STR_NONE;

    buf_init(&out, 64 << 20);
    testdata_unescape(s, &out);
    assert_true(buf_ok(&out) && arena_dup(&t->arena, buf_str(&out), &copy));
    buf_done(&out);
    return copy;
}

static void ready(struct transcript *t)
{
    if (!t->open)
        rig_open(&t->rig, arena_printf(&t->arena, "%.*s", STR_ARG(buf_str(&t->options))).p);
    t->open = true;
}

static void send_gathered(struct transcript *t)
{
    if (buf_len(&t->sending))
        rig_send(&t->rig, buf_str(&t->sending), t->one_by_one);
    buf_clear(&t->sending);
}

/* ---- what core has to send */

static uint64_t number(struct transcript *t, struct str s)
{
    uint64_t v;

    if (!str_to_u64(s, UINT32_MAX, &v))
        FAIL(t, "no number: %.*s", STR_ARG(s));
    return v;
}

/* "FROM TO,TO" */
static void do_mail(struct transcript *t, struct str arg)
{
    struct rig_delivery *d = ARENA_NEW(&t->arena, struct rig_delivery);
    struct co_rcpt *rcpt = arena_array(&t->arena, RIG_RCPTS_MAX, sizeof *rcpt);
    struct str from, to;
    bool more = true;

    ready(t);
    str_cut(&arg, ' ', &from);
    d->given = (struct co_delivery){.id = ++t->messages, .attempt = 1, .rcpt = rcpt};
    d->given.reverse_path = str_eq(from, STR("<>")) ? STR_NONE : unescaped(t, from);
    d->content = STR("Subject: x\r\n\r\ntext\r\n");
    d->inline_max = CO_INLINE_MAX;
    while (more) {
        more = str_cut(&arg, ',', &to);
        rcpt[d->given.rcpts_total].index = 10 + d->given.rcpts_total;
        rcpt[d->given.rcpts_total++].address = unescaped(t, to);
    }
    t->delivery = d;
    list_add(&t->rig.deliveries, &d->link);
}

/* "N ADDRESS": recipients ADDRESS with %u replaced */
static void do_many(struct transcript *t, struct str arg)
{
    struct co_delivery *d = &t->delivery->given;
    struct str count, head;

    str_cut(&arg, ' ', &count);
    str_cut(&arg, '%', &head);
    d->rcpts_total = (uint32_t)number(t, count);
    for (uint32_t i = 0; i < d->rcpts_total; i++) {
        d->rcpt[i].index = i;
        d->rcpt[i].address = arena_printf(&t->arena, "%.*s%u%.*s", STR_ARG(head), i, STR_ARG(arg));
    }
}

/* "notify=10 orcpt=rfc822;x" of the first recipient; "utf8 8bit probe ret=1 envid=X inline=N" */
static void do_with(struct transcript *t, struct str arg)
{
    struct co_delivery *d = &t->delivery->given;
    struct str word, name;

    while (!str_empty(arg)) {
        str_cut(&arg, ' ', &word);
        str_cut(&word, '=', &name);
        if (str_eq(name, STR("utf8")))
            d->smtputf8 = true;
        else if (str_eq(name, STR("8bit")))
            d->eight_bit = true;
        else if (str_eq(name, STR("probe")))
            d->probe = true;
        else if (str_eq(name, STR("unreadable")))
            t->delivery->unreadable = true;
        else if (str_eq(name, STR("ret")))
            d->ret = (enum ic_ret)number(t, word);
        else if (str_eq(name, STR("envid")))
            d->envid = unescaped(t, word);
        else if (str_eq(name, STR("notify")))
            d->rcpt[0].notify = (uint8_t)number(t, word);
        else if (str_eq(name, STR("orcpt")))
            d->rcpt[0].orcpt = unescaped(t, word);
        else if (str_eq(name, STR("inline")))
            t->delivery->inline_max = number(t, word);
        else if (str_eq(name, STR("rcpts")))
            t->delivery->rcpts_inline = (uint32_t)number(t, word);
        else
            FAIL(t, "with what?");
    }
}

static void do_content(struct transcript *t, struct str arg)
{
    t->delivery->content = unescaped(t, arg);
}

static void do_prefix(struct transcript *t, struct str arg)
{
    t->delivery->given.prefix = unescaped(t, arg);
}

/* "NAME A|AAAA ADDRESS,ADDRESS" or "NAME A|AAAA temporary" */
static void do_dns(struct transcript *t, struct str arg)
{
    struct rig_name *n = ARENA_NEW(&t->arena, struct rig_name);
    struct str name, type, one;
    bool more = true;

    ready(t);
    str_cut(&arg, ' ', &name);
    str_cut(&arg, ' ', &type);
    *n = (struct rig_name){.name = name, .type = str_eq(type, STR("A")) ? DNS_A : DNS_AAAA};
    n->answer = (struct dns_answer){.status = DNS_FOUND, .ttl_s = 60, .name = name};
    n->answer.records = arena_array(&t->arena, 32, sizeof *n->answer.records);
    if (str_eq(arg, STR("temporary"))) {
        n->answer.status = DNS_TEMPORARY;
        n->answer.why = STR("no answer from the DNS");
        more = false;
    }
    while (more) {
        struct net_address a;
        more = str_cut(&arg, ',', &one);
        assert_int_equal(
            net_parse(arena_printf(
                          &t->arena, str_find(one, ':') < 0 ? "%.*s:1" : "[%.*s]:1", STR_ARG(one)),
                &a, NULL),
            0);
        net_octets(&a, n->answer.records[n->answer.count++].address);
    }
    list_add(&t->rig.names, &n->link);
}

/* ---- assignments */

static void add_host(struct transcript *t, struct co_open *open, struct str word)
{
    struct co_host *h = &open->host[open->hosts++];
    struct buf ip;

    h->port = net_port(&t->rig.at[0]);
    if (word.n > 1) {
        h->kind = str_starts(word, STR("/")) ? CO_HOST_UNIX
                  : ascii_digit(word.p[0])   ? CO_HOST_ADDRESS
                                             : CO_HOST_NAME;
        h->name = word;
        return;
    }
    buf_init(&ip, 64);
    net_format_ip(&t->rig.at[word.p[0] - '1'], &ip);
    h->kind = CO_HOST_ADDRESS;
    h->port = net_port(&t->rig.at[word.p[0] - '1']);
    assert_true(arena_dup(&t->arena, buf_str(&ip), &h->name));
    buf_done(&ip);
}

/* "[lmtp] [mx] [helo=NAME] HOST ..." */
static void do_open(struct transcript *t, struct str arg)
{
    struct co_open open = {.assignment = ++t->assignments, .site = STR("there.example")};
    struct str word;

    ready(t);
    open.host = arena_array(&t->arena, CO_HOSTS_MAX, sizeof *open.host);
    while (!str_empty(arg)) {
        str_cut(&arg, ' ', &word);
        if (str_eq(word, STR("lmtp")))
            open.lmtp = true;
        else if (str_eq(word, STR("mx")))
            open.by_mx = true;
        else if (str_starts(word, STR("helo=")))
            open.helo_name = str_from(word, 5);
        else
            add_host(t, &open, word);
    }
    rig_say_open(&t->rig, &open);
}

static void do_core(struct transcript *t, struct str arg)
{
    ready(t);
    send_gathered(t);
    rig_turns(&t->rig, 10);
    if (str_eq(arg, STR("away")))
        rig_core_away(&t->rig);
    else if (str_eq(arg, STR("back")))
        rig_core_back(&t->rig);
    else if (str_eq(arg, STR("work")))
        rig_say_work(&t->rig, t->assignments);
    else if (str_eq(arg, STR("close")))
        rig_say_close(&t->rig, t->assignments);
    else if (str_eq(arg, STR("drain")))
        courier_service_drain(t->rig.service);
    else if (str_eq(arg, STR("silent")))
        t->rig.confirms = false;
    else
        FAIL(t, "core: what?");
    rig_turns(&t->rig, 10);
}

static void do_turns(struct transcript *t, struct str arg)
{
    send_gathered(t);
    rig_turns(&t->rig, (unsigned)number(t, arg));
}

static void do_deaf(struct transcript *t, struct str arg)
{
    ready(t);
    rig_deafen(&t->rig, (unsigned)number(t, arg) - 1);
}

/* ---- the dialogue */

static void do_accept(struct transcript *t, struct str arg)
{
    send_gathered(t);
    if (!rig_accept(&t->rig, (unsigned)number(t, arg) - 1))
        FAIL(t, "nobody connected");
}

static void connected(struct transcript *t)
{
    if (!t->rig.server)
        do_accept(t, STR("1"));
}

static void do_server(struct transcript *t, struct str arg)
{
    if (str_eq(arg, STR("close"))) {
        send_gathered(t);
        rig_hang_up(&t->rig);
        return;
    }
    connected(t);
    testdata_unescape(arg, &t->sending);
    buf_put(&t->sending, STR("\r\n"));
}

static void do_server_octets(struct transcript *t, struct str arg)
{
    connected(t);
    testdata_unescape(arg, &t->sending);
}

static void do_client(struct transcript *t, struct str arg)
{
    struct str want, got;

    connected(t);
    send_gathered(t);
    if (str_eq(arg, STR("close"))) {
        if (!rig_ended(&t->rig))
            FAIL(t, "the connection was not closed: %.*s", STR_ARG(rig_line(&t->rig)));
        rig_hang_up(&t->rig);
        return;
    }
    want = unescaped(t, arg);
    got = rig_line(&t->rig);
    if (!got.p || !str_eq(got, want))
        FAIL(t, "the client said \"%.*s\", not \"%.*s\"", STR_ARG(got), STR_ARG(want));
}

static void do_client_octets(struct transcript *t, struct str arg)
{
    struct str want = unescaped(t, arg), got;

    connected(t);
    send_gathered(t);
    got = rig_octets(&t->rig, want.n);
    if (!str_eq(got, want))
        FAIL(t, "the client sent %zu octets \"%.*s\"", got.n, STR_ARG(str_head(got, 500)));
}

/* ---- what core is told */

static void next_outcome(struct transcript *t)
{
    if (t->outcome && t->result < t->outcome->outcome.results)
        return;
    if (t->outcome)
        rig_outcome_free(t->outcome);
    t->outcome = rig_outcome(&t->rig);
    t->result = 0;
    if (!t->outcome)
        FAIL(t, "no outcome was told");
}

/* "VERDICT CODE STATUS TEXT": of the next recipient */
static void do_result(struct transcript *t, struct str arg)
{
    static const char *const verdicts[] = {[CO_SENT] = "sent",
        [CO_RELAYED] = "relayed",
        [CO_DEFERRED] = "deferred",
        [CO_FAILED] = "failed",
        [CO_UNKNOWN] = "unknown",
        [CO_UNTRIED] = "untried"};
    const struct co_result *r;
    const struct co_reply *reply;
    struct str text;

    send_gathered(t);
    next_outcome(t);
    r = &t->outcome->outcome.result[t->result++];
    reply = &t->outcome->outcome.reply[r->reply];
    text = arena_printf(&t->arena, "%s %u %u.%u.%u %.*s", verdicts[r->verdict], reply->code,
        reply->status.class, reply->status.subject, reply->status.detail, STR_ARG(reply->text));
    if (!str_starts(text, unescaped(t, arg)))
        FAIL(t, "recipient %u: %.*s", t->result, STR_ARG(text));
}

/* "N VERDICT ...": N times */
static void do_results(struct transcript *t, struct str arg)
{
    struct str count;

    str_cut(&arg, ' ', &count);
    for (uint64_t n = number(t, count); n > 0; n--)
        do_result(t, arg);
}

/* "KIND CODE STATUS TEXT" */
static void do_end(struct transcript *t, struct str arg)
{
    static const char *const ends[] = {[CO_ENDED_DONE] = "done",
        [CO_ENDED_FAILED] = "failed",
        [CO_ENDED_REFUSED] = "refused",
        [CO_ENDED_LOST] = "lost"};
    const struct co_closed *c;
    struct str text;

    send_gathered(t);
    if (t->closed)
        rig_closed_free(t->closed);
    t->closed = rig_closed(&t->rig);
    if (!t->closed)
        FAIL(t, "the assignment has not ended");
    c = &t->closed->closed;
    text = arena_printf(&t->arena, "%s %u %u.%u.%u %.*s", ends[c->end], c->why.code,
        c->why.status.class, c->why.status.subject, c->why.status.detail, STR_ARG(c->why.text));
    if (!str_starts(text, unescaped(t, arg)))
        FAIL(t, "it ended: %.*s", STR_ARG(text));
}

static void do_tried(struct transcript *t, struct str arg)
{
    if (str_find_str(t->closed->closed.tried, unescaped(t, arg)) < 0)
        FAIL(t, "tried: %.*s", STR_ARG(t->closed->closed.tried));
}

static void do_told(struct transcript *t, struct str arg)
{
    struct str text = arena_printf(&t->arena, "messages=%u rcpts=%u flying=%u late=%d",
        t->rig.last_next.messages_max, t->rig.last_next.rcpts_max, t->rig.flying,
        t->outcome && t->outcome->late);

    if (str_find_str(text, arg) < 0)
        FAIL(t, "%.*s", STR_ARG(text));
}

static void do_option(struct transcript *t, struct str arg)
{
    buf_put(&t->options, arg);
    buf_put_c(&t->options, '\n');
}

static void do_whole(struct transcript *t, struct str arg)
{
    (void)arg;
    t->whole_only = true;
}

static const struct {
    struct str word;
    void (*run)(struct transcript *t, struct str arg);
} directives[] = {
    {STR_INIT("C:"), do_client},
    {STR_INIT("C>"), do_client_octets},
    {STR_INIT("S:"), do_server},
    {STR_INIT("S>"), do_server_octets},
    {STR_INIT("accept:"), do_accept},
    {STR_INIT("mail:"), do_mail},
    {STR_INIT("many:"), do_many},
    {STR_INIT("with:"), do_with},
    {STR_INIT("content:"), do_content},
    {STR_INIT("prefix:"), do_prefix},
    {STR_INIT("open:"), do_open},
    {STR_INIT("core:"), do_core},
    {STR_INIT("turns:"), do_turns},
    {STR_INIT("dns:"), do_dns},
    {STR_INIT("deaf:"), do_deaf},
    {STR_INIT("result:"), do_result},
    {STR_INIT("results:"), do_results},
    {STR_INIT("end:"), do_end},
    {STR_INIT("tried:"), do_tried},
    {STR_INIT("told:"), do_told},
    {STR_INIT("option:"), do_option},
    {STR_INIT("whole:"), do_whole},
};

static void run_line(struct transcript *t, struct str line)
{
    t->line++;
    if (str_empty(str_trim(line)) || line.p[0] == '#')
        return;
    for (size_t i = 0; i < ARRAY_COUNT(directives); i++) {
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

/* Every result was looked at, and nobody was told more than that. */
static void check_rest(struct transcript *t)
{
    if (t->outcome && t->result < t->outcome->outcome.results)
        FAIL(t, "more recipients have results");
    if (!list_empty(&t->rig.outcomes))
        FAIL(t, "more outcomes were told");
    if (t->outcome)
        rig_outcome_free(t->outcome);
    if (t->closed)
        rig_closed_free(t->closed);
}

static void run_transcript(void)
{
    struct transcript t = {.path = current_path, .one_by_one = current_one_by_one};
    struct str rest = current, line;

    arena_init(&t.arena, 1 << 30);
    buf_init(&t.options, 65536);
    buf_init(&t.sending, 128 << 20);
    while (!str_empty(rest) && !(t.one_by_one && t.whole_only)) {
        str_cut(&rest, '\n', &line);
        run_line(&t, line);
    }
    if (t.open) {
        send_gathered(&t);
        check_rest(&t);
        rig_close(&t.rig);
    }
    buf_done(&t.options);
    buf_done(&t.sending);
    arena_done(&t.arena);
}

static int by_name(const struct dirent *d)
{
    return str_ends(str_c(d->d_name), STR(".txt")) && d->d_name[0] != 'R';
}

/* RFC 5321 and its extensions from the client's side, and hostile.md section 2, as dialogues. */
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

    table_seed((const uint8_t[16]){1});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
