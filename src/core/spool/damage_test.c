/* Files altered behind the spool's back: faults 21 to 24, without threads. Each test runs a
 * workload, damages what is on the disk, and says what must still be there. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/unit_test.h"

#include "core/spool/fake_life.h"

static struct fake_disk *disk;
static struct model model;

/* Runs the operations and ends the life in good order. */
static void live(const char *operations)
{
    struct life life = {0};

    disk = fake_new();
    model = (struct model){0};
    assert_int_equal(life_start(&life, disk, &model), 0);
    assert_int_equal(life_run(&life, operations), 0);
    life_end(&life);
}

static void done(void)
{
    fake_free(disk);
}

/* Opens again; returns how much damage was reported. `lost` may be missing, everything else must be
 * there, whole. */
static uint64_t reopen(uint64_t lost, const char *why)
{
    struct life life = {.allow_damage = true};
    uint64_t damaged;

    assert_int_equal(life_start(&life, disk, &model), 0);
    if (lost && !index_find(&life.store.index, lost))
        model.state[lost] = MODEL_NEVER;
    life_check(&life, why);
    damaged = life.damaged;
    assert_int_equal(life_run(&life, "ad"), 0);
    life_end(&life);
    return damaged;
}

static char *segment(unsigned file, size_t *n)
{
    char path[40];

    snprintf(path, sizeof path, "/spool/segment-%04u", file);
    return fake_file(disk, path, n);
}

/* Where the frame of this type number `i` lies in a file, segment-0001 if nothing else is said. */
static struct frame frame_at;
static uint64_t find_frame_in(unsigned file, enum frame_type type, unsigned i)
{
    char *p;
    size_t n;

    p = segment(file, &n);
    for (uint64_t at = SEGMENT_DATA; at + FRAME_HEADER < n; at += FRAME_ALIGN) {
        if (!frame_magic(p + at) || p[at + 4] != (char)type || i--)
            continue;
        frame_at = (struct frame){.head = get_u16(p + at + 6), .body = get_u32(p + at + 8)};
        return at;
    }
    fail_msg("no such frame");
    return 0;
}

static uint64_t find_frame(enum frame_type type, unsigned i)
{
    return find_frame_in(1, type, i);
}

/* Messages 1 to 6 (without 3) in a group each, the second one ended, and a mark. */
static const char WORK[] = "aaaadaak";

/* Fault 21: one bit, anywhere in the commit record of message 4 or in its content's header. */
static void test_bit(void **state)
{
    uint64_t found = 0;

    (void)state;
    for (unsigned bit = 0; bit < (FRAME_HEADER + MESSAGE_HEAD) * 8; bit += 7) {
        char *p;
        size_t n;

        live(WORK);
        p = segment(1, &n) + find_frame(FRAME_MESSAGE, 2);
        p[bit / 8] ^= (char)(1 << bit % 8);
        found = reopen(4, "a bit");
        assert_int_equal(model.state[4], MODEL_NEVER);
        assert_true(found == 1);
        assert_non_null(segment(1, &n));
        done();
    }
}

/* A content whose header is damaged: the message is still known, and its commit record too. */
static void test_content_header(void **state)
{
    struct life life = {.allow_damage = true};
    size_t n;

    (void)state;
    live(WORK);
    segment(1, &n)[find_frame(FRAME_CONTENT, 2) + 20] ^= 1;
    assert_int_equal(life_start(&life, disk, &model), 0);
    assert_non_null(index_find(&life.store.index, 4));
    assert_int_equal(life.damaged, 1);
    life_end(&life);
    done();
}

/* Compaction's copy is damaged while the old place is still there: nothing is lost, whichever
 * record of the batch it is. */
static void test_moved(void **state)
{
    static const enum frame_type types[] = {FRAME_CONTENT, FRAME_MOVED, FRAME_OUTCOME};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (unsigned bit = 0; bit < FRAME_HEADER * 8; bit += 13) {
            size_t n;

            live("aorqk");
            segment(2, &n)[find_frame_in(2, types[i], 0) + bit / 8] ^= (char)(1 << bit % 8);
            assert_int_equal(reopen(0, "a copy"), 1);
            assert_int_equal(model.rcpt[1].attempts, 1);
            done();
        }
    }
}

/* The old place is damaged, or its file gone, when the copy has been written. */
static void test_moved_from(void **state)
{
    size_t n;

    (void)state;
    live("aorqk");
    segment(1, &n)[find_frame(FRAME_MESSAGE, 0) + 20] ^= 1;
    assert_int_equal(reopen(0, "the old place"), 1);
    assert_int_equal(model.rcpt[1].attempts, 1);
    done();
    live("aorqk");
    memset(segment(1, &n), 0, 2 * SPOOL_PAGE);
    memset(segment(1, &n) + SEGMENT_DATA, 0, n - SEGMENT_DATA);
    assert_int_equal(reopen(0, "no old place"), 1);
    done();
}

