#include "core/queue/sched_rig.h"

#include <stdio.h>

#include "base/mem.h"

uint64_t rig_random(void *arg, uint64_t n)
{
    struct rig *r = arg;

    r->seed = r->seed * 6364136223846793005U + 1442695040888963407U;
    return (r->seed >> 33) % n;
}

void rig_open(struct rig *r)
{
    static const uint64_t retry[] = {60000, 300000, 900000, 3600000, 14400000};

    *r = (struct rig){.now = 1000000, .seed = 42};
    memcpy(r->set.retry_ms, retry, sizeof retry);
    r->set.retries = 5;
    r->set.lifetime_ms = UINT64_C(5) * 86400 * 1000;
    r->set.warn_after_ms = 4 * 3600 * 1000;
    r->set.connections = 1000;
    r->set.per_site = 20;
    r->set.random = rig_random;
    r->set.arg = r;
    assert_int_equal(sched_open(&r->s, &r->set, mem_free, r->now), 0);
}

void rig_close(struct rig *r)
{
    sched_close(&r->s);
}

struct sched_dest *rig_dest(struct rig *r, const char *name)
{
    bool made;
    struct sched_dest *d = sched_dest(r->s, str_c(name), &made);

    assert_non_null(d);
    return d;
}

uint32_t rig_message(struct rig *r, const char *dest, uint32_t sender, enum sched_class class)
{
    uint32_t m = sched_add(r->s, ++r->next_id, 1, 0), d;

    assert_true(m);
    sched_message(r->s, m)->sender = sender;
    sched_message(r->s, m)->class = (uint8_t) class;
    sched_message(r->s, m)->arrived = (uint32_t)(r->now / 1000);
    d = sched_deliver(r->s, m, rig_dest(r, dest));
    assert_true(d);
    sched_put_ready(r->s, d, r->now);
    return d;
}

void rig_place(struct rig *r, uint64_t ttl_ms)
{
    struct sched_dest *d;

    while ((d = sched_ask(r->s))) {
        ptrdiff_t at = str_find(d->key, '@');
        struct sched_site *site;
        bool made;
        assert_int_equal(
            sched_placed(r->s, d, str_from(d->key, (size_t)(at + 1)), ttl_ms, r->now, &site, &made),
            0);
    }
    while (sched_tick(r->s, r->now) <= r->now)
        ;
}

void rig_run(struct rig *r, uint64_t ms)
{
    uint64_t until = r->now + ms;

    for (;;) {
        uint64_t next = sched_tick(r->s, r->now);
        if (next > until)
            break;
        r->now = next > r->now ? next : r->now;
    }
    r->now = until;
}

void rig_finish(struct rig *r, uint32_t delivery)
{
    uint32_t m = sched_delivery(r->s, delivery)->message;

    sched_done(r->s, delivery);
    if (!sched_message(r->s, m)->first)
        sched_forget(r->s, m);
}
