/* The history as core uses it: writing never waits, a search sees what was written before it. */
#include "core/trace/trace.h"

#include <errno.h>

#include "core/trace/trace_test.h"

static struct trace *open_trace(uint64_t size)
{
    const struct trace_settings settings = {
        .sys = &trace_sys,
        .path = trace_dir,
        .size = size,
        .keep_ms = 3600 * 1000,
        .segment = 64 * 1024,
    };
    struct trace *t = NULL;

    trace_test_setup(NULL);
    assert_int_equal(trace_open(&t, &settings, NULL), 0);
    return t;
}

static void close_trace(struct trace **t)
{
    trace_close(t);
    trace_test_teardown(NULL);
}

static void write_life(struct trace *t, uint64_t id, struct str to)
{
    trace_write(
        t, &(struct trace_event){
               .kind = TRACE_RECEIVED, .id = id, .from = STR("a@x.example"), .has_from = true});
    trace_write(t, &(struct trace_event){.kind = TRACE_QUEUED, .id = id, .to = to});
    trace_write(
        t, &(struct trace_event){.kind = TRACE_QUEUED, .id = id, .to = STR("other@y.example")});
    trace_write(t, &(struct trace_event){.kind = TRACE_RELAYED, .id = id, .to = to});
}

static uint32_t find_page(
    struct trace *t, struct trace_query *query, struct arena *arena, struct trace_event **found)
{
    uint32_t count;

    assert_int_equal(trace_find(t, arena, query, found, &count, NULL), 0);
    return count;
}

FIBER_TEST(test_what_was_written_is_seen)
{
    struct trace *t = open_trace(1 << 30);
    struct trace_event *found;
    struct arena arena;
    struct trace_stats stats;
    uint64_t id = 7;
    struct trace_query query = {.id = &id, .ids = 1, .limit = 100};

    arena_init(&arena, 1 << 20);
    for (uint64_t i = 1; i <= 2000; i++)
        write_life(t, i, STR("b@y.example"));
    assert_int_equal(find_page(t, &query, &arena, &found), 4);
    assert_true(query.done);
    assert_int_equal(found[0].kind, TRACE_RECEIVED);
    assert_true(str_eq(found[3].to, STR("b@y.example")));
    trace_stats(t, &stats);
    assert_int_equal(stats.events, 8000);
    assert_int_equal(stats.lost, 0);
    arena_done(&arena);
    close_trace(&t);
}

/* A page ends where its limit is, the next goes on behind it. */
FIBER_TEST(test_pages)
{
    struct trace *t = open_trace(1 << 30);
    struct trace_event *found;
    struct arena arena;
    uint64_t ids[] = {11, 900, 1999};
    struct trace_query query = {.id = ids, .ids = 3, .limit = 5};
    uint32_t total = 0;
    uint64_t last = 0;

    for (uint64_t i = 1; i <= 2000; i++)
        write_life(t, i, STR("b@y.example"));
    while (!query.done) {
        uint32_t count;
        arena_init(&arena, 1 << 20);
        count = find_page(t, &query, &arena, &found);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(found[i].id >= last);
            last = found[i].id;
        }
        total += count;
        arena_done(&arena);
    }
    assert_int_equal(total, 12);
    close_trace(&t);
}

FIBER_TEST(test_of_an_address)
{
    struct trace *t = open_trace(1 << 30);
    struct trace_event *found;
    struct trace_ids ids;
    struct arena arena;
    struct trace_query query = {.address = STR("b3@y.example"), .limit = 100};

    arena_init(&arena, 1 << 20);
    for (uint64_t i = 1; i <= 2000; i++) {
        char to[32];
        snprintf(to, sizeof to, "b%u@y.example", (unsigned)i);
        write_life(t, i, str_c(to));
    }
    trace_write(t, &(struct trace_event){.kind = TRACE_REFUSED, .to = STR("b3@y.example")});
    /* A recipient's: what concerns that recipient. */
    assert_int_equal(trace_find_ids(t, &arena, STR("B3@Y.example"), 0, 10, &ids, NULL), 0);
    assert_int_equal(ids.count, 1);
    assert_int_equal(ids.id[0], 3);
    assert_false(ids.more || ids.sent[0]);
    assert_true(ids.refused);
    query.id = ids.id;
    query.whole = ids.sent;
    query.ids = ids.count;
    assert_int_equal(find_page(t, &query, &arena, &found), 4);
    assert_int_equal(found[3].kind, TRACE_REFUSED);
    for (uint32_t i = 0; i < 3; i++)
        assert_false(str_eq(found[i].to, STR("other@y.example")));
    /* A sender's: all of the newest messages. */
    assert_int_equal(trace_find_ids(t, &arena, STR("a@x.example"), 0, 10, &ids, NULL), 0);
    assert_int_equal(ids.count, 10);
    assert_true(ids.more && ids.sent[0]);
    assert_int_equal(ids.id[0], 2000);
    query = (struct trace_query){
        .id = ids.id, .whole = ids.sent, .ids = 10, .address = STR("a@x.example"), .limit = 100};
    assert_int_equal(find_page(t, &query, &arena, &found), 40);
    arena_done(&arena);
    close_trace(&t);
}

