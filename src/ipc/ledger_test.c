#include "ipc/ledger.h"

#include "base/unit_test.h"

static struct ledger ours, theirs;

static void start(void)
{
    ledger_init(&ours);
    ledger_init(&theirs);
}

/* Nothing is under way: both ends hold all of their credit. */
static void assert_level(void)
{
    const struct ledger *ends[] = {&ours, &theirs};

    for (int i = 0; i < 2; i++) {
        const struct ledger *a = ends[i], *b = ends[!i];
        /* Grants that are saved up count as under way. */
        assert_int_equal(a->free_requests + b->owed_notices, CHANNEL_REQUESTS);
        assert_int_equal(a->free_octets + b->owed_octets, CHANNEL_OCTETS);
        assert_int_equal(a->free_slot_count, CHANNEL_REQUESTS);
        assert_int_equal(b->held_requests, b->owed_notices);
        assert_int_equal(b->held_octets, b->owed_octets);
    }
}

static uint32_t ask(size_t octets, void *waiter)
{
    uint32_t call;

    assert_true(ledger_spend(&ours, octets));
    call = ledger_ask(&ours, octets, waiter);
    assert_int_equal(ledger_arrived(&theirs, call, octets, NULL), 0);
    return call;
}

static void answer(uint32_t call, void *expected)
{
    void *waiter;

    ledger_answer(&theirs, call);
    assert_int_equal(ledger_replied(&ours, call, &waiter, NULL), 0);
    assert_ptr_equal(waiter, expected);
}

static void test_calls(void **state)
{
    uint32_t calls[CHANNEL_REQUESTS];
    char waiters[CHANNEL_REQUESTS];

    (void)state;
    start();
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < CHANNEL_REQUESTS; i++)
            calls[i] = ask(i, &waiters[i]);
        assert_false(ledger_spend(&ours, 0));
        for (unsigned i = 0; i < CHANNEL_REQUESTS; i++) {
            unsigned k = (i * 101) % CHANNEL_REQUESTS;
            answer(calls[k], &waiters[k]);
        }
        assert_level();
    }
}

static void test_octets(void **state)
{
    uint32_t calls[16];

    (void)state;
    start();
    for (unsigned i = 0; i < 16; i++)
        calls[i] = ask(CHANNEL_FRAME_MAX, NULL);
    assert_false(ledger_spend(&ours, 1));
    assert_true(ledger_spend(&ours, 0));
    ledger_unspend(&ours, 0);
    for (unsigned i = 0; i < 16; i++)
        answer(calls[i], NULL);
    assert_level();
}

static void test_forgotten(void **state)
{
    char waiter;
    uint32_t call;

    (void)state;
    start();
    call = ask(9, &waiter);
    ledger_forget(&ours, call);
    answer(call, NULL);
    assert_level();
}

static void notice(size_t octets)
{
    assert_true(ledger_spend(&ours, octets));
    ledger_notify(&ours, octets);
    assert_int_equal(ledger_arrived(&theirs, 0, octets, NULL), 0);
    ledger_done(&theirs, octets);
}

static bool grant(bool anyway)
{
    uint32_t notices, octets;

    if (!ledger_grant(&theirs, anyway, &notices, &octets))
        return false;
    assert_int_equal(ledger_granted(&ours, notices, octets, NULL), 0);
    return true;
}

static void test_grants_are_saved_up(void **state)
{
    (void)state;
    start();
    assert_false(grant(true));
    notice(100);
    assert_false(grant(false));
    assert_true(grant(true));
    assert_level();
    for (unsigned i = 1; i < CHANNEL_REQUESTS / 4; i++)
        notice(1);
    assert_false(grant(false));
    notice(1);
    assert_true(grant(false));
    for (unsigned i = 0; i < 4; i++)
        notice(CHANNEL_FRAME_MAX);
    assert_true(grant(false));
    assert_level();
}

/* Each word of a peer that breaks the rules. */
static void test_refused(void **state)
{
    void *waiter;
    struct err e;
    uint32_t call;

    (void)state;
    start();
    call = ask(10, NULL);
    assert_int_equal(ledger_replied(&ours, call + 1, &waiter, &e), -1);
    assert_int_equal(e.class, ERR_BUG);
    assert_int_equal(ledger_replied(&ours, call + 512, &waiter, NULL), -1);
    assert_int_equal(ledger_replied(&ours, 0, &waiter, NULL), -1);
    assert_int_equal(ledger_replied(&ours, UINT32_MAX, &waiter, NULL), -1);
    assert_int_equal(ledger_granted(&ours, 1, 0, NULL), -1);
    assert_int_equal(ledger_granted(&ours, 0, 1, NULL), -1);
    assert_int_equal(ledger_arrived(&theirs, call, 0, NULL), -1);
    assert_int_equal(ledger_arrived(&theirs, call + 512, 0, NULL), -1);
    assert_int_equal(ledger_arrived(&theirs, CHANNEL_REQUESTS + 1, 0, NULL), -1);
    for (unsigned i = 1; i < CHANNEL_REQUESTS; i++)
        assert_int_equal(ledger_arrived(&theirs, 0, 0, NULL), 0);
    assert_int_equal(ledger_arrived(&theirs, 0, 0, NULL), -1);
    start();
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(ledger_arrived(&theirs, 0, CHANNEL_FRAME_MAX, NULL), 0);
    assert_int_equal(ledger_arrived(&theirs, 0, 1, NULL), -1);
    /* A reply twice. */
    start();
    call = ask(10, NULL);
    answer(call, NULL);
    assert_int_equal(ledger_replied(&ours, call, &waiter, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_grants_are_saved_up),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
