/* A whole courier against a hostile server. The first octet chooses the protocol, the others are
 * what the server says; an octet 1 lets the client speak first, 2 ends the connection: what follows
 * is said on the next one.
 *
 * Properties: the assignment ends once. Each delivery that was handed out is told exactly once,
 * with each recipient once (the codec refuses controls in what is told). A recipient is never told
 * as sent unless a message has left whole and the server has said enough for that. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "outbound/smtp/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 16384,
    QUIET_TURNS = 6,
    DELIVERIES = 3,
};

static struct rig rig;
static struct str input;
static uint32_t assignment;
static uint64_t message;
static struct buf heard;
static int fd;
static unsigned replies; /* lines of the server that look like the end of a good reply */

static struct co_rcpt rcpts[] = {
    {.index = 0, .address = STR_INIT("b@there.example"), .orcpt = STR_INIT("rfc822;x")},
    {.index = 1, .address = STR_INIT("c@other.example")},
    {.index = 2, .address = STR_INIT("\xc3\xa9@there.example"), .notify = IC_NOTIFY_NEVER},
};

static struct rig_delivery deliveries[DELIVERIES] = {
    {.content = STR_INIT("Subject: x\r\n\r\n.text\r\nMARK\r\n"), .inline_max = 1000},
    {.content = STR_INIT("Subject: x\r\n\r\n.text\r\n\xc3\xa9 MARK\r\n"), .inline_max = 5},
    {.content = STR_INIT("Subject: x\r\n\r\n.\rtext\n.\nMARK\r\n"), .inline_max = 1000},
};

/* ---- the server */

static void hear(void)
{
    unsigned quiet = 0;

    while (quiet < QUIET_TURNS) {
        char *room = buf_reserve(&heard, 4096);
        ssize_t got = -1;
        CHECK(room);
        CHECK(fiber_yield(NULL) == 0);
        if (fd >= 0)
            got = recv(fd, room, 4096, MSG_DONTWAIT);
        quiet = got > 0 ? 0 : quiet + 1;
        if (got > 0)
            buf_advance(&heard, (size_t)got);
    }
}

static void connection(void)
{
    for (unsigned i = 0; i < 4 && fd < 0 && list_empty(&rig.closed); i++) {
        hear();
        fd = accept4(rig.listener[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
}

static void hang_up(void)
{
    if (fd >= 0)
        close(fd);
    fd = -1;
}

static void speak(struct str octets)
{
    while (!str_empty(octets) && fd >= 0) {
        ssize_t done = send(fd, octets.p, octets.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN)
            return;
        if (done > 0)
            octets = str_from(octets, (size_t)done);
        hear();
    }
}

static void count_replies(struct str all)
{
    replies = 0;
    for (size_t i = 0; i + 3 < all.n; i++)
        if (all.p[i] == '2' && (i == 0 || all.p[i - 1] == '\n' || all.p[i - 1] <= 2))
            replies++;
}

static void serve(void)
{
    struct str rest = input, on_this, part;

    while (list_empty(&rig.closed)) {
        bool more = true;
        connection();
        str_cut(&rest, 2, &on_this);
        while (more && fd >= 0) {
            more = str_cut(&on_this, 1, &part);
            speak(part);
            hear();
        }
        hang_up();
        hear();
    }
}

/* ---- core */

static void begin(bool lmtp)
{
    struct co_host host = {
        .kind = CO_HOST_ADDRESS, .name = STR("127.0.0.2"), .port = net_port(&rig.at[0])};
    struct co_open open = {.assignment = ++assignment,
        .lmtp = lmtp,
        .site = STR("there.example"),
        .host = &host,
        .hosts = 1};

    for (unsigned i = 0; i < DELIVERIES; i++) {
        struct co_delivery *d = &deliveries[i].given;
        *d = (struct co_delivery){.id = ++message,
            .attempt = 1,
            .rcpt = rcpts,
            .rcpts_total = ARRAY_COUNT(rcpts),
            .reverse_path = STR("a@here.example"),
            .eight_bit = i == 1,
            .smtputf8 = i == 1};
        deliveries[i].rcpts_inline = i == 2 ? 1 : 0;
        list_add(&rig.deliveries, &deliveries[i].link);
    }
    rig_say_open(&rig, &open);
}

static unsigned count_marks(void)
{
    struct str rest = buf_str(&heard);
    unsigned n = 0;
    ptrdiff_t at;

    while ((at = str_find_str(rest, STR("MARK\r\n"))) >= 0) {
        rest = str_from(rest, (size_t)at + 1);
        n++;
    }
    return n;
}

static void check_outcome(const struct co_outcome *o, unsigned *sent)
{
    bool any = false;

    CHECK(o->results == ARRAY_COUNT(rcpts));
    for (uint32_t i = 0; i < o->results; i++) {
        CHECK(o->result[i].index == i);
        any |= o->result[i].verdict == CO_SENT || o->result[i].verdict == CO_RELAYED;
    }
    *sent += any;
}

static void check_told(void)
{
    unsigned told = 0, sent = 0, left = 0;
    struct list *link;

    while ((link = list_take(&rig.outcomes))) {
        struct rig_outcome *o = LIST_ENTRY(link, struct rig_outcome, link);
        check_outcome(&o->outcome, &sent);
        rig_outcome_free(o);
        told++;
    }
    while (list_take(&rig.deliveries))
        left++;
    CHECK(told + left == DELIVERIES);
    CHECK(sent <= count_marks());
    /* greeting, MAIL, RCPT and the message, at the least */
    CHECK(sent == 0 || replies >= 4);
    link = list_take(&rig.closed);
    CHECK(link && list_empty(&rig.closed));
    rig_closed_free(LIST_ENTRY(link, struct rig_closed, link));
    CHECK(outcomes_count(&rig.to_core.outcomes) == 0);
}

static void body(void *arg)
{
    bool lmtp = input.n && (input.p[0] & 1);

    (void)arg;
    input = str_from(input, 1);
    count_replies(input);
    fd = -1;
    begin(lmtp);
    serve();
    while (courier_service_count(rig.service))
        CHECK(fiber_yield(NULL) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(fiber_yield(NULL) == 0);
    check_told();
    run_stop();
}

static void start(void *arg)
{
    (void)arg;
    rig_open(&rig, "outbound { idle = 0 }");
    run_stop();
}

static void in_fiber(fiber_fn *fn)
{
    struct scope scope;

    scope_init(&scope);
    CHECK(fiber_start(&scope, "fuzz", fn, NULL, NULL) == 0);
    while (scope.count)
        run_loop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (size > INPUT_MAX)
        return 0;
    if (!ready) {
        log_open(&(struct log_settings){.fd = -1, .level = LOG_ERROR, .process = "fuzz"});
        table_seed((const uint8_t[16]){1});
        CHECK(run_open(NULL) == 0);
        in_fiber(start);
    }
    ready = true;
    input = str_of((const char *)data, size);
    buf_init(&heard, 1 << 20);
    in_fiber(body);
    buf_done(&heard);
    return 0;
}
