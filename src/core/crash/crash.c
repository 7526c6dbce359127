/* The enumerator of crash states of the spool: DURABILITY.md section 3, docs/durability-tests.md.
 *
 *   crash [--ops N] [--depth D] [--part] [--images N] [--seconds N] [--workers N] [--seed N]
 *         [--workload LETTERS] [--misplaced] [--save FILE] [--replay FILE]
 *
 * Without --ops: all workloads of three operations at depth 2, all of four at depth 1, then longer
 * ones by seed until there are as many images as --images says. --part: those of one at depth 2, of
 * two at depth 1, then longer ones by seed, for so many seconds.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/str.h"

#include "core/crash/walk.h"

/* receive small, large, three in a group; delivered, deferred, bounced with DSN, removed; roll,
 * checkpoint, compact */
static const char letters[] = "algdobxrcp";

enum {
    LETTERS = sizeof letters - 1,
    REPORT_SECONDS = 30,
    EXIT_VIOLATION = 1,
    EXIT_USAGE = 2,
};

static struct plan {
    unsigned deep, shallow; /* complete up to so many operations at depth 2, at depth 1 */
    unsigned depth;         /* of --workload */
    unsigned workers;
    uint64_t seed, images, seconds;
    bool longer;    /* then others by seed */
    bool misplaced; /* damage is a sector that belongs elsewhere */
    const char *workload, *save, *replay;
} plan = {.deep = 3,
    .shallow = 4,
    .workers = 2,
    .seed = 1,
    .images = 1000000,
    .longer = true,
    .save = "crash.image"};

static time_t began;

static uint64_t elapsed(void)
{
    return (uint64_t)(time(NULL) - began);
}

/* ---- which workload comes next */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

/* The number-th workload: all of one operation, all of two, and so on; beyond those that are
 * taken completely, by seed. False: there is no more to do. */
static bool choose(uint64_t number, struct walk *w)
{
    unsigned most = plan.deep > plan.shallow ? plan.deep : plan.shallow, n = 1;
    uint64_t rest = number, count = LETTERS, bits;

    for (; n <= most && rest >= count; n++, count *= LETTERS)
        rest -= count;
    memset(w->workload, 0, sizeof w->workload);
    w->seed = plan.seed + number;
    w->depth = n <= plan.deep ? 2 : 1;
    w->faults = n <= plan.deep;
    if (n <= most) {
        for (unsigned i = n; i > 0; i--, rest /= LETTERS)
            w->workload[i - 1] = letters[rest % LETTERS];
        return true;
    }
    if (!plan.longer)
        return false;
    bits = mix(w->seed * 0x9e3779b97f4a7c15U);
    n = most + 1 + (unsigned)(bits % 3);
    for (unsigned i = 0; i < n && i < WORKLOAD_MAX; i++)
        w->workload[i] = letters[mix(bits + i) % LETTERS];
    w->depth = bits / 16 % 4 ? 1 : bits / 1024 % 4 ? 2 : 3;
    w->faults = bits / 64 % 4 == 0;
    return true;
}

/* How many are taken completely. */
static uint64_t complete(unsigned operations)
{
    uint64_t sum = 0, count = LETTERS;

    for (unsigned n = 0; n < operations; n++, count *= LETTERS)
        sum += count;
    return sum;
}

static bool enough(const struct shared *s)
{
    unsigned most = plan.deep > plan.shallow ? plan.deep : plan.shallow;
    bool all = atomic_load(&s->next) >= complete(most);

    return (plan.seconds && elapsed() >= plan.seconds) ||
           (plan.images && all && atomic_load(&s->distinct) >= plan.images);
}

/* ---- processes */

static void work(struct shared *s, unsigned number)
{
    struct walk w = {
        .shared = s, .where = s->where[number], .save = plan.save, .misplaced = plan.misplaced};

    while (!atomic_load(&s->stop) && !enough(s)) {
        if (plan.workload) {
            (void)snprintf(w.workload, sizeof w.workload, "%s", plan.workload);
            w.depth = plan.depth;
            w.faults = true;
            w.seed = plan.seed;
            if (atomic_fetch_add(&s->next, 1))
                break;
        } else if (!choose(atomic_fetch_add(&s->next, 1), &w)) {
            break;
        }
        walk_workload(&w);
    }
    (void)fflush(stdout);
    _exit(atomic_load(&s->violated) ? EXIT_VIOLATION : 0);
}

static unsigned long long get(const _Atomic uint64_t *v)
{
    return (unsigned long long)atomic_load(v);
}

static void report(struct shared *s, const char *word)
{
    uint64_t t = elapsed() ? elapsed() : 1;

    printf("crash: %s: %llu distinct images of %llu (%llu cut in recovery, %llu damaged, %llu "
           "with a failed sync), %llu workloads, %llu s, %llu distinct a second\n",
        word, get(&s->distinct), get(&s->images), get(&s->nested), get(&s->damaged),
        get(&s->faults), get(&s->workloads), (unsigned long long)t, get(&s->distinct) / t);
    (void)fflush(stdout);
}

