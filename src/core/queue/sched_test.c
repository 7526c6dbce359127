/* The queue's decisions: fairness, connections, back-off, schedule, age, and what it all costs. */
#include <stdio.h>

#include "core/queue/sched_int.h"
#include "core/queue/sched_rig.h"

/* Opens what is wanted; each connection is greeted and takes its first delivery. */
static unsigned open_all(struct rig *r, struct sched_conn **conns, unsigned max)
{
    unsigned n = 0;

    while (n < max && (conns[n] = sched_open_next(r->s, r->now)))
        n++;
    return n;
}

static uint32_t take(struct rig *r, struct sched_conn *c)
{
    uint32_t delivery = 0;

    return sched_take(r->s, c, r->now, &delivery) == TAKE_DELIVERY ? delivery : 0;
}

static uint32_t sender_of(struct rig *r, uint32_t delivery)
{
    return sched_message(r->s, sched_delivery(r->s, delivery)->message)->sender;
}

static void send_one(struct rig *r, struct sched_conn *c, uint32_t delivery)
{
    sched_answered(r->s, c, true, r->now);
    rig_finish(r, delivery);
}

/* One mail of a person does not wait behind a hundred thousand of another sender. */
static void test_senders_take_turns(void **state)
{
    struct sched_conn *c;
    struct rig r;
    unsigned waited = 0;

    (void)state;
    rig_open(&r);
    for (int i = 0; i < 100000; i++)
        rig_message(&r, "big@mx", 1, SCHED_PEOPLE);
    rig_place(&r, 3600000);
    rig_message(&r, "big@mx", 2, SCHED_PEOPLE);
    rig_message(&r, "small@mx", 3, SCHED_PEOPLE);
    rig_place(&r, 3600000);
    rig_run(&r, 1000); /* a hundred thousand are poured in portions */
    assert_int_equal(open_all(&r, &c, 1), 1);
    for (unsigned seen = 0; seen != 3; waited++) {
        uint32_t d = take(&r, c);
        assert_true(d && waited < 10);
        seen |= sender_of(&r, d) == 2 ? 1 : sender_of(&r, d) == 3 ? 2 : 0;
        send_one(&r, c, d);
    }
    sched_check(r.s);
    rig_close(&r);
}

/* Bulk gets its share, and no more, while people write; all of it when they do not. */
static void test_bulk_does_not_starve_people(void **state)
{
    struct sched_conn *c;
    unsigned people = 0, bulk = 0;
    struct rig r;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 1000; i++)
        rig_message(&r, "d@mx", i, SCHED_BULK);
    for (uint32_t i = 0; i < 120; i++)
        rig_message(&r, "d@mx", i, SCHED_PEOPLE);
    rig_place(&r, 3600000);
    assert_int_equal(open_all(&r, &c, 1), 1);
    while (people < 120) {
        uint32_t d = take(&r, c);
        bool is_bulk = sched_message(r.s, sched_delivery(r.s, d)->message)->class == SCHED_BULK;
        people += !is_bulk;
        bulk += is_bulk;
        send_one(&r, c, d);
    }
    assert_in_range(bulk, 8, 12);
    assert_true(take(&r, c));
    rig_close(&r);
}

/* From two connections up to the limit as deliveries succeed; down when one is lost. */
static void test_connections_grow_and_shrink(void **state)
{
    struct sched_conn *c[32] = {0};
    uint32_t d[32];
    struct rig r;
    unsigned open = 0;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 5000; i++)
        rig_message(&r, "d@mx", i, SCHED_PEOPLE);
    rig_place(&r, 3600000);
    open = open_all(&r, c, 32);
    assert_int_equal(open, 2);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < open; i++)
            d[i] = take(&r, c[i]);
        r.now += 500;
        for (unsigned i = 0; i < open; i++)
            send_one(&r, c[i], d[i]);
        open += open_all(&r, c + open, 32 - open);
    }
    assert_int_equal(open, 20);
    sched_check(r.s);
    d[0] = take(&r, c[0]);
    sched_dropped(r.s, c[0]);
    sched_put_ready(r.s, d[0], r.now);
    sched_closed(r.s, c[0], END_LOST, 7, r.now);
    assert_int_equal(open_all(&r, c, 1), 0);
    assert_int_equal(c[1]->site->window / 256, 15);
    assert_int_equal(sched_take(r.s, c[1], r.now, d), TAKE_END);
    sched_check(r.s);
    rig_close(&r);
}

static uint64_t sites(const struct rig *r)
{
    struct sched_stats s;

    sched_stats(r->s, &s);
    return s.sites;
}

