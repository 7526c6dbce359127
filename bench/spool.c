/* bench/spool.c: the spool's group commit beside a bare loop that appends as much and syncs.
 *
 *     spool DIRECTORY [FIBERS [OCTETS [SECONDS [KEPT]]]]
 *
 * First the bare loop: FIBERS messages of OCTETS in one pwritev into a file that was written
 * before, one fdatasync, again. Then the spool over the same file system: FIBERS fibers that each
 * commit one message after the other, wait for it, and hand in its end, which nobody waits for. CPU
 * a message is that of the whole process, both threads. Then KEPT messages (default: none) are put
 * in and stay, and the spool is opened again, with its checkpoint and without. SECONDS 0: that
 * alone.
 */
#include "core/spool/spool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/table.h"

#include "run/fiber.h"

#include "io/sys.h"

enum {
    FIBERS = 100,
    OCTETS = 10240,
    SECONDS = 5,
    SEGMENT = 64 << 20,
    BARE_FILE = 256 << 20,
};

static struct bench {
    char path[256];
    unsigned fibers, seconds;
    size_t octets;
    uint64_t kept;

    struct spool *spool;
    char *content;
    uint64_t next_id, committed, stop_at, stop_id;
    bool keep;
    unsigned running;
    struct cond ended;
} bench = {.fibers = FIBERS, .octets = OCTETS, .seconds = SECONDS, .next_id = 1};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double per_second(uint64_t n, uint64_t ns)
{
    return (double)n * 1e9 / (double)ns;
}

/* ---- the bare loop */

static void write_all(int fd, struct iovec *v, unsigned count, off_t at)
{
    while (count) {
        unsigned some = count < 1024 ? count : 1024;
        ssize_t n = pwritev(fd, v, (int)some, at);

        CHECK(n > 0 && (size_t)n == some * v[0].iov_len);
        at += n;
        v += some;
        count -= some;
    }
}

