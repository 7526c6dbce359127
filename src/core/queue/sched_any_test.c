/* The scheduler under any events in any order: each delivery is in one place, no limit is passed,
 * nothing is lost. */
#include <stdio.h>

#include "core/queue/sched_int.h"
#include "core/queue/sched_rig.h"

static uint32_t take(struct rig *r, struct sched_conn *c)
{
    uint32_t delivery = 0;

    return sched_take(r->s, c, r->now, &delivery) == TAKE_DELIVERY ? delivery : 0;
}

struct live {
    struct sched_conn *conn[64];
    uint32_t held[64];
    unsigned conns, helds;
};

static void random_conn(struct rig *r, struct live *l)
{
    unsigned i = (unsigned)rig_random(r, l->conns);
    struct sched_conn *c = l->conn[i];
    uint32_t d = c->delivery;

    if (c->state == CONN_BUSY && d && rig_random(r, 4)) {
        sched_answered(r->s, c, rig_random(r, 8), r->now);
        switch (rig_random(r, 4)) {
        case 0:
            sched_defer(r->s, d, r->now);
            break;
        case 1:
            sched_put_ready(r->s, d, r->now);
            break;
        default:
            rig_finish(r, d);
        }
    }
    if (!c->delivery && rig_random(r, 8)) {
        take(r, c);
        return;
    }
    d = c->delivery;
    if (d)
        sched_dropped(r->s, c);
    sched_closed(r->s, c, (enum sched_end)rig_random(r, 4), 1, r->now);
    if (d)
        sched_defer(r->s, d, r->now);
    l->conn[i] = l->conn[--l->conns];
}

static void random_lookup(struct rig *r)
{
    struct sched_dest *d = sched_ask(r->s);
    struct sched_site *site;
    char key[16];
    bool made;

    if (!d)
        return;
    snprintf(key, sizeof key, "s%u", (unsigned)rig_random(r, 5));
    if (rig_random(r, 6) == 0)
        sched_unplaced(r->s, d, 1, r->now);
    else if (rig_random(r, 10) == 0)
        sched_refused(r->s, d, 1, 20000, r->now);
    else
        assert_int_equal(
            sched_placed(r->s, d, str_c(key), 1 + rig_random(r, 200000), r->now, &site, &made), 0);
}

/* An operator's hands in it. */
static void random_claim(struct rig *r, struct live *l)
{
    uint32_t m = sched_first(r->s), d, reason;

    for (uint64_t i = rig_random(r, 20); m && i; i--)
        m = sched_message(r->s, m)->next;
    d = m ? sched_message(r->s, m)->first : 0;
    if (d && sched_delivery(r->s, d)->state != SCHED_ACTIVE) {
        sched_claim(r->s, d);
        switch (rig_random(r, 3)) {
        case 0:
            sched_hold(r->s, d, 1);
            break;
        case 1:
            sched_put_ready(r->s, d, r->now);
            break;
        default:
            rig_finish(r, d);
        }
    }
    if ((d = sched_doomed(r->s, &reason)) && l->helds < 64)
        l->held[l->helds++] = d;
    else if (d)
        rig_finish(r, d);
    if (l->helds && rig_random(r, 2))
        rig_finish(r, l->held[--l->helds]);
}

static void random_event(struct rig *r, struct live *l)
{
    struct sched_conn *c;
    char name[16];

    switch (rig_random(r, 8)) {
    case 0:
    case 1:
        snprintf(name, sizeof name, "d%u", (unsigned)rig_random(r, 12));
        rig_message(r, name, (uint32_t)rig_random(r, 5), (enum sched_class)rig_random(r, 3));
        break;
    case 2:
        random_lookup(r);
        break;
    case 3:
        if (l->conns < 64 && (c = sched_open_next(r->s, r->now)))
            l->conn[l->conns++] = c;
        sched_wake_next(r->s);
        break;
    case 4:
        r->now += rig_random(r, 30000);
        sched_tick(r->s, r->now);
        break;
    case 5:
        random_claim(r, l);
        break;
    default:
        if (l->conns)
            random_conn(r, l);
    }
}

/* Each delivery is in one place, no limit is passed, nothing is lost: and in the end all goes. */
static void test_any_events(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct live l = {0};
        struct rig r;
        rig_open(&r);
        r.seed = seed;
        r.set.connections = 12;
        r.set.per_site = 4;
        sched_reconfigure(r.s, &r.set, r.now);
        for (int i = 0; i < 4000; i++) {
            random_event(&r, &l);
            if (i % 10 == 0)
                sched_check(r.s);
        }
        rig_close(&r);
    }
}

/* Whatever has happened: with remotes that work, everything is delivered. */
static void test_nothing_is_forgotten(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct live l = {0};
        struct sched_stats stats;
        struct rig r;
        rig_open(&r);
        r.seed = seed;
        for (int i = 0; i < 3000; i++)
            random_event(&r, &l);
        while (l.helds)
            rig_finish(&r, l.held[--l.helds]);
        for (int i = 0; i < 200000; i++) {
            uint32_t reason, d;
            struct sched_conn *c;
            rig_place(&r, 3600000);
            while ((d = sched_doomed(r.s, &reason)))
                rig_finish(&r, d);
            while (l.conns < 64 && (c = sched_open_next(r.s, r.now)))
                l.conn[l.conns++] = c;
            while (sched_wake_next(r.s))
                ;
            for (unsigned k = l.conns; k-- > 0;) {
                c = l.conn[k];
                if (c->delivery) {
                    d = c->delivery;
                    sched_answered(r.s, c, true, r.now);
                    rig_finish(&r, d);
                }
                if (take(&r, c))
                    continue;
                sched_closed(r.s, c, END_DONE, 0, r.now);
                l.conn[k] = l.conn[--l.conns];
            }
            rig_run(&r, 20000);
            sched_stats(r.s, &stats);
            if (!stats.messages[SCHED_READY] && !stats.messages[SCHED_DEFERRED] &&
                !stats.messages[SCHED_ACTIVE])
                break;
        }
        sched_check(r.s);
        assert_int_equal(stats.messages[SCHED_READY], 0);
        assert_int_equal(stats.messages[SCHED_DEFERRED], 0);
        assert_int_equal(stats.messages[SCHED_ACTIVE], 0);
        rig_close(&r);
    }
}

int main(void)
{
    static const uint8_t key[16] = {1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_events),
        cmocka_unit_test(test_nothing_is_forgotten),
    };

    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
