#include "base/buf.h"
#include "base/timefmt.h"

#include "ipc/role.h"

#include "core/admit.h"
#include "core/control/op.h"
#include "core/control/queue_json.h"
#include "core/core.h"
#include "core/directory/directory.h"
#include "core/mailbox/mailbox.h"
#include "core/queue/queue.h"
#include "core/trace/trace.h"

enum {
    ARENA_MAX = 1 << 20,
    PROBLEMS_MAX = 60 * 1024,
    SITES_LOOKED_AT = 1000,
    SITES_SHOWN = 10,
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
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
        states[spool_state(core->spool)], "messages", (json_int_t)s.messages, "octets",
        (json_int_t)s.octets, "segments", (json_int_t)s.segments, "commits", (json_int_t)s.commits,
        "groups", (json_int_t)s.groups, "quarantined", (json_int_t)s.quarantined, "damaged",
        (json_int_t)core->counts.damaged, "damaged_messages", (json_int_t)s.damaged, "compacted",
        (json_int_t)s.compacted, "moved", (json_int_t)s.moved, "scrubbed", (json_int_t)s.scrubbed,
        "scrub_passes", (json_int_t)s.scrub_passes);
}

static json_t *queue_numbers(const struct core *core)
{
    struct queue_stats s;

    queue_stats(core->queue, &s);
    return queue_json_stats(&s);
}

static json_t *trace_json(const struct core *core)
{
    struct trace_stats s;

    trace_stats(core->trace, &s);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "events", (json_int_t)s.events, "lost",
        (json_int_t)s.lost, "refusals_left_out", (json_int_t)s.refusals_left_out, "damaged",
        (json_int_t)s.damaged, "segments", (json_int_t)s.segments, "octets", (json_int_t)s.octets);
}

/* Those of the busiest that do not work. */
static json_t *failing_sites(struct core *core)
{
    json_t *all = op_json_sites(core, SITES_LOOKED_AT), *failing = json_array(), *site;
    size_t i;

    json_array_foreach(all, i, site)
    {
        bool fails = json_is_string(json_object_get(site, "error"));
        if (fails && json_array_size(failing) < SITES_SHOWN)
            json_array_append(failing, site);
    }
    json_decref(all);
    return failing;
}

/* What works less well than it should, a sentence each. */
static json_t *degraded_json(const struct core *core)
{
    struct spool_stats spool;
    struct queue_stats queue;
    struct trace_stats trace;
    json_t *list = json_array();

    spool_stats(core->spool, &spool);
    queue_stats(core->queue, &queue);
    trace_stats(core->trace, &trace);
    const struct {
        bool is;
        const char *says;
    } rows[] = {
        {spool_state(core->spool) == SPOOL_FULL,
            "the disk has reached its reserve: new mail is refused for now"},
        {spool_state(core->spool) == SPOOL_BROKEN,
            "the storage fails: new mail is refused for now"},
        {core->config->sync == SYNC_NONE, "sync = none: mail is lost when the power fails"},
        {core->config->queue.hold, "queue { hold = yes }: mail is taken and kept"},
        {core->counts.damaged > 0, "damaged records were found in the spool"},
        {spool.quarantined > 0, "damaged records lie in spool/quarantine"},
        {queue.sites_in_back_off > 0, "hosts cannot be reached: their mail waits"},
        {trace.failing, "the history of messages cannot be written"},
        {log_dropped() > 0, "log records were dropped: their reader is too slow"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].is)
            json_array_append_new(list, json_string(rows[i].says));
    return list;
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
        json_pack("{s:s, s:o, s:o, s:I, s:b, s:{s:I, s:I, s:I}, s:{s:I, s:I}, s:o, s:o, s:o}",
            "version", VEREDUS_VERSION, "hostname", op_json_str(core->config->hostname), "started",
            op_json_time(core->started_ms), "uptime",
            (json_int_t)((wall_ms() - core->started_ms) / 1000), "durable",
            core->config->sync != SYNC_NONE, "connections", "open",
            (json_int_t)admit_count(core->admit), "refused", (json_int_t)admit_refused(core->admit),
            "banned", (json_int_t)admit_banned(core->admit), "messages", "accepted",
            (json_int_t)core->counts.accepted, "refused", (json_int_t)core->counts.refused, "spool",
            spool_json(core), "queue", queue_numbers(core), "directory", directory_json(core));
    json_object_set_new(result->json, "trace", trace_json(core));
    json_object_set_new(result->json, "degraded", degraded_json(core));
    json_object_set_new(result->json, "failing_sites", failing_sites(core));
    json_object_set_new(result->json, "processes", processes);
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