/* Who changes the MX records of a domain again and again leaves no sites behind. */
static void test_a_site_without_destinations_goes(void **state)
{
    struct sched_site *site;
    struct sched_dest *d;
    char key[16];
    bool made;
    struct rig r;

    (void)state;
    rig_open(&r);
    rig_message(&r, "d@mx", 1, SCHED_PEOPLE);
    rig_message(&r, "d@mx", 2, SCHED_PEOPLE);
    rig_place(&r, 60000);
    d = rig_dest(&r, "d@mx");
    for (int i = 0; i < 50; i++) {
        rig_run(&r, 60000);
        assert_ptr_equal(sched_ask(r.s), d);
        snprintf(key, sizeof key, "mx%d", i);
        assert_int_equal(sched_placed(r.s, d, str_c(key), 60000, r.now, &site, &made), 0);
        rig_run(&r, 1000);
        assert_int_equal(sites(&r), 1);
        assert_int_equal(site->ready, 2);
    }
    sched_check(r.s);
    rig_close(&r);
}

/* What comes while a site is refused ends as what was there when it was. */
static void test_a_refused_site_dooms_what_comes_later(void **state)
{
    uint32_t first, later, reason;
    struct sched_conn *c;
    struct rig r;

    (void)state;
    rig_open(&r);
    first = rig_message(&r, "d@mx", 1, SCHED_PEOPLE);
    rig_place(&r, 3600000);
    assert_int_equal(open_all(&r, &c, 1), 1);
    sched_closed(r.s, c, END_REFUSED, 7, r.now);
    assert_int_equal(sched_doomed(r.s, &reason), first);
    rig_finish(&r, first);
    assert_int_equal(sched_doomed(r.s, &reason), 0);
    later = rig_message(&r, "d@mx", 2, SCHED_PEOPLE);
    assert_int_equal(sched_doomed(r.s, &reason), later);
    assert_int_equal(reason, 7);
    rig_finish(&r, later);
    sched_check(r.s);
    rig_close(&r);
}

/* A remote that serves some connections and refuses one more is not down. */
static void test_one_too_many_is_no_failure(void **state)
{
    struct sched_conn *c[4];
    uint32_t d;
    struct rig r;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 100; i++)
        rig_message(&r, "d@mx", i, SCHED_PEOPLE);
    rig_place(&r, 3600000);
    assert_int_equal(open_all(&r, c, 4), 2);
    d = take(&r, c[0]);
    sched_closed(r.s, c[1], END_FAILED, 1, r.now);
    assert_int_equal(c[0]->site->state, SITE_UP);
    assert_int_equal(c[0]->site->window, 256);
    send_one(&r, c[0], d);
    assert_true(take(&r, c[0]));
    rig_close(&r);
}

/* faults.md 38: attempts at a dead host follow its back-off; nobody's attempts are counted. */
static void test_back_off(void **state)
{
    uint64_t last = 0, waits[8];
    struct rig r;
    uint32_t d;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 1000; i++)
        d = rig_message(&r, "d@mx", i, SCHED_PEOPLE);
    rig_place(&r, UINT64_C(86400000) * 365);
    for (unsigned i = 0; i < 8; i++) {
        struct sched_conn *c[4];
        unsigned n;
        last = r.now;
        while (!(n = open_all(&r, c, 4)))
            rig_run(&r, 1000);
        waits[i] = r.now - last;
        assert_int_equal(n, i ? 1 : 2); /* one probes */
        while (n)
            sched_closed(r.s, c[--n], END_FAILED, 1, r.now);
        sched_check(r.s);
    }
    assert_int_equal(waits[0], 0);
    for (unsigned i = 1; i < 7; i++) { /* 1, 2, 4, 8, 16, 32 minutes, give or take a quarter */
        uint64_t wanted = UINT64_C(60000) << (i - 1);
        assert_in_range(waits[i], wanted * 3 / 4, wanted * 5 / 4 + 2000);
    }
    assert_in_range(waits[7], 3600000 * 3 / 4, 3600000 * 5 / 4 + 2000); /* an hour at most */
    assert_int_equal(sched_delivery(r.s, d)->attempts, 0);
    rig_close(&r);
}

