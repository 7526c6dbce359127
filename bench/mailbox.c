/* bench/mailbox: deliveries a second into 1, 10 and 1,000 mailboxes, synced, from one process.
 *
 * mailbox [--json] [--dir DIR] [--size OCTETS] [--count DELIVERIES] [--batch N] [--senders N]
 */
#include "core/mailbox/mailbox.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/table.h"

#include "run/fiber.h"

#include "common.h"

enum {
    PREFIX = 300,
    DIGEST = 600,
    SAMPLES_MAX = 1 << 20,
    SENDERS_MAX = 64,
};

static struct options {
    const char *dir;
    uint64_t size, count, batch, senders;
    bool json;
} options = {"/tmp", 10240, 20000, 100, 4, false};

static struct bench {
    struct mailboxes *m;
    struct scope scope;
    uint64_t accounts, next; /* deliveries begun */
    char *content;
    uint32_t *samples;
    uint32_t sampled;
    bool failed;
} bench;

static char prefix_text[PREFIX], digest_text[DIGEST];

/* A part of the queue's work: batch after batch until all is delivered. */
static void sender(void *arg)
{
    struct delivery *v = mem_array(options.batch, sizeof *v);
    struct mail_content *content = mem_array(options.batch, sizeof *content);

    (void)arg;
    if (!v || !content)
        die("no memory");
    while (bench.next < options.count && !bench.failed) {
        uint64_t from = bench.next, begun = clock_us();
        bench.next += options.batch;
        for (uint64_t i = 0; i < options.batch; i++) {
            content[i] = (struct mail_content){.id = from + i + 1,
                .size = options.size,
                .content = str_of(bench.content, options.size),
                .digest = str_of(digest_text, DIGEST),
                .received_ms = 1000};
            v[i] = (struct delivery){.account = (from + i) % bench.accounts + 1,
                .content = &content[i],
                .prefix = str_of(prefix_text, PREFIX)};
        }
        mailbox_deliver(bench.m, v, (uint32_t)options.batch);
        for (uint64_t i = 0; i < options.batch; i++)
            bench.failed |= v[i].result != DELIVERY_DONE;
        if (bench.sampled < SAMPLES_MAX)
            bench.samples[bench.sampled++] = (uint32_t)(clock_us() - begun);
    }
    mem_free(v);
    mem_free(content);
}

static void report(uint64_t us)
{
    struct mailboxes_stats stats;
    double rate = (double)options.count * 1e6 / (double)us;
    uint32_t p50 = percentile(bench.samples, bench.sampled, 50),
             p99 = percentile(bench.samples, bench.sampled, 99);

    mailboxes_stats(bench.m, &stats);
    if (options.json)
        printf("{\"label\": \"mailbox\", \"peer\": \"veredus\", \"size\": %llu, \"conc\": %llu, "
               "\"per_conn\": %llu, \"rate\": %.0f, \"p50_us\": %u, \"p99_us\": %u, "
               "\"durability\": \"sync\"}\n",
            (unsigned long long)options.size, (unsigned long long)bench.accounts,
            (unsigned long long)options.batch, rate, p50, p99);
    else
        printf("%5llu accounts: %8.0f deliveries/s, batch of %llu: median %u us, 99 %% %u us; "
               "%llu transactions, %llu syncs, %llu checkpoints\n",
            (unsigned long long)bench.accounts, rate, (unsigned long long)options.batch, p50, p99,
            (unsigned long long)stats.transactions, (unsigned long long)stats.syncs,
            (unsigned long long)stats.checkpoints);
}

static void measure(const char *path)
{
    struct mailboxes_settings settings = {.sys = &sys_real, .path = path, .open_max = 1100};
    struct err e;
    uint64_t begun;

    if (mailboxes_open(&bench.m, &settings, &e) < 0)
        die("%s", e.text);
    for (uint64_t i = 1; i <= bench.accounts; i++)
        if (mailbox_birth(bench.m, i, &e) < 0)
            die("%s", e.text);
    begun = clock_us();
    for (uint64_t i = 0; i < options.senders; i++)
        if (fiber_start(&bench.scope, "sender", sender, NULL, &e) < 0)
            die("%s", e.text);
    scope_join(&bench.scope);
    if (bench.failed)
        die("a delivery failed");
    report(clock_us() - begun);
    mailboxes_close(&bench.m);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void run_all(void *arg)
{
    static const uint64_t accounts[] = {1, 10, 1000};
    char path[512];

    (void)arg;
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++) {
        (void)snprintf(path, sizeof path, "%s/veredus-bench-XXXXXX", options.dir);
        if (!mkdtemp(path))
            die("%s: cannot be made", path);
        bench.accounts = accounts[i];
        bench.next = bench.sampled = 0;
        scope_init(&bench.scope);
        measure(path);
        if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
            die("%s: cannot be removed", path);
    }
    run_stop();
}

static void parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct str name = str_c(argv[i]);
        if (str_eq(name, STR("--json")))
            options.json = true;
        else if (i + 1 == argc)
            die("%s: needs a value, or is unknown", argv[i]);
        else if (str_eq(name, STR("--dir")))
            options.dir = argv[++i];
        else if (str_eq(name, STR("--size")))
            options.size = number_parse(argv[i], argv[i + 1]), i++;
        else if (str_eq(name, STR("--count")))
            options.count = number_parse(argv[i], argv[i + 1]), i++;
        else if (str_eq(name, STR("--batch")))
            options.batch = number_parse(argv[i], argv[i + 1]), i++;
        else if (str_eq(name, STR("--senders")))
            options.senders = number_parse(argv[i], argv[i + 1]), i++;
        else
            die("%s: unknown option", argv[i]);
    }
    if (options.batch == 0 || options.batch > MAILBOX_BATCH_MAX || options.senders == 0 ||
        options.senders > SENDERS_MAX)
        die("--batch: 1 to %d; --senders: 1 to %d", MAILBOX_BATCH_MAX, SENDERS_MAX);
    options.count -= options.count % options.batch;
}

int main(int argc, char **argv)
{
    struct scope scope;
    struct err e;
    uint8_t key[16];

    parse_options(argc, argv);
    rng_bytes(key, sizeof key);
    table_seed(key);
    bench.content = mem_alloc(options.size + 1);
    bench.samples = mem_array(SAMPLES_MAX, sizeof *bench.samples);
    if (!bench.content || !bench.samples)
        die("no memory");
    memset(bench.content, 'x', options.size + 1);
    memset(prefix_text, 'p', sizeof prefix_text);
    memset(digest_text, 'd', sizeof digest_text);
    scope_init(&scope);
    if (run_open(&e) < 0 || fiber_start(&scope, "bench", run_all, NULL, &e) < 0)
        die("%s", e.text);
    run_loop();
    scope_join(&scope);
    run_close();
    return 0;
}
