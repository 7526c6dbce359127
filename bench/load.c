/* bench/load: sends mail over SMTP as fast as the other side takes it, and says how fast that was.
 *
 * With --ledger FILE it keeps the books for the checker of tests/faults: `SENT id` is durable
 * before the final dot goes out, `ACK id code` follows the reply, and lost connections are made
 * anew until as many messages as were asked for have been accepted.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"

#include "client.h"

enum {
    EVENTS = 256,
    PIDS_MAX = 16,
    TURN_MS = 20,
};

struct report {
    const char *label, *peer, *durability;
    bool json;
    pid_t pids[PIDS_MAX];
    size_t pid_count;
    uint64_t timeout_us;
};

static const char usage[] =
    "usage: load --to ADDRESS:PORT [options]\n"
    "  --connections N       sessions at a time (1)\n"
    "  --per-connection N    messages over each, 0 without end (0)\n"
    "  --messages N          messages in all (1000)\n"
    "  --size N              octets of each, with header (10K)\n"
    "  --rcpt ADDRESS        a recipient, more than once for several (alice@example.test)\n"
    "  --recipients N        recipients a message, taken from these in turn (1)\n"
    "  --sender ADDRESS      (load@load.test)\n"
    "  --pipeline none|group|full   full: the next envelope behind the final dot (group)\n"
    "  --sources N           come from N addresses, 127.77.0.1 onwards\n"
    "  --prefix WORD         first part of each id\n"
    "  --ledger FILE         keep books, and go on until all were accepted\n"
    "  --retry               another message for each that was not accepted, lost connections too\n"
    "  --timeout SECONDS     give up (600)\n"
    "  --cpu PID             with CPU time a message of this process and its descendants\n"
    "  --json --label WORD --peer WORD --durability WORD\n";

enum option_code {
    OPT_TO = 1,
    OPT_CONNECTIONS,
    OPT_PER_CONNECTION,
    OPT_MESSAGES,
    OPT_SIZE,
    OPT_RCPT,
    OPT_RECIPIENTS,
    OPT_SENDER,
    OPT_PIPELINE,
    OPT_SOURCES,
    OPT_PREFIX,
    OPT_LEDGER,
    OPT_RETRY,
    OPT_TIMEOUT,
    OPT_CPU,
    OPT_JSON,
    OPT_LABEL,
    OPT_PEER,
    OPT_DURABILITY,
};

static const struct option options[] = {{"to", 1, NULL, OPT_TO},
    {"connections", 1, NULL, OPT_CONNECTIONS}, {"per-connection", 1, NULL, OPT_PER_CONNECTION},
    {"messages", 1, NULL, OPT_MESSAGES}, {"size", 1, NULL, OPT_SIZE}, {"rcpt", 1, NULL, OPT_RCPT},
    {"recipients", 1, NULL, OPT_RECIPIENTS}, {"sender", 1, NULL, OPT_SENDER},
    {"pipeline", 1, NULL, OPT_PIPELINE}, {"sources", 1, NULL, OPT_SOURCES},
    {"prefix", 1, NULL, OPT_PREFIX}, {"ledger", 1, NULL, OPT_LEDGER}, {"retry", 0, NULL, OPT_RETRY},
    {"timeout", 1, NULL, OPT_TIMEOUT}, {"cpu", 1, NULL, OPT_CPU}, {"json", 0, NULL, OPT_JSON},
    {"label", 1, NULL, OPT_LABEL}, {"peer", 1, NULL, OPT_PEER},
    {"durability", 1, NULL, OPT_DURABILITY}, {0}};

static enum pipelining pipelining_parse(const char *word)
{
    static const char *const words[] = {"none", "group", "full"};

    for (int i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum pipelining)i;
    die("--pipeline: none, group or full");
}

static void add_recipient(struct load *load, const char *address)
{
    struct str *more =
        mem_resize(load->recipients, (load->recipient_count + 1) * sizeof *load->recipients);

    if (!more)
        die("no memory");
    load->recipients = more;
    load->recipients[load->recipient_count++] = str_c(address);
}

static void open_ledger(struct load *load, const char *path)
{
    static struct ledger ledger;

    ledger_open(&ledger, path);
    load->ledger = &ledger;
    load->retry = true;
}

static void option_take(struct load *load, struct report *report, int code, const char *name)
{
    switch ((enum option_code)code) {
    case OPT_TO:
        load->to = address_parse(optarg);
        break;
    case OPT_CONNECTIONS:
        load->connections = number_parse(name, optarg);
        break;
    case OPT_PER_CONNECTION:
        load->per_connection = number_parse(name, optarg);
        break;
    case OPT_MESSAGES:
        load->messages = number_parse(name, optarg);
        break;
    case OPT_SIZE:
        load->size = number_parse(name, optarg);
        break;
    case OPT_RCPT:
        add_recipient(load, optarg);
        break;
    case OPT_RECIPIENTS:
        load->recipients_each = number_parse(name, optarg);
        break;
    case OPT_SENDER:
        load->sender = optarg;
        break;
    case OPT_PIPELINE:
        load->pipelining = pipelining_parse(optarg);
        break;
    case OPT_SOURCES:
        load->sources = number_parse(name, optarg);
        break;
    case OPT_PREFIX:
        load->prefix = optarg;
        break;
    case OPT_LEDGER:
        open_ledger(load, optarg);
        break;
    case OPT_RETRY:
        load->retry = true;
        break;
    case OPT_TIMEOUT:
        report->timeout_us = number_parse(name, optarg) * 1000000;
        break;
    case OPT_CPU:
        if (report->pid_count < PIDS_MAX)
            report->pids[report->pid_count++] = (pid_t)number_parse(name, optarg);
        break;
    case OPT_JSON:
        report->json = true;
        break;
    case OPT_LABEL:
        report->label = optarg;
        break;
    case OPT_PEER:
        report->peer = optarg;
        break;
    case OPT_DURABILITY:
        report->durability = optarg;
        break;
    }
}

static void options_parse(struct load *load, struct report *report, int argc, char **argv)
{
    int code, which = 0;

    while ((code = getopt_long(argc, argv, "", options, &which)) != -1) {
        if (code == '?') {
            fputs(usage, stderr);
            exit(2);
        }
        option_take(load, report, code, options[which].name);
    }
    if (load->to.sin_port == 0 || optind != argc) {
        fputs(usage, stderr);
        exit(2);
    }
    if (load->recipient_count == 0)
        add_recipient(load, "alice@example.test");
    if (load->recipients_each < 1 || load->recipients_each > LOAD_RECIPIENTS_MAX ||
        load->connections < 1 || load->messages < 1)
        die("a number is out of range");
}

/* Lines of 76 letters; the last one is what is left. tests/faults/ledger.py makes the same. */
static void body_make(struct load *load)
{
    size_t head = client_head_size(load), n;
    char *p;

    if (load->size < head + 2)
        die("--size: at least %zu", head + 2);
    n = load->size - head;
    p = mem_alloc(n);
    if (!p)
        die("no memory");
    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + i % 26);
    for (size_t end = 78; end + 2 <= n; end += 78)
        memcpy(p + end - 2, "\r\n", 2);
    memcpy(p + n - 2, "\r\n", 2);
    load->body = str_of(p, n);
}

