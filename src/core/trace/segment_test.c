/* Segments on a real disk: what is written is found, damage is hopped over, old ones go. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/trace/trace_test.h"

static char *path_of(uint64_t number, enum segment_file file)
{
    static char path[TRACE_PATH_MAX];

    segment_path(path, trace_dir, number, file);
    return path;
}

enum {
    FENCE_END = 64 + 4096 * 8, /* of an index; its entries follow */
};

/* Turns one octet of a file over. */
static void damage(const char *path, off_t at)
{
    int fd = open(path, O_RDWR);
    char c;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void test_names_of_files(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } rows[] = {
        {"0000000000000001.trace", true},
        {"00000000000000ff.index", true},
        {"00000000000000ff.new", true},
        {"0000000000000000.trace", false},
        {"000000000000001.trace", false},
        {"0000000000000001.tracex", false},
        {"0000000000000001", false},
        {"x000000000000001.trace", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum segment_file file;
        uint64_t number;
        if (segment_name_parse(str_c(rows[i].name), &number, &file) != rows[i].good)
            fail_msg("%s", rows[i].name);
    }
}

static void test_written_is_found(void **state)
{
    struct append a;

    (void)state;
    trace_test_begin(&a, 1 << 20);
    trace_test_append(&a, 1, 100);
    assert_int_equal(a.written, 400);
    for (uint64_t id = 1; id <= 100; id++)
        assert_int_equal(trace_test_count(id), 4);
    assert_int_equal(trace_test_count(101), 0);
    append_done(&a);
}

/* A restart goes on in the same file; what was cut off by a crash is removed from its end. */
static void test_torn_tail(void **state)
{
    struct append a;
    off_t whole;

    (void)state;
    trace_test_begin(&a, 1 << 20);
    trace_test_append(&a, 1, 10);
    append_done(&a);
    whole = size_of(path_of(1, SEGMENT_EVENTS));
    for (off_t cut = 1; cut < 200; cut += 3) {
        assert_int_equal(truncate(path_of(1, SEGMENT_EVENTS), whole - cut), 0);
        trace_test_begin(&a, 1 << 20);
        trace_test_append(&a, 11, 11);
        assert_int_equal(a.damaged, 0);
        append_done(&a);
        assert_int_equal(trace_test_count(11), 4);
        assert_int_equal(trace_test_count(1), 4);
        assert_int_equal(trace_files(".trace"), 1);
        assert_int_equal(unlink(path_of(1, SEGMENT_EVENTS)), 0);
        trace_test_begin(&a, 1 << 20);
        trace_test_append(&a, 1, 10);
        append_done(&a);
    }
}

/* Each octet of the file in turn: at most the event that it is part of is missing. */
static void test_damage_is_hopped_over(void **state)
{
    struct append a;
    off_t size;

    (void)state;
    trace_test_begin(&a, 1 << 20);
    trace_test_append(&a, 1, 4);
    append_done(&a);
    size = size_of(path_of(1, SEGMENT_EVENTS));
    for (off_t at = SEGMENT_HEAD; at < size; at++) {
        uint32_t found = 0;
        damage(path_of(1, SEGMENT_EVENTS), at);
        for (uint64_t id = 1; id <= 4; id++)
            found += trace_test_count(id);
        assert_in_range(found, 15, 16); /* padding between events may be anything */
        damage(path_of(1, SEGMENT_EVENTS), at);
    }
}

static void test_damaged_header(void **state)
{
    struct append a;

    (void)state;
    trace_test_begin(&a, 1 << 20);
    trace_test_append(&a, 1, 4);
    append_done(&a);
    damage(path_of(1, SEGMENT_EVENTS), 30);
    assert_int_equal(trace_test_count(1), 0);
    trace_test_begin(&a, 1 << 20);
    trace_test_append(&a, 5, 5);
    append_done(&a);
    assert_int_equal(trace_files(".trace"), 2);
    assert_int_equal(trace_test_count(5), 4);
}

static struct keep keep_with(const struct append *a, uint64_t size)
{
    return (struct keep){
        .sys = &trace_sys,
        .dir = trace_dir,
        .writing = a->last,
        .size = size,
        .keep_ms = 1000 * 3600,
    };
}

/* With indexes as without. */
static void test_indexes(void **state)
{
    struct append a;
    struct keep k;

    (void)state;
    trace_test_begin(&a, 8192);
    trace_test_append(&a, 1, 500);
    k = keep_with(&a, 1 << 30);
    keep_in_order(&k);
    assert_true(trace_files(".trace") > 5);
    assert_int_equal(trace_files(".index"), trace_files(".trace") - 1);
    assert_int_equal(k.segments, trace_files(".trace"));
    assert_int_equal(trace_files(".new"), 0);
    for (uint64_t id = 1; id <= 500; id++)
        assert_int_equal(trace_test_count(id), 4);
    /* A damaged index is not believed; the segment is read instead. */
    for (off_t at = 0; at < size_of(path_of(1, SEGMENT_INDEX)); at += at < FENCE_END ? 97 : 5) {
        damage(path_of(1, SEGMENT_INDEX), at);
        assert_int_equal(trace_test_count(3), 4);
        damage(path_of(1, SEGMENT_INDEX), at);
    }
    append_done(&a);
}

static void test_oldest_go_first(void **state)
{
    struct append a;
    struct keep k;

    (void)state;
    trace_test_begin(&a, 8192);
    trace_test_append(&a, 1, 500);
    k = keep_with(&a, 3 * 48 * 1024);
    keep_in_order(&k);
    assert_true(k.octets <= k.size);
    assert_in_range(trace_files(".trace"), 3, 5);
    assert_true(trace_files(".index") <= trace_files(".trace"));
    assert_int_equal(trace_test_count(1), 0);
    assert_int_equal(trace_test_count(500), 4);
    append_done(&a);
}

static int64_t in_two_hours(const struct sys *s)
{
    return sys_real.wall_ns(s) + 7200LL * 1000000000;
}

static void test_old_go(void **state)
{
    struct append a;
    struct keep k;

    (void)state;
    trace_test_begin(&a, 8192);
    trace_test_append(&a, 1, 100);
    k = keep_with(&a, 1 << 30);
    trace_sys.wall_ns = in_two_hours;
    keep_in_order(&k);
    assert_int_equal(trace_files(".trace"), 1); /* the one that is written stays */
    assert_int_equal(trace_files(".index"), 0);
    append_done(&a);
}

/* One that is old is closed though it is not full, so that its time can come. */
static void test_roll_by_age(void **state)
{
    struct append a;

    (void)state;
    trace_test_begin(&a, 1 << 20);
    a.segment_ms = 3600 * 1000;
    trace_test_append(&a, 1, 1);
    trace_sys.wall_ns = in_two_hours;
    trace_test_append(&a, 2, 2);
    assert_int_equal(trace_files(".trace"), 2);
    append_done(&a);
}

static ssize_t full_disk(const struct sys *s, int h, const struct iovec *v, int count, uint64_t at)
{
    (void)s;
    (void)h;
    (void)v;
    (void)count;
    (void)at;
    return -ENOSPC;
}

/* Half of it is written. */
static ssize_t short_write(
    const struct sys *s, int h, const struct iovec *v, int count, uint64_t at)
{
    struct iovec half = {v->iov_base, v->iov_len / 2};

    (void)count;
    return sys_real.pwritev(s, h, &half, 1, at);
}

static void test_full_disk(void **state)
{
    struct append a;

    (void)state;
    trace_test_begin(&a, 1 << 20);
    trace_test_append(&a, 1, 10);
    trace_sys.pwritev = full_disk;
    trace_test_append(&a, 11, 20);
    assert_int_equal(a.lost, 40);
    assert_int_equal(a.error, -ENOSPC);
    trace_sys.pwritev = short_write;
    trace_test_append(&a, 21, 30);
    assert_true(a.error);
    trace_sys.pwritev = sys_real.pwritev;
    trace_test_append(&a, 31, 40);
    assert_int_equal(a.error, 0);
    assert_int_equal(a.lost, 80);
    assert_int_equal(trace_test_count(5), 4);
    assert_int_equal(trace_test_count(35), 4);
    append_done(&a);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, trace_test_setup, trace_test_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_files),
        TEST(test_written_is_found),
        TEST(test_torn_tail),
        TEST(test_damage_is_hopped_over),
        TEST(test_damaged_header),
        TEST(test_indexes),
        TEST(test_oldest_go_first),
        TEST(test_old_go),
        TEST(test_roll_by_age),
        TEST(test_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