FIBER_TEST(test_since)
{
    struct trace *t = open_trace(1 << 30);
    struct trace_ids ids;
    struct arena arena;

    arena_init(&arena, 1 << 20);
    trace_write(t, &(struct trace_event){
                       .kind = TRACE_QUEUED, .when_ms = 1000, .id = 1, .to = STR("b@y.example")});
    trace_write(t, &(struct trace_event){
                       .kind = TRACE_QUEUED, .when_ms = 9000, .id = 2, .to = STR("b@y.example")});
    assert_int_equal(trace_find_ids(t, &arena, STR("b@y.example"), 5000, 10, &ids, NULL), 0);
    assert_int_equal(ids.count, 1);
    assert_int_equal(ids.id[0], 2);
    arena_done(&arena);
    close_trace(&t);
}

/* Strangers' tries do not push out the history of mail. */
FIBER_TEST(test_refusals_are_limited)
{
    struct trace *t = open_trace(1 << 30);
    struct trace_stats stats;

    for (unsigned i = 0; i < 10000; i++)
        trace_write(t, &(struct trace_event){.kind = TRACE_REFUSED, .to = STR("x@y.example")});
    trace_stats(t, &stats);
    assert_true(stats.refusals_left_out >= 10000 - 2 * TRACE_REFUSALS_MAX);
    assert_int_equal(stats.events + stats.refusals_left_out, 10000);
    close_trace(&t);
}

static ssize_t broken_disk(
    const struct sys *s, int h, const struct iovec *v, int count, uint64_t at)
{
    (void)s;
    (void)h;
    (void)v;
    (void)count;
    (void)at;
    return -EIO;
}

FIBER_TEST(test_losses_are_counted)
{
    struct trace *t = open_trace(1 << 30);
    struct trace_stats stats;
    struct trace_ids ids;
    struct arena arena;

    arena_init(&arena, 1 << 20);
    trace_sys.pwritev = broken_disk;
    write_life(t, 1, STR("b@y.example"));
    assert_int_equal(trace_find_ids(t, &arena, STR("b@y.example"), 0, 10, &ids, NULL), 0);
    assert_int_equal(ids.count, 0);
    trace_stats(t, &stats);
    assert_int_equal(stats.lost, 4);
    assert_true(stats.failing);
    trace_sys.pwritev = sys_real.pwritev;
    write_life(t, 2, STR("b@y.example"));
    assert_int_equal(trace_find_ids(t, &arena, STR("b@y.example"), 0, 10, &ids, NULL), 0);
    assert_int_equal(ids.count, 1);
    trace_stats(t, &stats);
    assert_int_equal(stats.lost, 4);
    assert_false(stats.failing);
    arena_done(&arena);
    close_trace(&t);
}

/* More at once than the buffer holds: the rest is counted, the caller notices nothing. */
FIBER_TEST(test_buffer_is_bounded)
{
    static char text[1000];
    struct trace *t = open_trace(1 << 30);
    struct trace_stats stats;

    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < 12000; i++)
        trace_write(t, &(struct trace_event){
                           .kind = TRACE_FAILED, .id = 1, .text = str_of(text, sizeof text)});
    trace_stats(t, &stats);
    assert_int_equal(stats.events, 12000);
    assert_in_range(stats.lost, 3000, 5000);
    close_trace(&t);
}

FIBER_TEST(test_without_one)
{
    struct trace_query query = {.limit = 10};
    struct trace_event *found;
    struct trace_stats stats;
    struct trace_ids ids;
    struct arena arena;
    uint32_t count;

    arena_init(&arena, 1 << 20);
    trace_write(NULL, &(struct trace_event){.kind = TRACE_ENDED});
    trace_reconfigure(NULL, 1, 1);
    trace_stats(NULL, &stats);
    assert_int_equal(stats.events, 0);
    assert_int_equal(trace_find(NULL, &arena, &query, &found, &count, NULL), 0);
    assert_true(query.done && count == 0);
    assert_int_equal(trace_find_ids(NULL, &arena, STR("a"), 0, 1, &ids, NULL), 0);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_seen),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_of_an_address),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_refusals_are_limited),
        cmocka_unit_test(test_losses_are_counted),
        cmocka_unit_test(test_buffer_is_bounded),
        cmocka_unit_test(test_without_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