static bool run_done(const struct load *load)
{
    size_t ended = load->retry ? load->accepted : load->accepted + load->refused + load->lost;

    return ended >= load->messages;
}

static void run(struct load *load, uint64_t deadline)
{
    struct client *clients = mem_array(load->connections, sizeof *clients);
    struct epoll_event events[EVENTS];

    if (!clients)
        die("no memory");
    for (size_t i = 0; i < load->connections; i++)
        client_init(&clients[i], load, i);
    while (!run_done(load)) {
        uint64_t now = clock_us();
        int n;

        if (now > deadline)
            break;
        for (size_t i = 0; i < load->connections; i++)
            client_start(&clients[i], now);
        n = epoll_wait(load->epoll_fd, events, EVENTS, TURN_MS);
        for (int i = 0; i < n; i++)
            client_serve(events[i].data.ptr, events[i].events);
        if (load->ledger) {
            ledger_sync(load->ledger);
            client_release_all(load);
        }
    }
    if (load->ledger)
        ledger_sync(load->ledger);
    for (size_t i = 0; i < load->connections; i++)
        client_done(&clients[i]);
    mem_free(clients);
}

static uint64_t cpu_us(const struct report *report)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < report->pid_count; i++)
        sum += cpu_us_of_tree(report->pids[i]);
    return sum;
}

static void print(struct load *load, const struct report *report, uint64_t us, uint64_t cpu)
{
    size_t accepted = load->accepted;
    double rate = us ? (double)accepted * 1e6 / (double)us : 0;
    uint32_t p50 = percentile(load->latency_us, accepted, 50);
    uint32_t p99 = percentile(load->latency_us, accepted, 99);
    uint64_t cpu_each = accepted ? cpu / accepted : 0;

    if (!report->json) {
        printf("%zu accepted, %zu refused (last %u), %zu lost, %zu connections, %.2f s: %.0f/s, "
               "p50 %u us, p99 %u us",
            accepted, load->refused, load->last_refusal, load->lost, load->connects,
            (double)us / 1e6, rate, p50, p99);
        printf(report->pid_count ? ", %" PRIu64 " us CPU a message\n" : "\n", cpu_each);
        return;
    }
    printf("{\"label\": \"%s\", \"peer\": \"%s\", \"size\": %zu, \"conc\": %zu, \"per_conn\": %zu, "
           "\"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"durability\": \"%s\", ",
        report->label, report->peer, load->size, load->connections, load->per_connection, rate, p50,
        p99, report->durability);
    printf("\"accepted\": %zu, \"refused\": %zu, \"last_refusal\": %u, \"lost\": %zu, "
           "\"connects\": %zu, \"seconds\": %.3f, \"cpu_us\": ",
        accepted, load->refused, load->last_refusal, load->lost, load->connects, (double)us / 1e6);
    printf(report->pid_count ? "%" PRIu64 "}\n" : "null}\n", cpu_each);
}

int main(int argc, char **argv)
{
    static char prefix[32];
    struct load load = {.connections = 1,
        .messages = 1000,
        .size = 10240,
        .recipients_each = 1,
        .pipelining = PIPELINE_GROUP,
        .sender = "load@load.test",
        .prefix = prefix};
    struct report report = {
        .label = "", .peer = "", .durability = "", .timeout_us = 600 * UINT64_C(1000000)};
    uint64_t start, cpu, end;

    snprintf(prefix, sizeof prefix, "%d-%" PRIu64, getpid(), clock_us());
    options_parse(&load, &report, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    body_make(&load);
    load.latency_us = mem_array(load.messages, sizeof *load.latency_us);
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!load.latency_us || load.epoll_fd < 0)
        die("cannot start: %m");
    cpu = cpu_us(&report);
    start = clock_us();
    run(&load, start + report.timeout_us);
    end = clock_us();
    print(&load, &report, end - start, cpu_us(&report) - cpu);
    return run_done(&load) && (load.retry || load.accepted == load.messages) ? 0 : 1;
}
