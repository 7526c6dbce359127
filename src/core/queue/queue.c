#include "core/queue/queue.h"

#include "base/list.h"
#include "base/mem.h"

#include "core/queue/local.h"

enum {
    WORKERS = 2, /* while one waits for a sync the other gathers */
    RETRY_STEPS_MAX = 64,
};

/* A message with work left. What it is lies in the spool. */
struct queued {
    struct list link; /* in waiting, held, or a step's deferred; in none while it is worked on */
    struct list all;  /* in the order of arrival */
    uint64_t id;
    uint64_t number; /* rises along `all` */
    uint64_t due;    /* of run_now(), where deferred */
    uint8_t attempts;
    uint8_t state;    /* enum queue_state */
    bool quarantined; /* processes died at it: held */
    bool elsewhere;   /* what is left is not for mailboxes here */
};

struct queue {
    const struct config *config;
    struct mailboxes *mailboxes;
    struct spool *spool;
    const struct event *event;
    struct scope workers;
    struct cond work, idle;
    struct timer *timer;

    struct list all;
    uint64_t last_number;
    struct list *next; /* where the last list of queue_list() ended: a link of `all`, or `all` */
    struct list waiting, held;
    struct list deferred[RETRY_STEPS_MAX]; /* each in the order of their times */
    uint32_t active;                       /* messages in the workers' hands */
    struct queue_stats stats;
    bool stopping;
};

static void on_timer(void *arg);

int queue_open(struct queue **out, const struct queue_settings *settings, struct err *e)
{
    struct queue *q = MEM_NEW(struct queue);

    if (!q)
        return err_memory(e, "queue");
    if (timer_open(&q->timer, on_timer, q, e) < 0) {
        mem_free(q);
        return -1;
    }
    q->config = settings->config;
    q->mailboxes = settings->mailboxes;
    q->event = settings->event;
    scope_init(&q->workers);
    cond_init(&q->work);
    cond_init(&q->idle);
    list_init(&q->all);
    q->next = &q->all;
    list_init(&q->waiting);
    list_init(&q->held);
    for (unsigned i = 0; i < RETRY_STEPS_MAX; i++)
        list_init(&q->deferred[i]);
    *out = q;
    return 0;
}

static void drop(struct queue *q, struct queued *m)
{
    if (q->next == &m->all)
        q->next = m->all.next;
    list_remove(&m->all);
    mem_free(m);
}

void queue_close(struct queue **out)
{
    struct queue *q = *out;

    if (!q)
        return;
    q->stopping = true;
    cond_wake_all(&q->work);
    scope_join(&q->workers);
    timer_close(&q->timer);
    while (!list_empty(&q->all))
        drop(q, LIST_FIRST(&q->all, struct queued, all));
    mem_free(q);
    *out = NULL;
}

static void put_held(struct queue *q, struct queued *m)
{
    m->state = QUEUE_HELD;
    list_add(&q->held, &m->link);
    q->stats.held++;
}

static void put_waiting(struct queue *q, struct queued *m)
{
    if (q->config->queue.hold || m->elsewhere || m->quarantined) {
        put_held(q, m);
        return;
    }
    m->state = QUEUE_QUEUED;
    list_add(&q->waiting, &m->link);
    q->stats.waiting++;
    cond_wake_one(&q->work);
}

int queue_add(struct queue *q, const struct spool_found *found)
{
    struct queued *m = MEM_NEW(struct queued);

    if (!m)
        return -1;
    m->id = found->id;
    m->number = ++q->last_number;
    list_add(&q->all, &m->all);
    q->stats.messages++;
    put_waiting(q, m);
    return 0;
}

static void tell_idle(struct queue *q)
{
    if (q->active == 0 && list_empty(&q->waiting))
        cond_wake_all(&q->idle);
}

/* What waits is held from now on, or what was held begins; what is being delivered goes on. */
void queue_reconfigure(struct queue *q, const struct config *config)
{
    struct list again;
    struct list *link;

    q->config = config;
    list_init(&again);
    while ((link = list_take(&q->held)) || (link = list_take(&q->waiting)))
        list_add(&again, link);
    q->stats.held = q->stats.waiting = 0;
    while ((link = list_take(&again)))
        put_waiting(q, LIST_ENTRY(link, struct queued, link));
    tell_idle(q);
}

/* ---- what comes back later */

static void set_timer(struct queue *q)
{
    uint64_t next = DEADLINE_NONE;

    for (unsigned i = 0; i < RETRY_STEPS_MAX; i++) {
        const struct queued *m = LIST_FIRST(&q->deferred[i], struct queued, link);
        if (m && m->due < next)
            next = m->due;
    }
    timer_set(q->timer, next);
}

static void take_due(struct queue *q, uint64_t until)
{
    for (unsigned i = 0; i < RETRY_STEPS_MAX; i++) {
        struct queued *m;
        while ((m = LIST_FIRST(&q->deferred[i], struct queued, link)) && m->due <= until) {
            list_remove(&m->link);
            q->stats.deferred--;
            put_waiting(q, m);
        }
    }
    set_timer(q);
}

static void on_timer(void *arg)
{
    take_due(arg, run_now());
}

void queue_retry_now(struct queue *q)
{
    take_due(q, DEADLINE_NONE);
}

