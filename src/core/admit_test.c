#include "core/admit.h"

#include "base/table.h"
#include "base/unit_test.h"

#include "run/fiber.h"

static struct config config_with(uint64_t all, uint64_t client, uint64_t network)
{
    return (struct config){.limits = {.connections = all,
                               .connections_per_client = client,
                               .connections_per_network = network}};
}

static struct ic_admit from_v6(uint8_t network, uint8_t host)
{
    return (struct ic_admit){.address = {0x20, 1, 0xd, 0xb8, [7] = network, [15] = host}};
}

static struct ic_admit from_v4(uint8_t host)
{
    return (struct ic_admit){
        .address = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = host}};
}

static bool connect_from(
    struct admit *a, const struct config *c, uint32_t owner, struct ic_admit ask, uint32_t *slot)
{
    struct ic_admitted answer;

    admit_connect(a, c, owner, CLASS_MX, &ask, &answer);
    *slot = answer.slot;
    if (!answer.ok)
        assert_int_equal(answer.why.status.class, 4);
    return answer.ok;
}

static void test_limits(void **state)
{
    struct config c = config_with(5, 2, 3);
    struct admit *a = NULL;
    uint32_t first, slot;

    (void)state;
    assert_int_equal(admit_open(&a, NULL), 0);
    assert_true(connect_from(a, &c, 1, from_v6(1, 1), &first));
    assert_true(connect_from(a, &c, 1, from_v6(1, 1), &slot));
    assert_false(connect_from(a, &c, 1, from_v6(1, 1), &slot)); /* client */
    assert_true(connect_from(a, &c, 1, from_v6(1, 2), &slot));
    assert_false(connect_from(a, &c, 1, from_v6(1, 3), &slot)); /* /64 */
    assert_true(connect_from(a, &c, 2, from_v4(1), &slot));
    assert_true(connect_from(a, &c, 2, from_v4(2), &slot));
    assert_false(connect_from(a, &c, 2, from_v4(3), &slot)); /* in all */
    assert_int_equal(admit_refused(a), 3);
    admit_release(a, 2, first); /* not the owner's */
    assert_int_equal(admit_count(a), 5);
    admit_release(a, 1, first);
    admit_release(a, 1, first);
    assert_int_equal(admit_count(a), 4);
    assert_true(connect_from(a, &c, 1, from_v6(1, 3), &slot));
    admit_channel_gone(a, 1);
    assert_int_equal(admit_count(a), 2);
    admit_channel_gone(a, 2);
    assert_int_equal(admit_count(a), 0);
    admit_close(&a);
}

