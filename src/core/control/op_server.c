#include "base/buf.h"
#include "base/timefmt.h"

#include "ipc/role.h"

#include "core/admit.h"
#include "core/control/op.h"
#include "core/core.h"
#include "core/directory/directory.h"
#include "core/mailbox/mailbox.h"
#include "core/queue/queue.h"

enum {
    ARENA_MAX = 1 << 20,
    PROBLEMS_MAX = 60 * 1024,
};

static json_t *process_json(const struct role_process *p)
{
    char role[32];

    snprintf(role, sizeof role, "%s%s%s", p->role, p->class == CLASS_NONE ? "" : "-",
        role_class_name(p->class));
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:b}", "role", role, "index",
        (int)p->index, "pid", (json_int_t)p->pid, "generation", (json_int_t)p->generation,
        "restarts", (json_int_t)p->restarts, "uptime", (json_int_t)(p->uptime_ms / 1000), "ready",
        p->ready, "draining", p->draining);
}

static json_t *processes_json(struct core *core, struct err *e)
{
    struct role_process *v;
    struct arena arena;
    json_t *list = NULL;
    uint32_t count;

    arena_init(&arena, ARENA_MAX);
    if (role_ask_status(core->role, &arena, &v, &count, e) == 0) {
        list = json_array();
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(list, process_json(&v[i]));
    }
    arena_done(&arena);
    return list;
}

static json_t *spool_json(const struct core *core)
{
    static const char *const states[] = {
        [SPOOL_READY] = "ready", [SPOOL_FULL] = "full", [SPOOL_BROKEN] = "broken"};
    struct spool_stats s;

    spool_stats(core->spool, &s);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
        states[spool_state(core->spool)], "messages", (json_int_t)s.messages, "octets",
        (json_int_t)s.octets, "segments", (json_int_t)s.segments, "commits", (json_int_t)s.commits,
        "groups", (json_int_t)s.groups, "quarantined", (json_int_t)s.quarantined, "damaged",
        (json_int_t)core->counts.damaged);
}

static json_t *queue_json(const struct core *core)
{
    struct queue_stats s;

    queue_stats(core->queue, &s);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "messages", (json_int_t)s.messages,
        "deferred", (json_int_t)s.deferred, "held", (json_int_t)s.held, "delivered",
        (json_int_t)s.delivered, "duplicates", (json_int_t)s.duplicates, "failures",
        (json_int_t)s.failures);
}

static json_t *directory_json(const struct core *core)
{
    struct directory_counts s;

    directory_counts(core->stores.directory, &s);
    return json_pack("{s:I, s:I, s:I}", "domains", (json_int_t)s.domains, "accounts",
        (json_int_t)s.accounts, "aliases", (json_int_t)s.aliases);
}

int op_status(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct core *core = c->core;
    json_t *processes = processes_json(core, e);

    (void)request;
    if (!processes)
        return -1;
    result->json =
        json_pack("{s:s, s:o, s:o, s:I, s:b, s:{s:I, s:I, s:I}, s:{s:I, s:I}, s:o, s:o, s:o, s:o}",
            "version", VEREDUS_VERSION, "hostname", op_json_str(core->config->hostname), "started",
            op_json_time(core->started_ms), "uptime",
            (json_int_t)((wall_ms() - core->started_ms) / 1000), "durable",
            core->config->sync != SYNC_NONE, "connections", "open",
            (json_int_t)admit_count(core->admit), "refused", (json_int_t)admit_refused(core->admit),
            "banned", (json_int_t)admit_banned(core->admit), "messages", "accepted",
            (json_int_t)core->counts.accepted, "refused", (json_int_t)core->counts.refused, "spool",
            spool_json(core), "queue", queue_json(core), "directory", directory_json(core),
            "processes", processes);
    return result->json ? 0 : err_memory(e, "control");
}

/* {problems: [lines]}; none where the new configuration is live. */
int op_reload(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    json_t *lines = json_array();
    struct buf problems;
    struct str rest, line;
    int status;

    (void)request;
    buf_init(&problems, PROBLEMS_MAX);
    status = role_ask_reload(c->core->role, &problems, e);
    for (rest = buf_str(&problems); status == 1 && rest.n;) {
        str_cut(&rest, '\n', &line);
        json_array_append_new(lines, op_json_str(line));
    }
    buf_done(&problems);
    result->json = json_pack("{s:o}", "problems", lines);
    return status < 0 ? -1 : 0;
}

int op_stop(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    (void)request;
    (void)result;
    return role_ask_stop(c->core->role, e);
}
