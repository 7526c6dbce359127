#include "core/core.h"

#include <stdio.h>
#include <unistd.h>

#include "base/timefmt.h"

#include "ipc/inbound_core.h"

#include "core/admit.h"
#include "core/intake.h"
#include "core/message.h"
#include "core/queue/holds.h"
#include "core/queue/queue.h"
#include "core/queue/report.h"
#include "core/recipients.h"
#include "core/trace/trace.h"

/* Without memory the message stays safe in the spool, but nothing begins with it: at start that
 * ends the start, later the next start finds it. */
static int on_live(void *arg, const struct spool_found *found)
{
    struct core *c = arg;
    char id[IC_ID_CHARS + 1];

    if (queue_add(c->queue, found) == 0)
        return 0;
    ic_id_format(found->id, id);
    log_error(c->event, "message_not_queued", kv_c("id", id), kv_c("why", "out of memory"));
    return -1;
}

static void on_state(void *arg, enum spool_state state)
{
    static const char *const names[] = {
        [SPOOL_READY] = "ready", [SPOOL_FULL] = "full", [SPOOL_BROKEN] = "broken"};
    struct core *c = arg;

    if (state == SPOOL_READY)
        log_info(c->event, "spool_state", kv_c("state", names[state]));
    else
        log_error(c->event, "spool_state", kv_c("state", names[state]));
    intake_tell_state(c);
    if (state == SPOOL_READY && c->queue)
        queue_retry_now(c->queue);
}

static void on_damage(void *arg, const struct spool_damage *d)
{
    struct core *c = arg;

    c->counts.damaged++;
    log_error(c->event, "spool_damage", kv_c("file", d->file), kv_u64("segment", d->segment),
        kv_u64("from", d->from), kv_u64("to", d->to), kv_c("what", d->what));
}

static void on_durable(void *arg)
{
    struct core *c = arg;

    if (c->queue) /* the spool outlives it */
        queue_durable(c->queue);
}

static int open_spool(
    struct core *c, const struct sys *sys, const struct config *config, struct err *e)
{
    struct spool_settings settings = {
        .sys = sys,
        .path = c->spool_path,
        .segment = config->spool.segment,
        .large = config->spool.large,
        .reserve = config->spool.reserve,
        .scrub = config->spool.scrub,
        .no_sync = config->sync == SYNC_NONE,
        .arg = c,
        .on_live = on_live,
        .on_state = on_state,
        .on_damage = on_damage,
        .on_durable = on_durable,
    };

    snprintf(c->spool_path, sizeof c->spool_path, "%.*s/spool", STR_ARG(config->data));
    return spool_open(&c->spool, &settings, e);
}

static void log_recovery(const struct core *c)
{
    struct spool_stats stats;

    spool_stats(c->spool, &stats);
    log_info(c->event, "spool_opened", kv_u64("messages", stats.recovered),
        kv_u64("ms", stats.recovery_ms), kv_u64("epoch", spool_epoch(c->spool)),
        kv_u64("quarantined", stats.quarantined));
}

static int open_queue(struct core *c, struct err *e)
{
    struct queue_settings settings = {
        .config = c->config,
        .directory = c->stores.directory,
        .mailboxes = c->stores.mailboxes,
        .event = c->event,
    };

    return queue_open(&c->queue, &settings, e);
}

static int open_trace(struct core *c, const struct sys *sys, struct err *e)
{
    char path[STORES_PATH];
    const struct trace_settings settings = {
        .sys = sys,
        .path = path,
        .size = c->config->trace.size,
        .keep_ms = c->config->trace.keep_ms,
        .event = c->event,
    };

    snprintf(path, sizeof path, "%.*s/trace", STR_ARG(c->config->data));
    return trace_open(&c->trace, &settings, e);
}

/* The directory is made by master, behind whose walls it could not be; where there are none, here.
 */
