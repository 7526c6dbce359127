#include "resolver/service.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/table.h"
#include "base/temp_dir.h"

#include "run/run_test.h"

#include "ipc/dns.h"

/* A name server of one socket, in the hands of the test. */
static struct server {
    struct watch *watch;
    struct net_address address, peer;
    char question[512];
    size_t question_n;
    char text[64]; /* 127.0.0.1@PORT */
} server;

static struct service *service;

static void server_open(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_equal(net_parse(STR("127.0.0.1:0"), &server.address, NULL), 0);
    assert_int_equal(bind(fd, &server.address.any, server.address.len), 0);
    assert_int_equal(getsockname(fd, &server.address.any, &server.address.len), 0);
    snprintf(server.text, sizeof server.text, "127.0.0.1@%u", net_port(&server.address));
    assert_int_equal(watch_open(&server.watch, fd, NULL), 0);
}

static void server_wait(void)
{
    ssize_t n;

    server.peer.len = sizeof server.peer.in;
    while ((n = recvfrom(watch_fd(server.watch), server.question, sizeof server.question, 0,
                &server.peer.any, &server.peer.len)) < 0)
        assert_int_equal(watch_wait(server.watch, WATCH_READ, NULL), 0);
    assert_true(n > 12);
    server.question_n = (size_t)n;
}

/* 127.0.0.9, to the question that was waited for (its EDNS record left out). */
static void server_answer(void)
{
    static const char record[] = "\300\014\0\1\0\1\0\0\0\074\0\4\177\0\0\011";
    char packet[600];
    size_t at = 12;

    while (server.question[at])
        at += (size_t)server.question[at] + 1;
    at += 5;
    memcpy(packet, server.question, at);
    packet[2] = '\x81';
    packet[3] = '\x80';
    packet[7] = 1;
    packet[11] = 0;
    memcpy(packet + at, record, sizeof record - 1);
    assert_true(sendto(watch_fd(server.watch), packet, at + sizeof record - 1, 0, &server.peer.any,
                    server.peer.len) > 0);
}

static void begin(void)
{
    static const struct event none;
    struct engine_settings settings = {.server_count = 1};
    uint8_t key[16];

    rng_bytes(key, sizeof key);
    table_seed(key);
    server_open();
    settings.servers[0] = str_c(server.text);
    assert_int_equal(service_open(&service, &settings, &none, NULL), 0);
}

static void end(void)
{
    service_close(&service);
    watch_close(&server.watch);
}

/* One that asks, in a fiber. */
struct asker {
    struct dns_client client;
    struct scope scope;
    struct arena arena;
    struct dns_answer answer;
    const char *name;
    int rc;
};

static void ask(void *arg)
{
    struct asker *a = arg;

    a->rc = dns_ask(&a->client, &a->arena, DNS_A, str_c(a->name), &a->answer, NULL);
}

static void asker_start(struct asker *a, const char *name)
{
    int fds[2];

    *a = (struct asker){.name = name, .rc = -2};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    dns_client_init(&a->client, NULL);
    arena_init(&a->arena, 1 << 20);
    scope_init(&a->scope);
    assert_int_equal(service_attach(service, fds[0], NULL), 0);
    dns_client_peer(&a->client, fds[1]);
    assert_int_equal(fiber_start(&a->scope, "ask", ask, a, NULL), 0);
}

static void asker_end(struct asker *a)
{
    scope_join(&a->scope);
    dns_client_done(&a->client);
    arena_done(&a->arena);
}

static void assert_answered(struct asker *a)
{
    scope_join(&a->scope);
    assert_int_equal(a->rc, 0);
    assert_int_equal(a->answer.status, DNS_FOUND);
    assert_false(a->answer.secure);
    assert_int_equal(a->answer.count, 1);
    assert_int_equal(a->answer.records[0].address[15], 9);
}

