/* bench/trace: what the history costs: events a second taken, and how long a search lasts among the
 * events of a million messages.
 *
 * trace [--json] [--dir DIR] [--messages N] [--searches N]
 */
#include "core/trace/trace.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/temp_dir.h"

#include "run/fiber.h"

#include "common.h"

enum {
    EVENTS = 4, /* of a message */
    AT_ONCE = 1000,
    ARENA_MAX = 8 << 20,
    ADDRESSES = 100000,
};

static struct options {
    const char *dir;
    uint64_t messages, searches;
    bool json;
} options = {NULL, 1000000, 100, false};

static uint32_t *samples;

/* Ids as they are made: an epoch, a lease, a counter. */
static uint64_t id_of(uint64_t n)
{
    return 1ULL << 40 | n;
}

static void write_life(struct trace *t, uint64_t n)
{
    char from[64], to[64];
    struct trace_event ev = {.id = id_of(n)};

    snprintf(from, sizeof from, "sender%llu@one.example", (unsigned long long)(n % ADDRESSES));
    snprintf(to, sizeof to, "reader%llu@two.example", (unsigned long long)(n * 7 % ADDRESSES));
    ev.kind = TRACE_RECEIVED;
    ev.from = str_c(from);
    ev.has_from = true;
    ev.client = STR("192.0.2.77");
    ev.helo = STR("mail.one.example");
    ev.protocol = STR("ESMTPS");
    ev.size = 10240;
    ev.count = 1;
    trace_write(t, &ev);
    trace_write(t, &(struct trace_event){.kind = TRACE_QUEUED, .id = ev.id, .to = str_c(to)});
    ev = (struct trace_event){.kind = TRACE_DEFERRED, .id = ev.id, .to = str_c(to)};
    ev.host = STR("mx1.two.example");
    ev.address = STR("198.51.100.25");
    ev.code = 450;
    ev.status = (struct err_status){4, 2, 0};
    ev.text = STR("4.2.0 greylisted, please come again in five minutes");
    ev.until_ms = 1;
    trace_write(t, &ev);
    ev.kind = TRACE_RELAYED;
    ev.code = 250;
    ev.text = STR("2.0.0 Ok: queued as 4XyZ1234567");
    trace_write(t, &ev);
}

static void say(const char *label, double value, const char *unit, uint32_t count)
{
    uint32_t p50 = percentile(samples, count, 50), p99 = percentile(samples, count, 99);

    if (options.json)
        printf("{\"label\": \"%s\", \"peer\": \"veredus\", \"rate\": %.0f, \"p50_us\": %u, "
               "\"p99_us\": %u}\n",
            label, value, p50, p99);
    else if (count)
        printf("%-28s half of them within %u us, 99 of 100 within %u us\n", label, p50, p99);
    else
        printf("%-28s %.0f %s\n", label, value, unit);
}

static void write_all(struct trace *t)
{
    uint64_t begun = clock_us(), busy = 0;
    struct trace_stats stats;
    struct err e;

    for (uint64_t n = 1; n <= options.messages;) {
        uint64_t before = clock_us();
        for (unsigned k = 0; k < AT_ONCE && n <= options.messages; k++)
            write_life(t, n++);
        busy += clock_us() - before;
        if (fiber_sleep(1, &e) < 0) /* the writer must keep up, as with a server that does more */
            die("%s", e.text);
    }
    trace_stats(t, &stats);
    if (stats.lost)
        die("%llu events were lost", (unsigned long long)stats.lost);
    say("trace events taken", (double)stats.events * 1e6 / (double)busy, "events a second", 0);
    say("trace events written", (double)stats.events * 1e6 / (double)(clock_us() - begun),
        "events a second", 0);
}

/* As `veredus trace ID`. */
static uint32_t find_message(struct trace *t, struct arena *arena)
{
    uint64_t id = id_of(1 + rng_below(options.messages));
    struct trace_query query = {.id = &id, .ids = 1, .limit = 200};
    struct trace_event *found;
    uint32_t count;
    struct err e;

    if (trace_find(t, arena, &query, &found, &count, &e) < 0)
        die("%s", e.text);
    return count;
}