/* An end that is damaged: its message comes back, rather than another being lost. */
static void test_end_lost(void **state)
{
    size_t n;

    (void)state;
    live(WORK);
    segment(1, &n)[find_frame(FRAME_END, 0) + 10] ^= 1;
    assert_int_equal(model.state[1], MODEL_ENDED);
    model.state[1] = MODEL_ALIVE;
    assert_int_equal(reopen(0, "an end"), 1);
    done();
}

/* Fault 22: a page of zeros at each page of the log. At most what lies there is lost. */
static void test_zero_page(void **state)
{
    (void)state;
    for (unsigned page = 3; page < 8; page++) {
        struct life life = {.allow_damage = true};
        unsigned alive = 0;
        size_t n;

        live(WORK);
        memset(segment(1, &n) + page * SPOOL_PAGE, 0, SPOOL_PAGE);
        assert_int_equal(life_start(&life, disk, &model), 0);
        for (uint64_t id = 1; id < MODEL_IDS; id++)
            alive += index_find(&life.store.index, id) != NULL;
        assert_int_equal(life.damaged, 1);
        assert_true(alive >= 4);
        life_end(&life);
        /* A second start finds the same, and no more. */
        assert_int_equal(life_start(&life, disk, &model), 0);
        assert_int_equal(life.damaged, 1);
        life_end(&life);
        done();
    }
}

/* Garbage behind the end is no damage. */
static void test_garbage_tail(void **state)
{
    char *p;
    size_t n;

    (void)state;
    live(WORK);
    p = segment(1, &n);
    for (size_t i = find_frame(FRAME_MARK, 0) + SPOOL_PAGE; i < n; i++)
        p[i] = (char)(i * 31 + i / 977);
    assert_int_equal(reopen(0, "garbage"), 0);
    done();
}

/* A file cut short in the middle of what had been confirmed: the next segment says where it ended.
 */
static void test_cut_short(void **state)
{
    struct life life = {.allow_damage = true};

    (void)state;
    live("aaaadaaraa");
    fake_set_size(disk, "/spool/segment-0001", 5 * SPOOL_PAGE);
    assert_int_equal(life_start(&life, disk, &model), 0);
    assert_int_equal(life.damaged, 1);
    assert_non_null(index_find(&life.store.index, 1));
    assert_non_null(index_find(&life.store.index, model.next));
    life_end(&life);
    done();
}

/* A message may carry the image of a frame; a search behind damage must not believe it. */
static void test_forged(void **state)
{
    struct life life = {.allow_damage = true};
    struct frame forged = {.type = FRAME_END, .flags = BATCH_FIRST | BATCH_LAST | GROUP_LAST};
    struct end_head end = {.id = 1, .segment = 1};
    uint64_t at, message;
    char *p, head[END_HEAD];
    size_t n;

    (void)state;
    live("aaaak");
    p = segment(1, &n);
    message = find_frame(FRAME_MESSAGE, 1);
    at = find_frame(FRAME_CONTENT, 1);
    assert_true(frame_at.body > 1000);
    /* All that a sender can guess, but not the spool's id. */
    forged.head = END_HEAD;
    forged.segment = 1;
    forged.sequence = get_u64(p + message + 24);
    forged.epoch = get_u32(p + message + 32);
    forged.group = get_u32(p + message + 36);
    end_head_encode(head, &end);
    frame_encode(p + at + FRAME_HEADER + 512, &forged, str_of(head, sizeof head), 0);
    memcpy(p + at + FRAME_HEADER + 512 + FRAME_HEADER, head, sizeof head);
    p[at + 1] ^= 1; /* so that the content is searched */
    assert_int_equal(life_start(&life, disk, &model), 0);
    assert_non_null(index_find(&life.store.index, 1));
    life_end(&life);
    done();
}

/* ---- files: fault 23 */

static void test_missing(void **state)
{
    struct life life = {.allow_damage = true};
    const struct sys *sys;

    (void)state;
    live("aaraaraa");
    sys = fake_sys(disk);
    assert_int_equal(sys->unlink(sys, "/spool/segment-0002"), 0);
    assert_int_equal(life_start(&life, disk, &model), 0);
    assert_int_equal(life.damaged, 1);
    assert_non_null(index_find(&life.store.index, 1));
    life_end(&life);
    done();
}

/* Segments that were released and used again, or removed, are not missed. */
static void test_not_missing(void **state)
{
    (void)state;
    live("aradrafraraf");
    assert_int_equal(reopen(0, "released"), 0);
    done();
}

static void test_same_number(void **state)
{
    struct life life = {0};

    (void)state;
    live("aaraa");
    fake_copy(disk, "/spool/segment-0001", "/spool/segment-0009");
    assert_int_not_equal(life_start(&life, disk, &model), 0);
    assert_non_null(strstr(life.why.text, "both hold segment 1"));
    done();
}

/* Lives again from the start, as before and longer, and puts the copy back. */
static void live_longer(const char *operations)
{
    struct fake_disk *before = disk;
    char *p, *q;
    size_t n, k;

    live(operations);
    p = segment(1, &n);
    q = fake_file(before, "/spool/copy", &k);
    assert_int_equal(n, k);
    memcpy(p, q, n);
    fake_free(before);
}