static void test_relay_clients_skip_their_own_limits(void **state)
{
    struct config c = config_with(3, 1, 1);
    struct net_block block;
    struct admit *a = NULL;
    uint32_t slot;

    (void)state;
    assert_int_equal(net_block_parse(STR("192.0.2.0/24"), &block, NULL), 0);
    c.relay.allow.v = &block;
    c.relay.allow.count = 1;
    assert_int_equal(admit_open(&a, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_true(connect_from(a, &c, 1, from_v4(1), &slot));
    assert_false(connect_from(a, &c, 1, from_v4(1), &slot));
    admit_close(&a);
}

static void test_bans(void **state)
{
    struct config c = config_with(0, 0, 0);
    struct admit *a = NULL;
    uint64_t now;
    uint32_t slot;

    (void)state;
    assert_int_equal(run_open(NULL), 0);
    now = run_now();
    assert_int_equal(admit_open(&a, NULL), 0);
    admit_ban(a, from_v4(1).address, false, now + 1000);
    admit_ban(a, from_v4(3).address, false, now);
    admit_ban(a, from_v6(1, 1).address, true, now + 1000);
    assert_int_equal(admit_banned(a), 2);
    assert_false(connect_from(a, &c, 1, from_v4(1), &slot));
    assert_true(connect_from(a, &c, 1, from_v4(2), &slot));
    assert_true(connect_from(a, &c, 1, from_v4(3), &slot)); /* over */
    assert_false(connect_from(a, &c, 1, from_v6(1, 9), &slot));
    assert_true(connect_from(a, &c, 1, from_v6(2, 1), &slot));
    assert_true(connect_from(a, &c, 1, (struct ic_admit){0}, &slot)); /* a local program */
    assert_int_equal(admit_refused(a), 2);
    admit_ban(a, from_v4(1).address, false, now); /* told anew */
    assert_true(connect_from(a, &c, 1, from_v4(1), &slot));
    admit_close(&a);
    run_close();
}

/* What is banned for longest stays. */
static void test_bans_are_bounded(void **state)
{
    struct config c = config_with(0, 0, 0);
    struct admit *a = NULL;
    uint32_t slot;

    (void)state;
    assert_int_equal(run_open(NULL), 0);
    assert_int_equal(admit_open(&a, NULL), 0);
    for (unsigned i = 0; i < 1000; i++)
        admit_ban(a, from_v6((uint8_t)(i >> 8), (uint8_t)i).address, false, run_now() + 1000 + i);
    assert_int_equal(admit_banned(a), 256);
    assert_true(connect_from(a, &c, 1, from_v6(0, 0), &slot));
    assert_false(connect_from(a, &c, 1, from_v6(3, 231), &slot));
    admit_close(&a);
    run_close();
}

/* Core's own judgement, whatever inbound says: DESIGN.md, who holds which secret. */
static void test_rights(void **state)
{
    static struct str tcp = STR_INIT("127.0.0.1:25"), local = STR_INIT("unix:/run/x");
    struct config_listen listen[] = {
        {.protocol = PROTOCOL_SMTP, .address = {&tcp, 1}},
        {.protocol = PROTOCOL_LMTP, .address = {&local, 1}},
        {.protocol = PROTOCOL_SUBMISSION, .address = {&local, 1}},
        {.protocol = PROTOCOL_SMTP, .address = {&local, 1}},
    };
    static const struct {
        bool local;
        uint8_t host; /* of 192.0.2.0/24; 1 is allowed */
        uint16_t listener;
        enum role_class class;
        enum ic_right right;
    } rows[] = {
        {false, 1, 0, CLASS_MX, IC_TRUSTED}, {false, 2, 0, CLASS_MX, IC_STRANGER},
        {false, 1, 1, CLASS_MX, IC_TRUSTED},
        {true, 0, ROLE_LISTEN_SUBMIT, CLASS_CLIENT, IC_TRUSTED},
        {true, 0, ROLE_LISTEN_SUBMIT, CLASS_MX, IC_STRANGER}, /* it is not theirs */
        {true, 0, 0, CLASS_MX, IC_STRANGER},                  /* nobody is local there */
        {true, 0, 1, CLASS_MX, IC_STRANGER},                  /* LMTP: RFC 2033 5 */
        {true, 0, 2, CLASS_CLIENT, IC_TRUSTED}, {true, 0, 2, CLASS_MX, IC_STRANGER},
        {true, 0, 3, CLASS_MX, IC_TRUSTED},
        {true, 0, 4, CLASS_CLIENT, IC_STRANGER}, /* no such listener */
    };
    struct config c = config_with(100, 0, 0);
    struct net_block block;
    struct admit *a = NULL;

    (void)state;
    assert_int_equal(net_block_parse(STR("192.0.2.1"), &block, NULL), 0);
    c.relay.allow.v = &block;
    c.relay.allow.count = 1;
    c.listen = listen;
    c.listens = 4;
    assert_int_equal(admit_open(&a, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ic_admit ask = rows[i].local ? (struct ic_admit){0} : from_v4(rows[i].host);
        struct ic_admitted answer;
        ask.listener = rows[i].listener;
        admit_connect(a, &c, 1, rows[i].class, &ask, &answer);
        assert_true(answer.ok);
        if (answer.right != rows[i].right || admit_right(a, 1, answer.slot) != rows[i].right)
            fail_msg("row %zu", i);
        assert_int_equal(admit_right(a, 2, answer.slot), IC_STRANGER); /* another channel's */
        admit_release(a, 1, answer.slot);
        assert_int_equal(admit_right(a, 1, answer.slot), IC_STRANGER);
    }
    assert_int_equal(admit_right(a, 1, UINT32_MAX), IC_STRANGER);
    admit_close(&a);
}

int main(void)
{
    static const uint8_t key[16] = {1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_relay_clients_skip_their_own_limits),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_bans),
        cmocka_unit_test(test_bans_are_bounded),
    };
    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
