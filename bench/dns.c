/* bench/dns: asks the resolver, behind its walls, from another process, as a room does.
 *
 *   dns [-n ROUNDS] CONFIG < QUESTIONS       a line a question: TYPE NAME
 *
 * Answers come in order, a line each: TYPE NAME STATUS secure|insecure ttl CANONICAL: RECORDS. With
 * -n the questions are asked so often, and the last line says how many a second were answered.
 */
#include "ipc/dns.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/table.h"

#include "ipc/role.h"

#include "master/sandbox.h"
#include "resolver/servers.h"
#include "resolver/service.h"

enum {
    QUESTIONS_MAX = 20000,
    LINE_MAX_OCTETS = 2048,
    ANSWER_MAX = 1 << 18,
};

struct question {
    enum dns_type type;
    char name[LINE_MAX_OCTETS];
    struct arena arena;
    struct dns_answer answer;
    int rc;
    struct err e;
};

struct bench {
    const char *config_path;
    int fd; /* of this end */
    uint64_t rounds;
    struct question **v;
    uint32_t count;
    struct dns_client client;
};

static struct bench bench = {.rounds = 1};

_Noreturn static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "dns: %s: %s\n", what, e->text);
    _exit(1);
}

static struct config *read_config(const char *path)
{
    static char text[65536];
    FILE *f = fopen(path, "r");
    struct arena arena;
    struct config_problems problems = {0};
    struct config *config = NULL;

    arena_init(&arena, 1 << 20);
    if (f) {
        config = config_parse(str_of(text, fread(text, 1, sizeof text, f)), &arena, &problems);
        fclose(f);
    }
    for (uint32_t i = 0; i < problems.count; i++)
        fprintf(
            stderr, "dns: %s:%u: %.*s\n", path, problems.v[i].line, STR_ARG(problems.v[i].text));
    if (!config)
        exit(1);
    arena_done(&arena);
    return config;
}

/* ---- the resolver's process */

static void serve(void *arg)
{
    struct config *config = read_config(bench.config_path);
    struct engine_settings settings = {
        .trust_anchor = config->dns.trust_anchor, .special_use = config->dns.special_use};
    static const struct event none;
    struct sandbox_level level;
    struct service *service;
    struct cond never;
    struct err e;

    (void)arg;
    for (uint32_t i = 0; i < config->dns.servers.count && i < ENGINE_SERVERS_MAX; i++)
        settings.servers[settings.server_count++] = config->dns.servers.v[i];
    if (service_open(&service, &settings, &none, &e) < 0)
        die("the resolver", &e);
    if (sandbox_close(ROLE_RESOLVER, config, &level, &e) < 0)
        die("its walls", &e);
    log_info(
        &none, "sandbox", kv_bool("seccomp", level.seccomp), kv_i64("landlock", level.landlock));
    if (service_attach(service, bench.fd, &e) < 0)
        die("its channel", &e);
    cond_init(&never);
    cond_wait(&never, "the end", &e);
}

/* ---- the one that asks */

static void ask(void *arg)
{
    struct question *q = arg;

    for (uint64_t i = 0; i < bench.rounds; i++) {
        arena_reset(&q->arena);
        q->rc = dns_ask(&bench.client, &q->arena, q->type, str_c(q->name), &q->answer, &q->e);
    }
}

static void print_record(enum dns_type type, const struct dns_record *r)
{
    struct net_address address;
    struct buf out;

    buf_init(&out, ANSWER_MAX);
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        dns_record_address(r, 0, &address);
        net_format_ip(&address, &out);
        break;
    case DNS_MX:
        buf_printf(&out, "%u/%.*s", r->mx.preference, STR_ARG(r->mx.host));
        break;
    case DNS_CNAME:
    case DNS_PTR:
        buf_put(&out, r->name);
        break;
    case DNS_TXT:
        for (size_t i = 0; i < r->text.n; i++)
            buf_printf(&out, "%02x", (unsigned char)r->text.p[i]);
        break;
    case DNS_TLSA:
        buf_printf(&out, "%u/%u/%u/%zu", r->tlsa.usage, r->tlsa.selector, r->tlsa.matching,
            r->tlsa.data.n);
        break;
    }
    printf(" %.*s", STR_ARG(buf_str(&out)));
    buf_done(&out);
}

