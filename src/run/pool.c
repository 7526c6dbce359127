#include <pthread.h>
#include <signal.h>

#include "base/check.h"
#include "base/mem.h"

#include "run/run_int.h"

struct job {
    struct list link; /* in pool.queue or pool.done */
    bool begun;       /* under the lock */
    void (*fn)(void *arg);
    void (*done)(void *arg); /* NULL for pool_run() */
    void *arg;
    struct fiber *fiber; /* of pool_run() */
    bool collected;      /* the fiber has been told that it is done; the loop's thread only */
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list queue, done; /* under the lock */
    unsigned queued, queue_max;
    bool stop;
    unsigned pending; /* the loop's own count of jobs not yet finished */
    struct wakeup *wakeup;
    const char *name;
    unsigned thread_count;
    pthread_t threads[];
};

static void *thread_main(void *arg)
{
    struct pool *p = arg;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct list *link = list_take(&p->queue);
        struct job *job;
        if (!link && p->stop)
            break;
        if (!link) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        job = LIST_ENTRY(link, struct job, link);
        job->begun = true;
        p->queued--;
        pthread_mutex_unlock(&p->lock);
        job->fn(job->arg);
        pthread_mutex_lock(&p->lock);
        bool first = list_empty(&p->done);
        list_add(&p->done, &job->link);
        if (first)
            wakeup_send(p->wakeup);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Finished jobs back on the loop's thread. */
static void collect(void *arg)
{
    struct pool *p = arg;
    struct list finished, *link;

    list_init(&finished);
    pthread_mutex_lock(&p->lock);
    while ((link = list_take(&p->done)))
        list_add(&finished, link);
    pthread_mutex_unlock(&p->lock);
    while ((link = list_take(&finished))) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        p->pending--;
        if (job->fiber) {
            job->collected = true;
            fiber_wake(job->fiber);
        } else {
            void (*done)(void *) = job->done;
            void *done_arg = job->arg;
            mem_free(job);
            done(done_arg);
        }
    }
}

/* Signals are the loop's business. */
static int start_threads(struct pool *p, unsigned threads)
{
    sigset_t all, before;
    int rc = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; p->thread_count < threads; p->thread_count++) {
        rc = pthread_create(&p->threads[p->thread_count], NULL, thread_main, p);
        if (rc)
            break;
        pthread_setname_np(p->threads[p->thread_count], p->name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int pool_open(
    struct pool **out, const char *name, unsigned threads, unsigned queue_max, struct err *e)
{
    struct pool *p = mem_zalloc(sizeof *p + threads * sizeof p->threads[0]);
    int rc;

    CHECK(threads > 0 && queue_max > 0);
    if (!p)
        return err_memory(e, "pool");
    list_init(&p->queue);
    list_init(&p->done);
    p->queue_max = queue_max;
    p->name = name;
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    CHECK(pthread_cond_init(&p->work, NULL) == 0);
    if (wakeup_open(&p->wakeup, collect, p, e) < 0) {
        pool_close(&p);
        return -1;
    }
    rc = start_threads(p, threads);
    if (rc) {
        pool_close(&p);
        return err_os(e, rc, "pool", "start thread of %s", name);
    }
    *out = p;
    return 0;
}

void pool_close(struct pool **pp)
{
    struct pool *p = *pp;

    if (!p)
        return;
    *pp = NULL;
    CHECK(p->pending == 0);
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_count; i++)
        CHECK(pthread_join(p->threads[i], NULL) == 0);
    wakeup_close(&p->wakeup);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

static struct job *submit(struct pool *p, struct job like, struct err *e)
{
    struct job *job = MEM_NEW(struct job);
    bool full;

    if (!job) {
        err_memory(e, "pool");
        return NULL;
    }
    *job = like;
    pthread_mutex_lock(&p->lock);
    full = p->queued >= p->queue_max;
    if (!full) {
        p->queued++;
        list_add(&p->queue, &job->link);
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    if (full) {
        mem_free(job);
        err_set(e, ERR_TEMPORARY, "pool", "the queue of %s is full", p->name);
        return NULL;
    }
    p->pending++;
    return job;
}

int pool_submit(
    struct pool *p, void (*fn)(void *arg), void (*done)(void *arg), void *arg, struct err *e)
{
    return submit(p, (struct job){.fn = fn, .done = done, .arg = arg}, e) ? 0 : -1;
}

/* True if it had not begun and never will. */
static bool take_back(struct pool *p, struct job *job)
{
    bool queued;

    pthread_mutex_lock(&p->lock);
    queued = !job->begun;
    if (queued) {
        list_remove(&job->link);
        p->queued--;
    }
    pthread_mutex_unlock(&p->lock);
    if (queued)
        p->pending--;
    return queued;
}

int pool_run(struct pool *p, void (*fn)(void *arg), void *arg, struct err *e)
{
    struct fiber *f = fiber_self();
    struct job *job;
    struct err why = {0};

    if (fiber_check(e) < 0)
        return -1;
    job = submit(p, (struct job){.fn = fn, .arg = arg, .fiber = f}, e);
    if (!job)
        return -1;
    if (fiber_wait(p->name, DEADLINE_NONE, &why) < 0 && take_back(p, job)) {
        mem_free(job);
        if (e)
            *e = why;
        return -1;
    }
    while (!job->collected)
        fiber_wait_shielded(p->name); /* it has begun, so arg is in use */
    mem_free(job);
    return 0;
}
