#include "io/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/temp_dir.h"
#include "base/unit_test.h"

/* NULL: refused; else the form in which it is printed again. */
static const struct parse_case {
    const char *text, *printed, *ip;
    uint16_t port;
} parse_cases[] = {
    {"192.0.2.1:25", "192.0.2.1:25", "192.0.2.1", 25},
    {"0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", 0},
    {"127.0.0.1:65535", "127.0.0.1:65535", "127.0.0.1", 65535},
    {"[::]:25", "[::]:25", "::", 25},
    {"[2001:DB8::1]:465", "[2001:db8::1]:465", "2001:db8::1", 465},
    {"[2001:db8:0:0:0:0:0:1]:1", "[2001:db8::1]:1", "2001:db8::1", 1},
    {"[::ffff:192.0.2.1]:25", "[::ffff:192.0.2.1]:25", "192.0.2.1", 25},
    {"unix:/run/veredus/submit", "unix:/run/veredus/submit", "local", 0},
    {"192.0.2.1:65536", NULL, NULL, 0},
    {"192.0.2.1:", NULL, NULL, 0},
    {"192.0.2.1:+25", NULL, NULL, 0},
    {"192.0.2.1: 25", NULL, NULL, 0},
    {"192.0.2.1:25 ", NULL, NULL, 0},
    {"192.0.2.1", NULL, NULL, 0},
    {"192.0.2.01:25", NULL, NULL, 0},
    {"192.0.2:25", NULL, NULL, 0},
    {"[192.0.2.1]:25", NULL, NULL, 0},
    {"::1:25", NULL, NULL, 0},
    {"[::1]", NULL, NULL, 0},
    {"[::1]25", NULL, NULL, 0},
    {"[::1:25", NULL, NULL, 0},
    {"[:25", NULL, NULL, 0},
    {"[]:25", NULL, NULL, 0},
    {"[fe80::1%eth0]:25", NULL, NULL, 0},
    {"localhost:25", NULL, NULL, 0},
    {":25", NULL, NULL, 0},
    {"", NULL, NULL, 0},
    {"unix:", NULL, NULL, 0},
    {"unix:relative", NULL, NULL, 0},
};

static void expect(struct buf *b, const char *want)
{
    assert_true(str_eq(buf_str(b), str_c(want)));
    buf_clear(b);
}

static void test_parse(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 256);
    for (size_t i = 0; i < sizeof parse_cases / sizeof *parse_cases; i++) {
        const struct parse_case *c = &parse_cases[i];
        struct net_address a;
        struct err e = {0};
        int rc = net_parse(str_c(c->text), &a, &e);
        if ((rc == 0) != !!c->printed)
            fail_msg("%s: %d %s", c->text, rc, e.text);
        if (rc < 0) {
            assert_int_equal(e.class, ERR_PERMANENT);
            continue;
        }
        net_format(&a, &b);
        expect(&b, c->printed);
        net_format_ip(&a, &b);
        expect(&b, c->ip);
        assert_int_equal(net_port(&a), c->port);
    }
    buf_done(&b);
}

/* 107 octets of path fit, and not one more; none of them is NUL. */
static void test_unix_path(void **state)
{
    char text[128];
    struct net_address a;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:/", 6);
    assert_int_equal(net_parse(str_of(text, 5 + 107), &a, NULL), 0);
    assert_int_equal(net_parse(str_of(text, 5 + 108), &a, NULL), -1);
    text[20] = 0;
    assert_int_equal(net_parse(str_of(text, 40), &a, NULL), -1);
    a = (struct net_address){.len = sizeof(sa_family_t), .un.sun_family = AF_UNIX};
    struct buf b; /* a peer without a name */
    buf_init(&b, 64);
    net_format(&a, &b);
    expect(&b, "unix:");
    buf_done(&b);
}