static void print_answer(const struct question *q)
{
    static const char *const statuses[] = {[DNS_FOUND] = "found",
        [DNS_NO_NAME] = "no-name",
        [DNS_NO_DATA] = "no-data",
        [DNS_TEMPORARY] = "temporary",
        [DNS_BOGUS] = "bogus"};
    const struct dns_answer *v = &q->answer;

    printf("%s %s ", dns_type_name(q->type), q->name);
    if (q->rc < 0) {
        printf("error %s\n", q->e.text);
        return;
    }
    printf("%s %s %u %.*s%s:", statuses[v->status], v->secure ? "secure" : "insecure", v->ttl_s,
        STR_ARG(v->name), v->cut ? " cut" : "");
    for (uint32_t i = 0; i < v->count; i++)
        print_record(q->type, &v->records[i]);
    if (!v->count)
        printf(" %.*s", STR_ARG(v->why));
    printf("\n");
}

static void ask_all(void *arg)
{
    uint64_t begun = run_now_fresh(), took;
    struct scope scope;
    struct err e;

    (void)arg;
    dns_client_init(&bench.client, NULL);
    dns_client_peer(&bench.client, bench.fd);
    scope_init(&scope);
    for (uint32_t i = 0; i < bench.count; i++)
        if (fiber_start(&scope, "question", ask, bench.v[i], &e) < 0)
            die("a fiber", &e);
    scope_join(&scope);
    took = run_now_fresh() - begun;
    for (uint32_t i = 0; i < bench.count; i++)
        print_answer(bench.v[i]);
    if (bench.rounds > 1)
        printf("%.0f a second\n",
            1000.0 * (double)(bench.rounds * bench.count) / (double)(took ? took : 1));
    dns_client_done(&bench.client);
    run_stop();
}

static bool read_question(const char *line, struct question *q)
{
    static const enum dns_type types[] = {
        DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA};
    struct str rest = str_trim(str_c(line)), type;

    str_cut(&rest, ' ', &type);
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (str_eq(type, str_c(dns_type_name(types[i])))) {
            q->type = types[i];
            return str_copy_c(q->name, sizeof q->name, rest);
        }
    }
    return false;
}

static void read_questions(void)
{
    char line[LINE_MAX_OCTETS];

    bench.v = mem_array(QUESTIONS_MAX, sizeof *bench.v);
    while (bench.v && bench.count < QUESTIONS_MAX && fgets(line, sizeof line, stdin)) {
        struct question *q = MEM_NEW(struct question);
        if (!q || !read_question(line, q)) {
            fprintf(stderr, "dns: TYPE NAME, not %s", line);
            exit(1);
        }
        arena_init(&q->arena, ANSWER_MAX);
        bench.v[bench.count++] = q;
    }
}

static void run(fiber_fn *fn)
{
    struct scope scope;
    struct err e;
    uint8_t key[16];

    rng_bytes(key, sizeof key);
    table_seed(key);
    if (run_open(&e) < 0)
        die("the loop", &e);
    scope_init(&scope);
    if (fiber_start(&scope, "main", fn, NULL, &e) < 0)
        die("a fiber", &e);
    run_loop();
}

int main(int argc, char **argv)
{
    struct str rounds = STR("1");
    int fds[2], option, status;
    struct rusage used;
    struct err e;
    pid_t child;

    while ((option = getopt(argc, argv, "n:")) == 'n')
        rounds = str_c(optarg);
    if (option != -1 || optind + 1 != argc || !str_to_u64(rounds, 1000000, &bench.rounds) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        fprintf(stderr, "usage: dns [-n ROUNDS] CONFIG < QUESTIONS\n");
        return 2;
    }
    bench.config_path = argv[optind];
    log_open(&(struct log_settings){.fd = STDERR_FILENO, .level = LOG_INFO, .process = "resolver"});
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        dup2(fds[0], 3); /* what is above it is closed */
        bench.fd = 3;
        if (sandbox_begin("resolver", 4, &e) < 0)
            die("its walls", &e);
        run(serve);
        _exit(0);
    }
    close(fds[0]);
    bench.fd = fds[1];
    read_questions();
    run(ask_all);
    fflush(stdout);
    if (waitpid(child, &status, WNOHANG) == child) {
        fprintf(stderr, "dns: the resolver ended: %x\n", (unsigned)status);
        return 1;
    }
    kill(child, SIGKILL);
    if (wait4(child, &status, 0, &used) == child)
        fprintf(stderr, "dns: the resolver used %ld KiB\n", used.ru_maxrss);
    return 0;
}
