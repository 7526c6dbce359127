#include "master/blame.h"

#include <string.h>

#include "base/unit_test.h"

enum {
    START = 5000,
};

static struct blame table;

static void v6(uint8_t address[16], uint32_t network, uint8_t host)
{
    memset(address, 0, 16);
    address[0] = 0x20;
    memcpy(address + 4, &network, sizeof network);
    address[15] = host;
}

static void v4(uint8_t address[16], uint8_t host)
{
    memset(address, 0, 16);
    address[10] = address[11] = 0xff;
    address[12] = 192;
    address[15] = host;
}

static int fresh(void **state)
{
    (void)state;
    memset(&table, 0, sizeof table);
    return 0;
}

/* Twice within an hour; a later death counts from the one before. */
static void test_ban(void **state)
{
    uint8_t one[16], other[16];
    const struct blame_client *c;

    (void)state;
    v4(one, 1);
    v4(other, 2);
    assert_false(blame_client(&table, one, START));
    assert_false(blame_client(&table, other, START));
    assert_null(blame_next_ban(&table, 1, START));
    assert_false(blame_client(&table, one, START + BAN_MS));
    assert_true(blame_client(&table, one, START + 2 * BAN_MS - 1));
    c = blame_next_ban(&table, 1, START + 2 * BAN_MS);
    assert_non_null(c);
    assert_memory_equal(c->network, one, 16);
    assert_int_equal(c->banned_until, START + 3ULL * BAN_MS - 1);
    assert_null(blame_next_ban(&table, 1, START + 2 * BAN_MS));
}

/* A new core is told what the one before knew; nobody is told what is over. */
static void test_new_core(void **state)
{
    uint8_t one[16];

    (void)state;
    v4(one, 1);
    blame_client(&table, one, START);
    blame_client(&table, one, START + 1);
    assert_non_null(blame_next_ban(&table, 1, START + 2));
    assert_non_null(blame_next_ban(&table, 2, START + 2));
    assert_null(blame_next_ban(&table, 2, START + 2));
    /* Connections that were open may kill on: the ban lasts longer, and is told again. */
    assert_true(blame_client(&table, one, START + 3));
    assert_non_null(blame_next_ban(&table, 2, START + 4));
    assert_null(blame_next_ban(&table, 3, START + 3 + BAN_MS));
}

static void test_networks(void **state)
{
    uint8_t one[16], neighbour[16], other[16], v4_one[16], v4_neighbour[16];

    (void)state;
    v6(one, 1, 1);
    v6(neighbour, 1, 2);
    v6(other, 2, 1);
    v4(v4_one, 1);
    v4(v4_neighbour, 2);
    assert_true(blame_is_network(one));
    assert_false(blame_is_network(v4_one));
    assert_false(blame_client(&table, one, START));
    assert_false(blame_client(&table, other, START));
    assert_true(blame_client(&table, neighbour, START));
    assert_false(blame_client(&table, v4_one, START));
    assert_false(blame_client(&table, v4_neighbour, START));
}

static void test_clients_are_bounded(void **state)
{
    uint8_t banned[16], other[16];
    const struct blame_client *c;

    (void)state;
    v4(banned, 1);
    blame_client(&table, banned, START);
    blame_client(&table, banned, START);
    for (uint32_t i = 0; i < 10 * BLAME_MAX; i++) {
        v6(other, i, 1);
        assert_false(blame_client(&table, other, START + 1 + i));
    }
    assert_true(blame_client(&table, other, START + 10 * BLAME_MAX)); /* the last is known */
    v6(other, 1, 1);
    assert_false(blame_client(&table, other, START + 10 * BLAME_MAX)); /* the first is not */
    c = blame_next_ban(&table, 1, START + 10 * BLAME_MAX);
    assert_non_null(c);
    assert_memory_equal(c->network, banned, 16);
    /* Bans give way to newer ones only. */
    for (uint32_t i = 0; i < 2 * BLAME_MAX; i++) {
        v6(other, i, 1);
        blame_client(&table, other, START + 50000 + i);
        assert_true(blame_client(&table, other, START + 50000 + i));
    }
}

static void test_messages(void **state)
{
    const struct blame_message *m;

    (void)state;
    assert_false(blame_message(&table, 7, START));
    assert_false(blame_message(&table, 8, START));
    assert_false(blame_message(&table, 7, START + BAN_MS));
    assert_null(blame_next_quarantine(&table, 1));
    assert_true(blame_message(&table, 7, START + 9ULL * BAN_MS));
    m = blame_next_quarantine(&table, 1);
    assert_non_null(m);
    assert_int_equal(m->id, 7);
    assert_null(blame_next_quarantine(&table, 1));
    /* The core that was told has died as well: the next one is told. */
    assert_false(blame_message(&table, 7, START + 9ULL * BAN_MS + 1));
    assert_non_null(blame_next_quarantine(&table, 2));
    blame_forget_message(&table, 7);
    assert_null(blame_next_quarantine(&table, 3));
    assert_false(blame_message(&table, 7, START + 10ULL * BAN_MS));
}

static void test_messages_are_bounded(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3 * BLAME_MAX; id++)
        assert_false(blame_message(&table, id, START + id));
    assert_false(blame_message(&table, 3 * BLAME_MAX, 2 * START));
    assert_true(blame_message(&table, 3 * BLAME_MAX, 2 * START));
    blame_forget_message(&table, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ban),
        TEST(test_new_core),
        TEST(test_networks),
        TEST(test_clients_are_bounded),
        TEST(test_messages),
        TEST(test_messages_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