/* faults.md 31: all destinations away for ten minutes, then back: they do not come back at once. */
static void test_no_herd(void **state)
{
    unsigned per_second[3600] = {0}, back = 0, most = 0;
    uint64_t down_until;
    struct rig r;
    char name[32];

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d%u", i);
        rig_message(&r, name, i, SCHED_PEOPLE);
    }
    rig_place(&r, UINT64_C(86400000) * 365);
    down_until = r.now + 600000;
    while (back < 1000 && r.now < down_until + 3600000) {
        struct sched_conn *c;
        while ((c = sched_open_next(r.s, r.now))) {
            uint32_t d;
            if (r.now < down_until) {
                sched_closed(r.s, c, END_FAILED, 1, r.now);
                continue;
            }
            d = take(&r, c);
            send_one(&r, c, d);
            sched_closed(r.s, c, END_DONE, 0, r.now);
            per_second[(r.now - down_until) / 1000]++;
            back++;
        }
        rig_run(&r, 250);
    }
    for (unsigned i = 0; i < 3600; i++)
        most = per_second[i] > most ? per_second[i] : most;
    assert_int_equal(back, 1000);
    assert_true(most < 50);
    rig_close(&r);
}

/* queue { retry } with jitter of a tenth. */
static void test_retry_schedule(void **state)
{
    static const uint64_t wanted[] = {60000, 300000, 900000, 3600000, 14400000, 14400000};
    struct rig r;
    uint32_t d;

    (void)state;
    rig_open(&r);
    for (unsigned a = 0; a < 6; a++)
        for (int i = 0; i < 1000; i++)
            assert_in_range(sched_retry_ms(r.s, a), wanted[a] / 10 * 9, wanted[a] / 10 * 11);
    d = rig_message(&r, "d@mx", 1, SCHED_PEOPLE);
    sched_claim(r.s, d);
    for (unsigned a = 0; a < 6; a++) {
        sched_defer(r.s, d, r.now);
        assert_int_equal(sched_delivery(r.s, d)->attempts, a + 1);
        rig_run(&r, wanted[a] / 10 * 9 - 1000); /* R11: never earlier */
        assert_int_equal(sched_delivery(r.s, d)->state, SCHED_DEFERRED);
        rig_run(&r, wanted[a] / 10 * 2 + 2000);
        assert_int_equal(sched_delivery(r.s, d)->state, SCHED_READY);
        sched_claim(r.s, d);
    }
    rig_finish(&r, d);
    sched_check(r.s);
    rig_close(&r);
}

/* faults.md 43: when the lookup is too old, what waits goes to the site that is right then. */
static void test_another_site_after_the_ttl(void **state)
{
    struct sched_site *site;
    struct sched_dest *d;
    struct rig r;
    bool made;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 10000; i++)
        rig_message(&r, "d@old", i % 7, SCHED_PEOPLE);
    rig_place(&r, 300000);
    rig_run(&r, 1000);
    d = rig_dest(&r, "d@old");
    assert_int_equal(d->site->ready, 10000);
    rig_run(&r, 298500);
    assert_null(sched_ask(r.s));
    rig_run(&r, 2000);
    assert_ptr_equal(sched_ask(r.s), d);
    assert_true(str_eq(d->site->key, STR("old"))); /* still in use */
    assert_int_equal(sched_placed(r.s, d, STR("new"), 300000, r.now, &site, &made), 0);
    assert_true(made);
    sched_check(r.s);
    assert_int_equal(sched_tick(r.s, r.now), r.now); /* in portions */
    sched_check(r.s);
    rig_run(&r, 1000);
    assert_int_equal(site->ready, 10000);
    sched_check(r.s);
    rig_close(&r);
}

/* Two domains with one set of hosts are one site; a domain that is refused is ended, the other not.
 */
static void test_refused(void **state)
{
    struct sched_dest *d;
    uint32_t reason = 0, n = 0, delivery;
    struct rig r;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 3000; i++)
        rig_message(&r, i % 2 ? "a@mx" : "b@mx", i, SCHED_PEOPLE);
    rig_place(&r, 300000);
    rig_run(&r, 1000);
    d = rig_dest(&r, "a@mx");
    assert_ptr_equal(d->site, rig_dest(&r, "b@mx")->site);
    sched_refused(r.s, d, 77, 300000, r.now);
    rig_run(&r, 1000);
    while ((delivery = sched_doomed(r.s, &reason))) {
        assert_int_equal(reason, 77);
        rig_finish(&r, delivery);
        n++;
    }
    assert_int_equal(n, 1500);
    sched_check(r.s);
    rig_close(&r);
}

static void test_rate(void **state)
{
    struct sched_conn *c;
    struct rig r;
    unsigned sent = 0;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < 1000; i++)
        rig_message(&r, "d@mx", i, SCHED_PEOPLE);
    rig_place(&r, UINT64_C(86400000) * 365);
    rig_dest(&r, "d@mx")->site->rate = 30;
    rig_run(&r, 2100);
    c = sched_open_next(r.s, r.now);
    if (!c) {
        uint32_t d = rig_message(&r, "d@mx", 5000, SCHED_PEOPLE);
        assert_true(d);
        c = sched_open_next(r.s, r.now);
    }
    assert_non_null(c);
    for (int second = 0; second < 600; second++) {
        uint32_t d;
        while ((d = take(&r, c))) {
            send_one(&r, c, d);
            sent++;
        }
        rig_run(&r, 1000);
        while (sched_wake_next(r.s))
            ;
    }
    assert_in_range(sent, 295, 305);
    rig_close(&r);
}