static int open_holds(struct core *c, const struct sys *sys, struct err *e)
{
    char path[STORES_PATH];

    snprintf(path, sizeof path, "%.*s/queue", STR_ARG(c->config->data));
    sys->mkdir(sys, path, 0700);
    snprintf(path, sizeof path, "%.*s/queue/holds", STR_ARG(c->config->data));
    return holds_open(&c->holds, sys, path, e);
}

/* What a next hop says of a recipient. */
static int probe(void *arg, const struct route *route, struct str address, struct err *why)
{
    struct core *c = arg;

    return queue_probe(c->queue, route, address, why);
}

static int open_recipients(struct core *c, const struct sys *sys, struct err *e)
{
    const struct recipients_settings settings = {
        .sys = sys,
        .config = c->config,
        .event = c->event,
        .directory = c->stores.directory,
        .probe = probe,
        .arg = c,
    };

    return recipients_open(&c->recipients, &settings, e);
}

static int report_by(void *arg, const struct report *what, struct err *e)
{
    return report(arg, what, e);
}

static bool may_report(void *arg, uint64_t *again)
{
    return reporter_ready(arg, again);
}

static int start_queue(struct core *c, struct err *e)
{
    const struct queue_parts parts = {
        .spool = c->spool,
        .reports = {.report = report_by, .ready = may_report, .arg = c->reporter},
        .holds = c->holds,
        .trace = c->trace,
        .forward = recipients_forward(c->recipients),
    };

    return queue_start(c->queue, &parts, e);
}

int core_open(struct core *c, const struct sys *sys, const struct config *config,
    const struct event *event, struct err *e)
{
    *c = (struct core){.config = config, .event = event, .started_ms = wall_ms(), .uid = geteuid()};
    scope_init(&c->scope);
    list_init(&c->intakes);
    if (stores_open(&c->stores, sys, config, e) < 0)
        return -1;
    if (open_trace(c, sys, e) < 0 || open_holds(c, sys, e) < 0 || admit_open(&c->admit, e) < 0 ||
        open_recipients(c, sys, e) < 0 || reporter_open(&c->reporter, c, e) < 0 ||
        open_queue(c, e) < 0 || open_spool(c, sys, config, e) < 0) {
        core_close(c);
        return -1;
    }
    log_recovery(c);
    if (config->sync == SYNC_NONE)
        log_warning(event, "sync_none", kv_c("why", "mail is lost when the power fails"));
    if (start_queue(c, e) < 0) {
        core_close(c);
        return -1;
    }
    return 0;
}

void core_close(struct core *c)
{
    intake_close_all(c);
    scope_join(&c->scope);
    recipients_stop(c->recipients);
    queue_close(&c->queue);
    recipients_close(&c->recipients);
    if (c->spool)
        spool_close(&c->spool);
    messages_done();
    reporter_close(&c->reporter);
    admit_close(&c->admit);
    holds_close(&c->holds);
    trace_close(&c->trace);
    stores_close(&c->stores);
}

void core_reconfigure(struct core *c, const struct config *config)
{
    c->config = config;
    stores_reconfigure(&c->stores, config);
    recipients_reconfigure(c->recipients, config);
    queue_reconfigure(c->queue, config);
    spool_set_scrub(c->spool, config->spool.scrub);
    trace_reconfigure(c->trace, config->trace.size, config->trace.keep_ms);
}

enum {
    LEASES_PER_EPOCH = 1 << 16, /* id: 24 bits epoch, 16 bits lease, 24 bits counter */
};

bool core_lease_ids(struct core *c, uint64_t *base)
{
    if (c->next_lease == LEASES_PER_EPOCH) {
        /* 2^40 ids in one life of the process. */
        log_error(c->event, "leases_used_up");
        return false;
    }
    *base = (spool_epoch(c->spool) << 40) | (uint64_t)c->next_lease++ << IC_LEASE_BITS;
    return true;
}

uint64_t core_own_id(struct core *c)
{
    uint64_t last = ((uint64_t)1 << IC_LEASE_BITS) - 1;

    if ((c->last_id == 0 || (c->last_id & last) == last) && !core_lease_ids(c, &c->last_id))
        return 0;
    return ++c->last_id;
}