static const struct block_case {
    const char *block, *address;
    bool contains;
} block_cases[] = {
    {"127.0.0.0/8", "127.255.255.255", true},
    {"127.0.0.0/8", "128.0.0.0", false},
    {"192.0.2.7", "192.0.2.7", true},
    {"192.0.2.7", "192.0.2.6", false},
    {"192.0.2.0/31", "192.0.2.1", true},
    {"192.0.2.0/31", "192.0.2.2", false},
    {"0.0.0.0/0", "203.0.113.9", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"0.0.0.0/0", "::ffff:203.0.113.9", true}, /* a v4 peer on a v6 socket */
    {"10.0.0.0/8", "::ffff:10.1.2.3", true},
    {"::ffff:10.0.0.0/104", "10.1.2.3", true},
    {"::1", "::1", true},
    {"::1", "::2", false},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/32", "2001:db9::1", false},
    {"2001:db8:8000::/33", "2001:db8:8000::1", true},
    {"2001:db8:8000::/33", "2001:db8:7fff::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "192.0.2.1", false},
    {"::/0", "::ffff:192.0.2.1", false},
};

static struct net_address address_of(const char *ip)
{
    char text[80];
    struct net_address a;

    snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:1" : "%s:1", ip);
    assert_int_equal(net_parse(str_c(text), &a, NULL), 0);
    return a;
}

static void test_blocks(void **state)
{
    static const char *const refused[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129",
        "10.0.0.1/8", "2001:db8::1/64", "10.0.0.0/8/8", "10/8", "host", "10.0.0.0/-1",
        "::ffff:10.0.0.0/96", "[::1]"};
    struct net_address local = {.len = sizeof(sa_family_t), .un.sun_family = AF_UNIX};
    struct net_block b;

    (void)state;
    for (size_t i = 0; i < sizeof block_cases / sizeof *block_cases; i++) {
        const struct block_case *c = &block_cases[i];
        struct net_address a = address_of(c->address);
        assert_int_equal(net_block_parse(str_c(c->block), &b, NULL), 0);
        if (net_block_contains(&b, &a) != c->contains)
            fail_msg("%s contains %s", c->block, c->address);
        assert_false(net_block_contains(&b, &local));
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (net_block_parse(str_c(refused[i]), &b, NULL) == 0)
            fail_msg("%s was taken", refused[i]);
}

static struct net_address bound_to(int fd)
{
    struct net_address a = {.len = sizeof a.un};

    assert_int_equal(getsockname(fd, &a.any, &a.len), 0);
    return a;
}

static int connect_to(const struct net_address *a)
{
    int fd = socket(a->any.sa_family, SOCK_STREAM, 0);

    if (connect(fd, &a->any, a->len) == 0)
        return fd;
    close(fd);
    return -1;
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static void test_listen(void **state)
{
    struct net_address any = address_of("127.0.0.1"), a;
    struct err e = {0};
    int fds[3], others[2], client;

    (void)state;
    any.in.sin_port = 0;
    assert_int_equal(net_listen(&any, 0, 10, fds, 3, &e), 0);
    a = bound_to(fds[0]);
    assert_true(net_port(&a) > 0);
    for (int i = 0; i < 3; i++) {
        struct net_address same = bound_to(fds[i]);
        assert_int_equal(net_port(&same), net_port(&a));
        assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
    }
    client = connect_to(&a);
    assert_true(client >= 0);
    close(client);
    /* A second program does not share the port by accident. */
    assert_int_equal(net_listen(&a, 0, 10, others, 2, &e), -1);
    assert_int_equal(e.os, EADDRINUSE);
    assert_non_null(strstr(e.text, "address in use"));
    assert_int_equal(others[0], -1);
    close_all(fds, 3);
    /* And the same one, started again, has it at once. */
    assert_int_equal(net_listen(&a, 0, 10, fds, 1, &e), 0);
    close_all(fds, 1);
}

static void test_listen_dual(void **state)
{
    struct net_address v6 = address_of("::"), v4 = address_of("127.0.0.1");
    int fds[1], more[1], client;
    struct err e;

    (void)state;
    v6.in6.sin6_port = 0;
    if (net_listen(&v6, 0, 10, fds, 1, &e) < 0)
        skip(); /* a machine without IPv6 */
    v6 = bound_to(fds[0]);
    v4.in.sin_port = v6.in6.sin6_port;
    client = connect_to(&v4);
    assert_true(client >= 0);
    close(client);
    close_all(fds, 1);
    v6.v6_only = true;
    assert_int_equal(net_listen(&v6, 0, 10, fds, 1, &e), 0);
    assert_int_equal(connect_to(&v4), -1);
    assert_int_equal(net_listen(&v4, 0, 10, more, 1, &e), 0); /* both beside each other */
    close_all(fds, 1);
    close_all(more, 1);
}

static void test_listen_unix(void **state)
{
    char dir[64], text[80], *path = text + 5;
    struct net_address a;
    struct err e = {0};
    struct stat st;
    mode_t before = umask(077);
    int fds[2], others[1], client, file;

    (void)state;
    assert_int_equal(temp_dir_make(dir, sizeof dir, NULL, "net"), 0);
    snprintf(text, sizeof text, "unix:%s/s", dir);
    assert_int_equal(net_parse(str_c(text), &a, &e), 0);
    assert_int_equal(net_listen(&a, 0666, 10, fds, 2, &e), 0);
    assert_int_equal(fds[1], -1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    assert_int_equal(net_listen(&a, 0666, 10, others, 1, &e), -1); /* somebody answers */
    assert_int_equal(e.os, EADDRINUSE);
    client = connect_to(&a);
    assert_true(client >= 0);
    close(client);
    close(fds[0]); /* as a killed program leaves it */
    assert_int_equal(net_listen(&a, 0600, 10, fds, 1, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    close(fds[0]);
    assert_int_equal(unlink(path), 0);
    file = open(path, O_CREAT | O_WRONLY, 0600); /* what is no socket stays */
    assert_int_equal(net_listen(&a, 0600, 10, fds, 1, &e), -1);
    assert_int_equal(access(path, F_OK), 0);
    close(file);
    unlink(path);
    assert_int_equal(temp_dir_remove(dir), 0);
    assert_int_equal(net_listen(&a, 0600, 10, fds, 1, &e), -1); /* no such directory */
    assert_int_equal(e.os, ENOENT);
    umask(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_unix_path),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_listen_dual),
        cmocka_unit_test(test_listen_unix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
