/* The spool over the system's own calls, in a temporary directory. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/table.h"

#include "run/run_test.h"

#include "core/spool/spool.h"

enum {
    FIBERS = 40,
    EACH = 25,
    OCTETS = 10240,
};

static char directory[] = "/tmp/veredus-spool-XXXXXX";
static unsigned recovered;

static int on_live(void *arg, const struct spool_found *f)
{
    (void)arg;
    recovered += f->recovered;
    return 0;
}

static struct spool *open_real(uint64_t cache, struct err *e)
{
    struct spool_settings settings = {.sys = &sys_real,
        .path = directory,
        .segment = 1 << 20,
        .cache = cache,
        .on_live = on_live};
    struct spool *s = NULL;

    recovered = 0;
    spool_open(&s, &settings, e);
    return s;
}

struct message {
    struct spool_message m;
    struct str piece;
    char octets[OCTETS];
};

static void release(struct spool_message *m)
{
    mem_free(m);
}

static char octet_of(uint64_t id, size_t i)
{
    return (char)('a' + (id + i) % 26);
}

static struct spool_message *message(uint64_t id)
{
    struct message *m = mem_alloc(sizeof *m);

    assert_non_null(m);
    for (size_t i = 0; i < OCTETS; i++)
        m->octets[i] = octet_of(id, i);
    m->piece = str_of(m->octets, OCTETS);
    m->m = (struct spool_message){
        .id = id,
        .rcpts = 1,
        .envelope = STR("envelope"),
        .content = &m->piece,
        .pieces = 1,
        .release = release,
    };
    return &m->m;
}

struct committer {
    struct spool *s;
    uint64_t from;
};

/* Every other message is ended at once. */
static void commit_some(void *arg)
{
    struct committer *c = arg;
    struct err e;

    for (uint64_t id = c->from; id < c->from + EACH; id++) {
        struct spool_message *m = message(id);
        struct spool_change end = {.kind = SPOOL_END, .id = id};

        assert_int_equal(spool_commit(c->s, &m, 1, NULL, 0, SPOOL_MAIL, &e), 0);
        if (id % 2)
            assert_int_equal(spool_change(c->s, &end, 1, &e), 0);
    }
}

static void check_message(struct spool *s, uint64_t id)
{
    char *p = mem_alloc(OCTETS);
    size_t got;
    struct err e;

    if (spool_read(s, id, SPOOL_CONTENT, 0, p, OCTETS, &got, &e) < 0)
        fail_msg("%u: %s", (unsigned)id, e.text);
    assert_int_equal(got, OCTETS);
    for (size_t i = 0; i < OCTETS; i++)
        assert_int_equal(p[i], octet_of(id, i));
    mem_free(p);
}

/* Fresh messages that later ones have pushed out of memory are read from disk. */
FIBER_TEST(test_pushed_out)
{
    const uint64_t first = 1 << 20, last = first + 20;
    struct spool_change end = {.kind = SPOOL_END};
    struct spool_stats stats;
    struct spool *s;
    struct err e;

    s = open_real(8 * OCTETS, &e);
    assert_non_null(s);
    for (uint64_t id = first; id < last; id++) {
        struct spool_message *m = message(id);
        assert_int_equal(spool_commit(s, &m, 1, NULL, 0, SPOOL_MAIL, &e), 0);
    }
    for (uint64_t id = first; id < last; id++)
        check_message(s, id);
    spool_stats(s, &stats);
    assert_true(stats.cache_hits > 0 && stats.cache_hits < last - first);
    for (end.id = first; end.id < last; end.id++)
        assert_int_equal(spool_change(s, &end, 1, &e), 0);
    spool_close(&s);
}

FIBER_TEST(test_real)
{
    struct committer c[FIBERS];
    struct spool_stats stats;
    struct scope scope;
    struct err e;
    struct spool *s;

    assert_non_null(mkdtemp(directory));
    s = open_real(0, &e);
    assert_non_null(s);
    scope_init(&scope);
    for (unsigned i = 0; i < FIBERS; i++) {
        c[i] = (struct committer){s, 1 + (uint64_t)i * EACH};
        assert_int_equal(fiber_start(&scope, "committer", commit_some, &c[i], &e), 0);
    }
    scope_join(&scope);
    spool_stats(s, &stats);
    assert_int_equal(stats.commits, FIBERS * EACH);
    assert_true(stats.groups < stats.commits);
    assert_null(open_real(0, &e)); /* a second server on the same spool (fault 49) */
    assert_non_null(strstr(e.text, "another server"));
    spool_close(&s);
    s = open_real(0, &e);
    assert_non_null(s);
    assert_int_equal(recovered, FIBERS * EACH / 2);
    for (uint64_t id = 2; id <= FIBERS * EACH; id += 2)
        check_message(s, id);
    spool_close(&s);
}

static int remove_name(void *arg, const char *name)
{
    char path[300];

    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    return unlink(path) < 0 && rmdir(path) < 0 ? -1 : 0;
}

static int remove_directory(void **state)
{
    static const char *const inside[] = {"/large", "/quarantine", ""};
    char path[sizeof directory + 16];

    (void)state;
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        snprintf(path, sizeof path, "%s%s", directory, inside[i]);
        sys_real.list(&sys_real, path, remove_name, path);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_pushed_out),
    };
    const uint8_t key[16] = {1};

    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, remove_directory);
}
