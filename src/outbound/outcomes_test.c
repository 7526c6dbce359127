#include "outbound/outcomes.h"

#include "base/mem.h"
#include "base/unit_test.h"

static struct co_reply reply = {250, {2, 0, 0}, STR_INIT("ok")};
static struct co_result result = {0, CO_SENT, 0};

static struct co_outcome outcome(uint64_t id, uint16_t attempt)
{
    return (struct co_outcome){.id = id,
        .attempt = attempt,
        .host = STR("mx"),
        .reply = &reply,
        .replies = 1,
        .result = &result,
        .results = 1};
}

static int keep(struct outcomes *o, uint64_t id, uint16_t attempt, uint32_t told)
{
    struct co_outcome v = outcome(id, attempt);

    return outcomes_keep(o, &v, told);
}

static void test_kept_until_confirmed(void **state)
{
    struct outcomes o;
    struct kept_outcome *k;

    (void)state;
    outcomes_init(&o);
    assert_int_equal(keep(&o, 1, 1, 7), 0);
    assert_int_equal(keep(&o, 1, 2, 0), 0);
    assert_int_equal(keep(&o, 2, 1, 7), 0);
    assert_int_equal(outcomes_count(&o), 3);
    k = outcomes_untold(&o, 7);
    assert_non_null(k);
    k->told = 7;
    assert_null(outcomes_untold(&o, 7));
    assert_non_null(outcomes_untold(&o, 8));
    outcomes_confirm(&o, &(struct co_flying){1, 1});
    outcomes_confirm(&o, &(struct co_flying){1, 1});
    outcomes_confirm(&o, &(struct co_flying){9, 9});
    assert_int_equal(outcomes_count(&o), 2);
    assert_int_equal(keep(&o, 2, 1, 7), 0); /* replaced */
    assert_int_equal(outcomes_count(&o), 2);
    outcomes_confirm(&o, &(struct co_flying){1, 2});
    outcomes_confirm(&o, &(struct co_flying){2, 1});
    assert_int_equal(outcomes_count(&o), 0);
    assert_int_equal(o.octets, 0);
    outcomes_done(&o);
}

static void test_full(void **state)
{
    struct outcomes o;

    (void)state;
    outcomes_init(&o);
    for (uint16_t i = 0; i < CO_OUTCOMES_MAX; i++) {
        assert_false(outcomes_full(&o));
        assert_int_equal(keep(&o, 1, i, 0), 0);
    }
    assert_true(outcomes_full(&o));
    /* What is under way has its place all the same. */
    assert_int_equal(keep(&o, 2, 0, 0), 0);
    outcomes_confirm(&o, &(struct co_flying){1, 0});
    assert_true(outcomes_full(&o));
    outcomes_confirm(&o, &(struct co_flying){1, 1});
    assert_false(outcomes_full(&o));
    outcomes_done(&o);
}

static void test_without_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 8; n++) {
        struct outcomes o;
        int rc;
        outcomes_init(&o);
        mem_fail_at(n);
        rc = keep(&o, 1, 1, 0);
        mem_fail_at(0);
        assert_int_equal(outcomes_count(&o), rc == 0);
        outcomes_done(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_until_confirmed),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_without_memory),
    };

    table_seed((const uint8_t[16]){1});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