static void answers(void)
{
    struct asker one, other;

    begin();
    asker_start(&one, "x.example");
    server_wait();
    asker_start(&other, "X.Example"); /* the same question */
    assert_int_equal(fiber_yield(NULL), 0);
    server_answer();
    assert_answered(&one);
    assert_answered(&other);
    asker_end(&one);
    asker_end(&other);
    end();
}

/* Who asked is gone when the answer comes; the next one has it. */
static void forgets(void)
{
    struct asker gone, stays, later;

    begin();
    asker_start(&gone, "x.example");
    server_wait();
    asker_start(&stays, "x.example");
    for (int i = 0; i < 10; i++)
        assert_int_equal(fiber_yield(NULL), 0);
    scope_cancel(&gone.scope);
    asker_end(&gone);
    for (int i = 0; i < 10; i++)
        assert_int_equal(fiber_yield(NULL), 0);
    server_answer();
    assert_answered(&stays);
    asker_end(&stays);
    asker_start(&later, "x.example"); /* from the cache */
    assert_answered(&later);
    asker_end(&later);
    end();
}

/* It ends with questions open on both sides. */
static void ends_early(void)
{
    struct asker a;

    begin();
    asker_start(&a, "x.example");
    server_wait();
    service_close(&service);
    scope_cancel(&a.scope);
    asker_end(&a);
    watch_close(&server.watch);
}

static void fails(void)
{
    static const struct event none;
    struct engine_settings settings = {.trust_anchor = STR("/nonexistent/root.key")};
    char dir[64], path[80];
    struct err e = {0};
    FILE *f;

    assert_int_equal(service_open(&service, &settings, &none, &e), -1);
    assert_non_null(strstr(e.text, "/nonexistent/root.key: No such file"));
    assert_int_equal(temp_dir_make(dir, sizeof dir, NULL, "resolver"), 0);
    snprintf(path, sizeof path, "%s/root.key", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("this is no key\n", f);
    fclose(f);
    settings.trust_anchor = str_c(path);
    assert_int_equal(service_open(&service, &settings, &none, &e), -1);
    assert_non_null(strstr(e.text, path));
    unlink(path);
    assert_int_equal(temp_dir_remove(dir), 0);
    settings.trust_anchor = STR("/dev/null");
    assert_int_equal(service_open(&service, &settings, &none, &e), 0);
    service_close(&service);
}

/* Each allocation of ours fails once, at the start and over a question. */
static void fails_without_memory(void)
{
    static const struct event none;
    struct engine_settings settings = {.server_count = 1};
    struct asker a;
    struct err e = {0};
    uint64_t n = 0;
    int rc = -1;

    server_open();
    settings.servers[0] = str_c(server.text);
    while (rc < 0 && n < 1000) {
        mem_fail_at(++n);
        rc = service_open(&service, &settings, &none, &e);
        mem_fail_at(0);
    }
    assert_true(rc == 0 && n > 5);
    service_close(&service);
    assert_int_equal(service_open(&service, &settings, &none, &e), 0);
    for (n = 1; n < 30; n++) {
        asker_start(&a, "localhost");
        assert_int_equal(fiber_yield(NULL), 0);
        mem_fail_at(n);
        scope_join(&a.scope);
        mem_fail_at(0);
        assert_true(a.rc == 0 || a.rc == -1);
        asker_end(&a);
    }
    service_close(&service);
    watch_close(&server.watch);
}

static void test_answers(void **state)
{
    (void)state;
    run_in_fiber(answers);
}

static void test_forgets(void **state)
{
    (void)state;
    run_in_fiber(forgets);
}

static void test_ends_early(void **state)
{
    (void)state;
    run_in_fiber(ends_early);
}

static void test_fails(void **state)
{
    (void)state;
    run_in_fiber(fails);
}

static void test_no_memory(void **state)
{
    (void)state;
    run_in_fiber(fails_without_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_ends_early),
        cmocka_unit_test(test_fails),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