static void bare(void)
{
    struct iovec *v = mem_array(bench.fibers, sizeof *v);
    uint64_t group = bench.fibers * bench.octets, n = 0, start, cpu;
    char path[300];
    off_t at = 0;
    int fd;

    snprintf(path, sizeof path, "%s/bare", bench.path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && v);
    for (uint64_t i = 0; i < BARE_FILE; i += bench.octets)
        CHECK(pwrite(fd, bench.content, bench.octets, (off_t)i) > 0);
    CHECK(fsync(fd) == 0);
    start = clock_ns(CLOCK_MONOTONIC);
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    while (clock_ns(CLOCK_MONOTONIC) - start < bench.seconds * UINT64_C(1000000000)) {
        for (unsigned i = 0; i < bench.fibers; i++)
            v[i] = (struct iovec){bench.content, bench.octets};
        if ((uint64_t)at + group > BARE_FILE)
            at = 0;
        write_all(fd, v, bench.fibers, at);
        CHECK(fdatasync(fd) == 0);
        at += (off_t)group;
        n += bench.fibers;
    }
    start = clock_ns(CLOCK_MONOTONIC) - start;
    printf("bare:  %8.0f messages/s, %6.0f syncs/s, %5.1f us CPU a message\n", per_second(n, start),
        per_second(n / bench.fibers, start),
        (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3 / (double)n);
    close(fd);
    unlink(path);
    mem_free(v);
}

/* ---- the spool */

struct message {
    struct spool_message m;
    struct str piece;
    char octets[];
};

static void release(struct spool_message *m)
{
    mem_free(m);
}

static struct spool_message *new_message(uint64_t id)
{
    struct message *m = mem_alloc(sizeof *m + bench.octets);

    CHECK(m);
    memcpy(m->octets, bench.content, bench.octets);
    m->piece = str_of(m->octets, bench.octets);
    m->m = (struct spool_message){
        .id = id,
        .rcpts = 1,
        .envelope =
            STR("some@sender.example to alice@example.test, and what else is known of them"),
        .prefix = STR("Received: from there by here with ESMTP id 0123456789abc; at some time\r\n"),
        .content = &m->piece,
        .pieces = 1,
        .release = release,
    };
    return &m->m;
}

static void committer(void *arg)
{
    struct err e;

    (void)arg;
    while (bench.stop_id ? bench.next_id < bench.stop_id : run_now() < bench.stop_at) {
        struct spool_message *m = new_message(bench.next_id++);
        struct spool_change end = {.kind = SPOOL_END, .id = m->id};

        if (spool_commit(bench.spool, &m, 1, NULL, 0, SPOOL_MAIL, &e) < 0 ||
            (!bench.keep && spool_change(bench.spool, &end, 1, &e) < 0)) {
            fprintf(stderr, "bench: %s\n", e.text);
            exit(1);
        }
        bench.committed++;
    }
    bench.running--;
    cond_wake_all(&bench.ended);
}

static int on_live(void *arg, const struct spool_found *f)
{
    (void)arg;
    if (f->id >= bench.next_id)
        bench.next_id = f->id + 1;
    return 0;
}

static void open_spool(void)
{
    char path[300];
    struct spool_settings settings = {
        .sys = &sys_real, .path = path, .segment = SEGMENT, .on_live = on_live};
    struct err e;

    snprintf(path, sizeof path, "%s/spool", bench.path);
    if (spool_open(&bench.spool, &settings, &e) < 0) {
        fprintf(stderr, "bench: %s\n", e.text);
        exit(1);
    }
}

static void commit_all(struct scope *scope)
{
    for (unsigned i = 0; i < bench.fibers; i++)
        CHECK(fiber_start(scope, "committer", committer, NULL, NULL) == 0);
    bench.running = bench.fibers;
    while (bench.running)
        cond_wait(&bench.ended, "committers", NULL);
}

static void rate(struct scope *scope)
{
    struct spool_stats stats;
    uint64_t start, cpu;

    open_spool();
    start = clock_ns(CLOCK_MONOTONIC);
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    bench.stop_at = run_now_fresh() + bench.seconds * UINT64_C(1000);
    commit_all(scope);
    start = clock_ns(CLOCK_MONOTONIC) - start;
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    spool_stats(bench.spool, &stats);
    printf("spool: %8.0f messages/s, %6.0f syncs/s, %5.1f us CPU a message; %.0f a group, "
           "%" PRIu64 " segments recycled\n",
        per_second(bench.committed, start), per_second(stats.syncs, start),
        (double)cpu / 1e3 / (double)bench.committed, (double)bench.committed / (double)stats.groups,
        stats.recycled);
    spool_close(&bench.spool);
}

static void reopen(const char *how)
{
    struct spool_stats stats;
    uint64_t start = clock_ns(CLOCK_MONOTONIC);

    open_spool();
    start = clock_ns(CLOCK_MONOTONIC) - start;
    spool_stats(bench.spool, &stats);
    printf(
        "open:  %.2f s for %" PRIu64 " messages %s\n", (double)start / 1e9, stats.recovered, how);
    spool_close(&bench.spool);
}

static void recovery(struct scope *scope)
{
    char path[300];

    open_spool();
    bench.keep = true;
    bench.stop_id = bench.next_id + bench.kept;
    commit_all(scope);
    spool_close(&bench.spool);
    reopen("with a checkpoint");
    snprintf(path, sizeof path, "%s/spool/checkpoint", bench.path);
    unlink(path);
    reopen("without one");
}

static void run(void *arg)
{
    struct scope *scope = arg;

    if (bench.seconds)
        rate(scope);
    if (bench.kept)
        recovery(scope);
    run_stop();
}

int main(int argc, char **argv)
{
    static const uint8_t key[16] = {1};
    struct scope scope;
    struct err e;

    if (argc < 2) {
        fprintf(stderr, "usage: spool DIRECTORY [FIBERS [OCTETS [SECONDS [KEPT]]]]\n");
        return 2;
    }
    snprintf(bench.path, sizeof bench.path, "%s", argv[1]);
    if (argc > 2)
        bench.fibers = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        bench.octets = strtoul(argv[3], NULL, 10);
    if (argc > 4)
        bench.seconds = (unsigned)strtoul(argv[4], NULL, 10);
    if (argc > 5)
        bench.kept = strtoul(argv[5], NULL, 10);
    mkdir(bench.path, 0700);
    bench.content = mem_alloc(bench.octets + 1);
    CHECK(bench.content && bench.fibers);
    memset(bench.content, 'x', bench.octets);
    table_seed(key);
    if (bench.seconds)
        bare();
    CHECK(run_open(&e) == 0);
    scope_init(&scope);
    CHECK(fiber_start(&scope, "bench", run, &scope, &e) == 0);
    run_loop();
    scope_join(&scope);
    run_close();
    return 0;
}