static void worker_ended(struct shared *s, unsigned number, int status)
{
    if (!WIFSIGNALED(status) && WEXITSTATUS(status) <= EXIT_VIOLATION)
        return;
    printf("crash: VIOLATION: a process died (%s %d)\ncrash: trace: %.*s\n",
        WIFSIGNALED(status) ? "signal" : "status",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), WHERE_MAX, s->where[number]);
    atomic_store(&s->violated, true);
    atomic_store(&s->stop, true);
}

static void wait_for_all(struct shared *s, const pid_t *pid)
{
    unsigned left = plan.workers;
    uint64_t said = 0;
    int status;

    while (left) {
        pid_t one = waitpid(-1, &status, WNOHANG);

        if (one <= 0) {
            struct timespec pause = {.tv_nsec = 50000000};

            (void)nanosleep(&pause, NULL);
            if (plan.seconds && elapsed() >= plan.seconds)
                atomic_store(&s->stop, true);
            if (elapsed() >= said + REPORT_SECONDS) {
                said = elapsed();
                report(s, "so far");
            }
            continue;
        }
        for (unsigned i = 0; i < plan.workers; i++)
            if (pid[i] == one)
                worker_ended(s, i, status);
        left--;
    }
}

static int run(void)
{
    struct shared *s = shared_new();
    pid_t pid[WORKERS_MAX];

    began = time(NULL);
    (void)fflush(stdout);
    for (unsigned i = 0; i < plan.workers; i++) {
        pid[i] = fork();
        CHECK(pid[i] >= 0);
        if (pid[i] == 0)
            work(s, i);
    }
    wait_for_all(s, pid);
    report(s, atomic_load(&s->violated) ? "ended" : "done");
    if (!plan.workload && !atomic_load(&s->violated)) {
        uint64_t done = get(&s->next) > plan.workers ? get(&s->next) - plan.workers : 0;

        printf("crash: of %u operations at depth 2: %s; of %u at depth 1: %s\n", plan.deep,
            done >= complete(plan.deep) ? "all" : "not all", plan.shallow,
            done >= complete(plan.shallow) ? "all" : "not all");
    }
    printf("crash: %s\n", atomic_load(&s->violated) ? "a violation was found" : "no violation");
    return atomic_load(&s->violated) ? EXIT_VIOLATION : 0;
}

static uint64_t number(const char *text)
{
    uint64_t n;

    if (!str_to_u64(str_c(text), UINT64_MAX, &n)) {
        (void)fprintf(stderr, "crash: %s: not a number\n", text);
        exit(EXIT_USAGE);
    }
    return n;
}

static _Noreturn void usage(void)
{
    (void)fprintf(stderr, "crash: see the head of src/core/crash/crash.c\n");
    exit(EXIT_USAGE);
}

static void check_plan(unsigned ops, unsigned depth)
{
    if (ops) {
        plan.deep = depth > 1 ? ops : 0;
        plan.shallow = ops;
        plan.longer = false;
    }
    plan.depth = depth;
    if (plan.workers < 1 || plan.workers > WORKERS_MAX)
        usage();
    if (plan.workload && (!*plan.workload || strlen(plan.workload) > WORKLOAD_MAX ||
                             strspn(plan.workload, letters) != strlen(plan.workload)))
        usage();
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"ops", required_argument, NULL, 'o'},
        {"depth", required_argument, NULL, 'd'},
        {"misplaced", no_argument, NULL, 'm'},
        {"part", no_argument, NULL, 'p'},
        {"images", required_argument, NULL, 'i'},
        {"seconds", required_argument, NULL, 't'},
        {"workers", required_argument, NULL, 'j'},
        {"seed", required_argument, NULL, 's'},
        {"workload", required_argument, NULL, 'w'},
        {"save", required_argument, NULL, 'S'},
        {"replay", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    unsigned ops = 0, depth = 2;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'o')
            ops = (unsigned)number(optarg);
        else if (c == 'd')
            depth = (unsigned)number(optarg);
        else if (c == 'p')
            plan.deep = 1, plan.shallow = 2;
        else if (c == 'm')
            plan.misplaced = true;
        else if (c == 'i')
            plan.images = number(optarg);
        else if (c == 't')
            plan.seconds = number(optarg);
        else if (c == 'j')
            plan.workers = (unsigned)number(optarg);
        else if (c == 's')
            plan.seed = number(optarg);
        else if (c == 'w')
            plan.workload = optarg;
        else if (c == 'S')
            plan.save = optarg;
        else if (c == 'r')
            plan.replay = optarg;
        else
            usage();
    }
    if (optind < argc)
        usage();
    check_plan(ops, depth);
}

int main(int argc, char **argv)
{
    /* Images come and go by the million: their memory should not. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    parse(argc, argv);
    if (plan.replay)
        return walk_replay(plan.replay) ? 0 : EXIT_VIOLATION;
    return run();
}