/* An old copy of a segment put back: what it does not have is missed, and said to be. */
static void test_old_copy(void **state)
{
    struct life life = {.allow_damage = true};

    (void)state;
    live("aa");
    fake_copy(disk, "/spool/segment-0001", "/spool/copy");
    live_longer("aaaar");
    assert_int_equal(life_start(&life, disk, &model), 0);
    assert_int_equal(life.damaged, 1);
    assert_non_null(index_find(&life.store.index, 1));
    assert_non_null(index_find(&life.store.index, 2));
    life_end(&life);
    done();
}

/* A header of a later version is no damage: hands off, and a line that says why. */
static void test_newer_format(void **state)
{
    struct life life = {0};
    size_t n;
    char *p;

    (void)state;
    live("a");
    p = segment(1, &n);
    put_u32(p + 8, SPOOL_FORMAT + 1);
    put_u32(p + 76, crc32c(str_of(p, 76)));
    assert_int_not_equal(life_start(&life, disk, &model), 0);
    assert_non_null(strstr(life.why.text, "later version"));
    done();
}

/* Whoever else may write to it could put mail into it (hostile input 172). */
static void test_writable(void **state)
{
    static const char *const names[] = {"/spool", "/spool/large", "/spool/segment-0001"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct life life = {0};

        live("aara");
        fake_set_mode(disk, names[i], i ? 0620 : 0702);
        assert_int_not_equal(life_start(&life, disk, &model), 0);
        assert_non_null(strstr(life.why.text, "others may write"));
        done();
    }
}

/* Both header slots gone: the records say which segment it is. */
static void test_headerless(void **state)
{
    size_t n;

    (void)state;
    live("aaraar");
    memset(segment(2, &n), 0, SEGMENT_DATA);
    assert_int_equal(reopen(0, "no header"), 1);
    done();
}

static void test_other_spool(void **state)
{
    struct life life = {0};
    size_t n;
    char *p;

    (void)state;
    live("aara");
    p = segment(2, &n);
    p[16] ^= 1; /* its spool's id */
    put_u32(p + 76, crc32c(str_of(p, 76)));
    assert_int_not_equal(life_start(&life, disk, &model), 0);
    assert_non_null(strstr(life.why.text, "another spool"));
    done();
}

/* ---- the checkpoint: fault 24 */

static void test_checkpoint(void **state)
{
    size_t n, size;
    char *p;

    (void)state;
    live("aradobrac");
    p = fake_file(disk, "/spool/checkpoint", &size);
    assert_non_null(p);
    done();
    for (size_t i = 0; i < size; i += 5) {
        live("aradobrac");
        fake_file(disk, "/spool/checkpoint", &n)[i] ^= 0x10;
        assert_int_equal(reopen(0, "a bit of the checkpoint"), 0);
        done();
        live("aradobrac");
        fake_set_size(disk, "/spool/checkpoint", i);
        assert_int_equal(reopen(0, "half a checkpoint"), 0);
        done();
    }
}

/* An old checkpoint beside a log that has gone on, and gone round. */
static void test_old_checkpoint(void **state)
{
    static const char *const later[] = {"a", "d", "rdda", "oradsrfrarf", "brfd", "dddsrfrafraf"};
    struct life life = {0};

    (void)state;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        live("aaraoaac");
        assert_int_equal(life_start(&life, disk, &model), 0);
        assert_int_equal(life_run(&life, later[i]), 0);
        life_end(&life);
        assert_int_equal(reopen(0, later[i]), 0);
        assert_int_equal(reopen(0, later[i]), 0);
        done();
    }
}

/* Nothing is numbered twice, whichever way the log's end was found. */
static void test_sequence(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct life life = {0};
        uint64_t sequence, number, epoch;

        live(i ? "aaac" : "aaa");
        assert_int_equal(life_start(&life, disk, &model), 0);
        sequence = life.store.log.sequence;
        number = life.store.log.segment;
        epoch = life.store.disk.epoch;
        assert_true(sequence > 6);
        life_end(&life);
        assert_int_equal(life_start(&life, disk, &model), 0);
        assert_true(life.store.log.sequence > sequence);
        assert_true(life.store.log.segment > number);
        assert_true(life.store.disk.epoch > epoch);
        life_end(&life);
        done();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bit),
        cmocka_unit_test(test_content_header),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_moved_from),
        cmocka_unit_test(test_end_lost),
        cmocka_unit_test(test_zero_page),
        cmocka_unit_test(test_garbage_tail),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_not_missing),
        cmocka_unit_test(test_same_number),
        cmocka_unit_test(test_old_copy),
        cmocka_unit_test(test_newer_format),
        cmocka_unit_test(test_headerless),
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_other_spool),
        cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_old_checkpoint),
        cmocka_unit_test(test_sequence),
    };

    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
