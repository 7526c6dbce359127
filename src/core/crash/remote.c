/* Power cuts while a remote has mail in its hands: the real core on a simulated disk, the remote
 * played (DURABILITY.md section 3; docs/durability-tests.md).
 *
 *   crash-remote [--seconds N] [--save FILE]
 *
 * One message goes to the remote, which takes, refuses or defers it. At each moment: a message that
 * the remote has not answered for is in the queue; one that it has refused is in the queue or its
 * sender is told, never both, never neither.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"

#include "run/fiber.h"

#include "core/crash/images.h"
#include "core/crash/remote_life.h"
#include "core/crash/shared.h"

enum {
    MOMENTS = 512, /* of a workload */
};

static struct {
    uint64_t seconds;
    const char *save;
} options = {.seconds = 60, .save = "crash-remote.image"};

static struct {
    struct shared *shared;
    struct fake_disk *first;
    const char *name; /* of the workload */
    uint64_t until;   /* of run_now_fresh() */
    bool violated;
} all;

struct moment {
    struct fake_disk *disk;
    struct remote_model model;
};

struct moments {
    struct fake_disk *disk;
    struct remote_model model;
    uint32_t count;
    struct moment v[MOMENTS];
};

static void keep_moment(void *arg)
{
    struct moments *m = arg;

    CHECK(m->count < MOMENTS);
    m->v[m->count++] = (struct moment){fake_snapshot(m->disk), m->model};
}

/* ---- images */

static void violation(const struct moment *m, const struct image *i, const char *why)
{
    struct fake_disk *image = fake_choose(m->disk, i->changes, i->choice);
    char survivors[1000];

    image_describe(i, survivors, sizeof survivors);
    if (fake_save(image, options.save, &m->model, sizeof m->model) < 0)
        printf("crash: %s: cannot be written\n", options.save);
    printf("crash: VIOLATION: %s\ncrash: trace: %s, %s\ncrash: %s\ncrash: image: %s\n", why,
        all.name, remote_step(&m->model), survivors, options.save);
    fake_free(image);
    all.violated = true;
}

static bool try_image(void *arg, const struct image *i)
{
    const struct moment *m = arg;
    struct remote_model model = m->model;
    struct fake_disk *disk;
    char why[REMOTE_WHY];

    disk = fake_choose(m->disk, i->changes, i->choice);
    atomic_fetch_add(&all.shared->images, 1);
    if (shared_is_new(all.shared, fake_hash(disk) ^ (uint64_t)model.step << 56)) {
        atomic_fetch_add(&all.shared->distinct, 1);
        if (!remote_recover(disk, &model, why))
            violation(m, i, why);
    }
    fake_free(disk);
    return !all.violated && run_now_fresh() < all.until;
}

static void walk(const char *name, enum remote_answer answer)
{
    struct moments *m = mem_zalloc(sizeof *m);
    char why[REMOTE_WHY];

    CHECK(m);
    all.name = name;
    m->disk = fake_snapshot(all.first);
    m->model.answer = answer;
    if (!remote_run(m->disk, &m->model, keep_moment, m, why)) {
        printf("crash: VIOLATION: %s, without a cut: %s\n", name, why);
        all.violated = true;
    }
    for (uint32_t i = 0; i < m->count && !all.violated && run_now_fresh() < all.until; i++) {
        images_each(m->v[i].disk, i, true, try_image, &m->v[i]);
    }
    for (uint32_t i = 0; i < m->count; i++)
        fake_free(m->v[i].disk);
    fake_free(m->disk);
    mem_free(m);
}

static void run(void *arg)
{
    (void)arg;
    all.until = run_now_fresh() + options.seconds * 1000;
    all.shared = shared_new();
    all.first = remote_first_disk();
    if (!all.violated)
        walk("the remote takes it", REMOTE_TAKES);
    if (!all.violated)
        walk("the remote refuses it", REMOTE_REFUSES);
    if (!all.violated)
        walk("the remote defers it", REMOTE_DEFERS);
    fake_free(all.first);
    printf("crash: a remote in the loop: %llu distinct images of %llu: %s\n",
        (unsigned long long)atomic_load(&all.shared->distinct),
        (unsigned long long)atomic_load(&all.shared->images),
        all.violated ? "a violation was found" : "no violation");
    run_stop();
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"seconds", required_argument, NULL, 't'},
        {"save", required_argument, NULL, 'S'},
        {NULL, 0, NULL, 0},
    };
    static const uint8_t key[16] = {1};
    struct scope scope;
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'S')
            options.save = optarg;
        else if (c != 't' || !str_to_u64(str_c(optarg), 1 << 20, &options.seconds))
            return 2;
    }
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    table_seed(key);
    log_open(&(struct log_settings){.fd = 2, .level = LOG_ERROR, .process = "crash-remote"});
    if (run_open(NULL) < 0)
        return 2;
    scope_init(&scope);
    if (fiber_start(&scope, "crash", run, NULL, NULL) < 0)
        return 2;
    run_loop();
    scope_join(&scope);
    run_close();
    return all.violated ? 1 : 0;
}