static void test_age(void **state)
{
    enum sched_age age;
    uint32_t next, first, second, now;
    struct rig r;

    (void)state;
    rig_open(&r);
    first = sched_delivery(r.s, rig_message(&r, "d", 1, SCHED_PEOPLE))->message;
    r.now += 1000 * 1000;
    second = sched_delivery(r.s, rig_message(&r, "d", 1, SCHED_PEOPLE))->message;
    now = (uint32_t)(r.now / 1000);
    assert_int_equal(sched_aged(r.s, now, &age, &next), 0);
    assert_int_equal(next, 1000 + 4 * 3600);
    assert_int_equal(sched_aged(r.s, next, &age, &next), first);
    assert_int_equal(age, AGE_WARN);
    assert_int_equal(sched_aged(r.s, 1000 + 4 * 3600, &age, &next), 0);
    assert_int_equal(sched_aged(r.s, 1000 + 5 * 86400, &age, &next), first);
    assert_int_equal(age, AGE_EXPIRED);
    assert_int_equal(sched_aged(r.s, 1000 + 5 * 86400, &age, &next), second);
    assert_int_equal(age, AGE_WARN);
    sched_message(r.s, second)->arrived = 0;
    assert_int_equal(sched_aged(r.s, 1000 + 5 * 86400, &age, &next), second);
    assert_int_equal(age, AGE_UNKNOWN);
    rig_close(&r);
}

/* What was found at start is put in the order of the log, whatever the order it came in. */
static void test_order_of_arrival(void **state)
{
    struct rig r;
    uint32_t h;
    uint64_t before = 0;

    (void)state;
    rig_open(&r);
    for (uint64_t i = 1; i <= 5000; i++)
        assert_true(sched_add(r.s, i, 1, 1 + i * 7919 % 5003));
    sched_sort(r.s);
    sched_check(r.s);
    for (h = sched_first(r.s); h; h = sched_message(r.s, h)->next) {
        uint64_t order = 1 + sched_message(r.s, h)->id * 7919 % 5003;
        assert_true(order > before);
        before = order;
    }
    rig_close(&r);
}

/* faults.md 38, 46: a million messages for one dead site. */
static void test_a_million_for_a_dead_site(void **state)
{
    enum {
        MESSAGES = 1000000,
        ENTRY = 56 + 9
    };
    struct sched_stats stats;
    struct sched_conn *c;
    struct rig r;
    uint32_t d;

    (void)state;
    rig_open(&r);
    for (uint32_t i = 0; i < MESSAGES; i++)
        rig_message(&r, "dead@dead", i % 1000, SCHED_PEOPLE);
    rig_place(&r, UINT64_C(86400000) * 365);
    while (sched_tick(r.s, r.now) == r.now)
        ;
    while ((c = sched_open_next(r.s, r.now)))
        sched_closed(r.s, c, END_FAILED, 1, r.now);
    sched_stats(r.s, &stats);
    printf("a million messages: %.1f octets each, with the spool's entry %.1f\n",
        (double)stats.memory / MESSAGES, (double)stats.memory / MESSAGES + ENTRY);
    assert_true(stats.memory / MESSAGES + ENTRY < 200);
    assert_int_equal(stats.waiting_for_sites, MESSAGES);
    d = rig_message(&r, "well@well", 1, SCHED_PEOPLE); /* and another one is served at once */
    rig_place(&r, 300000);
    c = sched_open_next(r.s, r.now);
    assert_non_null(c);
    assert_int_equal(take(&r, c), d);
    rig_close(&r);
}

int main(void)
{
    static const uint8_t key[16] = {1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_senders_take_turns),
        cmocka_unit_test(test_bulk_does_not_starve_people),
        cmocka_unit_test(test_connections_grow_and_shrink),
        cmocka_unit_test(test_a_site_without_destinations_goes),
        cmocka_unit_test(test_a_refused_site_dooms_what_comes_later),
        cmocka_unit_test(test_one_too_many_is_no_failure),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_no_herd),
        cmocka_unit_test(test_retry_schedule),
        cmocka_unit_test(test_another_site_after_the_ttl),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_order_of_arrival),
        cmocka_unit_test(test_a_million_for_a_dead_site),
    };

    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