static void defer(struct queue *q, struct queued *m)
{
    const struct config_times *retry = &q->config->queue.retry;
    uint32_t last = retry->count < RETRY_STEPS_MAX ? retry->count - 1 : RETRY_STEPS_MAX - 1;
    uint32_t step = m->attempts < last ? m->attempts : last;

    m->due = run_now() + retry->v[step];
    if (m->attempts < UINT8_MAX)
        m->attempts++;
    m->state = QUEUE_DEFERRED;
    list_add(&q->deferred[step], &m->link);
    q->stats.deferred++;
    set_timer(q);
}

/* ---- the workers */

static void finish(struct queue *q, struct queued *m, enum local_result result)
{
    if (result == LOCAL_DEFERRED && m->quarantined) {
        put_held(q, m);
        return;
    }
    if (result == LOCAL_DEFERRED) {
        defer(q, m);
        return;
    }
    if (result == LOCAL_KEPT) {
        m->elsewhere = true;
        put_held(q, m);
        return;
    }
    q->stats.messages--;
    drop(q, m);
}

static uint32_t take(struct queue *q, struct local_batch *batch)
{
    struct queued *m;

    while (batch->count < LOCAL_BATCH_MAX &&
           (m = LIST_FIRST(&q->waiting, struct queued, link)) != NULL) {
        list_remove(&m->link);
        q->stats.waiting--;
        m->state = QUEUE_ACTIVE;
        batch->v[batch->count++] = (struct local_message){.id = m->id, .owner = m};
    }
    return batch->count;
}

static void work(struct queue *q, struct local_batch *batch)
{
    q->active += batch->count;
    local_deliver(batch);
    q->active -= batch->count;
    q->stats.delivered += batch->delivered;
    q->stats.duplicates += batch->duplicates;
    q->stats.failures += batch->failures;
    for (uint32_t i = 0; i < batch->count; i++)
        finish(q, batch->v[i].owner, batch->v[i].result);
    tell_idle(q);
}

static void worker_fiber(void *arg)
{
    struct queue *q = arg;

    while (!q->stopping) {
        struct local_batch *batch;
        if (list_empty(&q->waiting)) {
            if (cond_wait(&q->work, "work", NULL) < 0)
                return;
            continue;
        }
        batch = local_batch_new(q->spool, q->mailboxes, q->event);
        if (!batch) {
            log_error(q->event, "out_of_memory");
            if (fiber_sleep(1000, NULL) < 0)
                return;
            continue;
        }
        take(q, batch);
        work(q, batch);
        local_batch_free(batch);
    }
}

int queue_start(struct queue *q, const struct queue_parts *parts, struct err *e)
{
    q->spool = parts->spool;
    for (unsigned i = 0; i < WORKERS; i++)
        if (fiber_start(&q->workers, "delivery", worker_fiber, q, e) < 0)
            return -1;
    return 0;
}

static struct queued *find(struct queue *q, uint64_t id)
{
    LIST_EACH(link, &q->all)
    {
        struct queued *m = LIST_ENTRY(link, struct queued, all);
        if (m->id == id)
            return m;
    }
    return NULL;
}

/* One that is being delivered is held when that has ended without success. */
int queue_quarantine(struct queue *q, uint64_t id, const char *why, struct err *e)
{
    struct queued *m = find(q, id);

    (void)why;
    if (!m)
        return err_set(e, ERR_PERMANENT, "queue", "there is no such message");
    m->quarantined = true;
    if (m->state == QUEUE_QUEUED)
        q->stats.waiting--;
    else if (m->state == QUEUE_DEFERRED)
        q->stats.deferred--;
    else
        return 0;
    list_remove(&m->link);
    put_held(q, m);
    set_timer(q);
    tell_idle(q);
    return 0;
}

int queue_wait_idle(struct queue *q, struct err *e)
{
    while (q->active || !list_empty(&q->waiting))
        if (cond_wait(&q->idle, "deliveries", e) < 0)
            return -1;
    return 0;
}

void queue_stats(const struct queue *q, struct queue_stats *stats)
{
    *stats = q->stats;
}

/* ---- lists */

/* The first message behind that number: most often where the last list ended. */
static struct list *behind(struct queue *q, uint64_t number)
{
    struct list *at = q->next;

    if (at != &q->all && at->prev != &q->all &&
        LIST_ENTRY(at->prev, struct queued, all)->number <= number &&
        LIST_ENTRY(at, struct queued, all)->number > number)
        return at;
    for (at = q->all.next; at != &q->all; at = at->next)
        if (LIST_ENTRY(at, struct queued, all)->number > number)
            break;
    return at;
}

int queue_list(struct queue *q, uint64_t *after, const struct queue_filter *filter,
    struct queue_row *row, uint32_t limit, uint32_t *count, struct err *e)
{
    struct list *at = behind(q, *after);
    uint32_t n = 0;

    (void)filter;
    (void)e;
    for (; at != &q->all && n < limit; at = at->next) {
        const struct queued *m = LIST_ENTRY(at, struct queued, all);
        row[n++] = (struct queue_row){
            .id = m->id,
            .number = m->number,
            .state = (enum queue_state)m->state,
        };
    }
    q->next = at;
    *after = at != &q->all ? row[n - 1].number : 0;
    *count = n;
    return 0;
}