/* As `veredus trace ADDRESS`: first its messages, then what happened to them. */
static uint32_t find_address(struct trace *t, struct arena *arena)
{
    uint64_t n = rng_below(ADDRESSES);
    struct trace_query query = {.limit = 200};
    struct trace_event *found;
    struct trace_ids ids;
    uint32_t count;
    char text[64];
    struct err e;

    snprintf(text, sizeof text, "%s%llu@%s.example", n % 2 ? "sender" : "reader",
        (unsigned long long)n, n % 2 ? "one" : "two");
    query.address = str_c(text);
    if (trace_find_ids(t, arena, query.address, 0, 100, &ids, &e) < 0)
        die("%s", e.text);
    query.id = ids.id;
    query.whole = ids.sent;
    query.ids = ids.count;
    if (trace_find(t, arena, &query, &found, &count, &e) < 0)
        die("%s", e.text);
    return count;
}

static void search(struct trace *t, const char *label,
    uint32_t (*find)(struct trace *t, struct arena *arena), uint32_t least)
{
    uint64_t begun = clock_us();
    struct arena arena;

    arena_init(&arena, ARENA_MAX);
    for (uint64_t i = 0; i < options.searches; i++) {
        uint64_t before = clock_us();
        uint32_t found = find(t, &arena);
        if (found < least)
            die("%s: only %u events were found", label, found);
        samples[i] = (uint32_t)(clock_us() - before);
        arena_reset(&arena);
    }
    arena_done(&arena);
    say(label, (double)options.searches * 1e6 / (double)(clock_us() - begun), "a second",
        (uint32_t)options.searches);
}

/* Indexes are made in the background: until the count of segments says that all were seen to. */
static void wait_indexed(struct trace *t)
{
    struct trace_stats before = {0}, now;
    struct err e;

    for (;;) {
        trace_stats(t, &now);
        if (now.segments && now.octets == before.octets && now.segments == before.segments)
            break;
        before = now;
        if (fiber_sleep(2000, &e) < 0)
            die("%s", e.text);
    }
    if (!options.json)
        printf("%-28s %llu segments, %llu MiB\n", "trace on disk", (unsigned long long)now.segments,
            (unsigned long long)now.octets >> 20);
}

static void run_all(void *arg)
{
    char path[512];
    const struct trace_settings settings = {
        .sys = &sys_real, .path = path, .size = 4ULL << 30, .keep_ms = 1ULL << 40};
    struct trace *t;
    struct err e;

    (void)arg;
    if (temp_dir_make(path, sizeof path, options.dir, "trace") < 0)
        die("no directory for the history");
    if (trace_open(&t, &settings, &e) < 0)
        die("%s", e.text);
    write_all(t);
    wait_indexed(t);
    search(t, "trace of a message", find_message, EVENTS);
    search(t, "trace of an address", find_address, 1);
    trace_close(&t);
    temp_dir_remove(path);
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
        else if (str_eq(name, STR("--messages")))
            options.messages = number_parse(argv[i], argv[i + 1]), i++;
        else if (str_eq(name, STR("--searches")))
            options.searches = number_parse(argv[i], argv[i + 1]), i++;
        else
            die("%s: unknown option", argv[i]);
    }
    if (options.messages == 0 || options.searches == 0)
        die("--messages, --searches: at least 1");
}

int main(int argc, char **argv)
{
    struct scope scope;
    struct err e;

    parse_options(argc, argv);
    samples = mem_array(options.searches, sizeof *samples);
    if (!samples)
        die("no memory");
    scope_init(&scope);
    if (run_open(&e) < 0 || fiber_start(&scope, "bench", run_all, NULL, &e) < 0)
        die("%s", e.text);
    run_loop();
    scope_join(&scope);
    run_close();
    mem_free(samples);
    return 0;
}
