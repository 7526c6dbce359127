/* What transcripts cannot show: memory that fails at each place, what an idle courier holds, the
 * events' table. */
#include "outbound/smtp/courier.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "run/run_test.h"

#include "outbound/events.h"
#include "outbound/smtp/rig.h"

static struct rig rig;
static struct co_rcpt rcpts[] = {
    {.index = 0, .address = STR_INIT("b@there.example")},
    {.index = 1, .address = STR_INIT("c@there.example")},
};
static struct rig_delivery delivery;
static uint32_t assignments;

static void begin(void)
{
    struct co_host host = {
        .kind = CO_HOST_ADDRESS, .name = STR("127.0.0.2"), .port = net_port(&rig.at[0])};
    struct co_open open = {
        .assignment = ++assignments, .site = STR("there.example"), .host = &host, .hosts = 1};

    delivery = (struct rig_delivery){.content = STR("Subject: x\r\n\r\ntext\r\n"), .inline_max = 5};
    delivery.given = (struct co_delivery){.id = assignments,
        .attempt = 1,
        .rcpt = rcpts,
        .rcpts_total = 2,
        .reverse_path = STR("a@here.example")};
    delivery.rcpts_inline = 1;
    list_add(&rig.deliveries, &delivery.link);
    rig_say_open(&rig, &open);
}

/* ---- a server that allocates nothing */

static int server;
static char said[65536];
static size_t said_n;

static void listen_for(const char *what)
{
    for (unsigned turns = 0; turns < 2000; turns++) {
        ssize_t got;
        if (!list_empty(&rig.closed) || (said_n && memmem(said, said_n, what, strlen(what))))
            break;
        CHECK(fiber_yield(NULL) == 0);
        if (server < 0)
            server = accept4(rig.listener[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (server < 0)
            continue;
        got = recv(server, said + said_n, sizeof said - said_n, MSG_DONTWAIT);
        if (got > 0)
            said_n += (size_t)got;
        if (got == 0)
            return;
    }
    said_n = 0;
}

static void say(const char *text)
{
    for (unsigned turns = 0; server < 0 && turns < 50 && list_empty(&rig.closed); turns++) {
        CHECK(fiber_yield(NULL) == 0);
        server = accept4(rig.listener[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    if (server >= 0)
        (void)send(server, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void serve(void)
{
    server = -1;
    said_n = 0;
    say("220 mx\r\n");
    listen_for("EHLO");
    say("250-mx\r\n250 PIPELINING\r\n");
    listen_for("DATA\r\n");
    say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    listen_for("\r\n.\r\n");
    say("250 taken\r\n");
    listen_for("QUIT\r\n");
    if (server >= 0)
        close(server);
}

static void drop_told(void)
{
    struct list *link;

    while ((link = list_take(&rig.outcomes)))
        rig_outcome_free(LIST_ENTRY(link, struct rig_outcome, link));
    while ((link = list_take(&rig.closed)))
        rig_closed_free(LIST_ENTRY(link, struct rig_closed, link));
}

/* One delivery; the n-th allocation of ours fails. True: all of it went well. */
static bool with_failure(uint64_t n)
{
    bool whole = false, given;

    begin();
    rig.fail_at = n;
    mem_fail_at(n);
    serve();
    while (list_empty(&rig.closed) && rig.core)
        assert_int_equal(fiber_yield(NULL), 0);
    mem_fail_at(0);
    rig.fail_at = 0;
    given = !list_linked(&delivery.link);
    list_remove(&delivery.link);
    if (given && !list_empty(&rig.outcomes)) {
        struct rig_outcome *o = LIST_FIRST(&rig.outcomes, struct rig_outcome, link);
        assert_int_equal(o->outcome.results, 2);
        whole = o->outcome.result[0].verdict == CO_RELAYED &&
                o->outcome.result[1].verdict == CO_RELAYED;
    }
    drop_told();
    while (courier_service_count(rig.service))
        assert_int_equal(fiber_yield(NULL), 0);
    if (!rig.core) /* without memory for the least the channel is cut, and core begins anew */
        rig_core_back(&rig);
    drop_told();
    return whole;
}

FIBER_TEST(test_memory_fails_at_each_place)
{
    unsigned wholes = 0;

    rig_open(&rig, "outbound { idle = 0 }");
    for (uint64_t n = 1; wholes < 5; n++) {
        assert_true(n < 500);
        wholes = with_failure(n) ? wholes + 1 : 0;
    }
    rig_close(&rig);
}

enum {
    MANY = 200
};

/* What belongs to a delivery goes with it: a connection holds no more after many than after one. */
FIBER_TEST(test_many_over_one_connection)
{
    static struct rig_delivery many[MANY];
    struct courier *c;
    size_t most = 0;

    rig_open(&rig, "");
    begin();
    list_remove(&delivery.link);
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = delivery;
        many[i].given.id = 1000 + i;
        many[i].link = (struct list){0};
        list_add(&rig.deliveries, &many[i].link);
    }
    server = -1;
    said_n = 0;
    say("220 mx\r\n");
    listen_for("EHLO");
    say("250-mx\r\n250 PIPELINING\r\n");
    for (unsigned i = 0; i < MANY; i++) {
        listen_for("DATA\r\n");
        say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
        listen_for("\r\n.\r\n");
        c = LIST_FIRST(&rig.service->all, struct courier, link);
        most = c->mail.used + c->mail_next.used > most ? c->mail.used + c->mail_next.used : most;
        say("250 taken\r\n");
    }
    assert_true(most < 8192);
    for (unsigned i = 0; i < MANY; i++)
        rig_outcome_free(rig_outcome(&rig));
    close(server);
    rig_close(&rig);
}

/* DESIGN.md section 9: a parked session is a few thousand octets at most, without a stack. */
FIBER_TEST(test_idle_courier_is_small)
{
    assert_true(sizeof(struct courier) < 4096);
}

static void test_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < outbound_event_count; i++) {
        assert_true(strlen(outbound_events[i].meaning) > 10);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(outbound_events[i].name, outbound_events[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_fails_at_each_place),
        cmocka_unit_test(test_many_over_one_connection),
        cmocka_unit_test(test_idle_courier_is_small),
        cmocka_unit_test(test_events),
    };

    table_seed((const uint8_t[16]){1});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
