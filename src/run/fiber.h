/* run/fiber.h: fibers, their scopes, deadlines and waits, on one libuv loop a thread.
 *
 * Protocol code is a function that reads, decides and writes; where it would block, its fiber parks
 * and others run. A fiber never leaves its thread. Callbacks of libuv only mark fibers ready; one
 * scheduler (in the loop's prepare/check phase) runs them. Stacks are recycled, 64 KiB with a guard
 * below (128 KiB in sanitizer builds); the deep part is given back to the system.
 *
 * Rules: every suspending call is documented as such. Each obeys the fiber's deadline (absolute; an
 * inner one can only shorten it) and cancellation, which outranks the deadline, which outranks
 * data: it then returns -1 with ERR_CANCELLED or ERR_DEADLINE, and so does every later one until
 * the fiber ends (cancelled) or the deadline is lifted. Buffers handed to libuv or to a pool thread
 * never lie on a fiber's stack. errno is read on the next line or not at all.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct uv_loop_s;
struct fiber;
struct scope;

#define DEADLINE_NONE UINT64_MAX

/* ---- the loop of this thread */

int run_open(struct err *e);
void run_close(void); /* every scope must be done */

/* Runs callbacks and fibers until run_stop(), which lets the present turn end. */
void run_loop(void);
void run_stop(void);
struct uv_loop_s *run_uv(void);

/* Milliseconds of a monotonic clock, read once a turn of the loop. run_now_fresh() reads it anew.
 */
uint64_t run_now(void);
uint64_t run_now_fresh(void);

/* A function called once, outside any fiber, at the end of this turn, after all ready fibers have
 * run and before the loop sleeps: for what is gathered a turn and then written. Registering twice
 * in a turn is one. A queued hook stays where it is until it was called. */
struct turn_hook {
    void (*fn)(struct turn_hook *);
    struct turn_hook *next;
    bool queued;
};
void run_at_turn_end(struct turn_hook *hook);

/* ---- fibers and scopes */

typedef void fiber_fn(void *arg);

/* Fibers started in a scope are cancelled and joined when the scope ends. */
struct scope {
    struct fiber *fibers; /* doubly linked */
    struct fiber *joiner;
    uint32_t count;
    bool cancelled;
};

void scope_init(struct scope *s);
void scope_cancel(struct scope *s); /* their next (or present) suspension returns ERR_CANCELLED */
/* Suspends until all fibers of the scope have ended, parked sessions among them; not interrupted by
 * cancellation or a deadline, but when the joining fiber is cancelled, before or meanwhile, so is
 * the scope. May also be called outside a fiber once the scope is empty. */
void scope_join(struct scope *s);

/* Starts fn(arg) in a new fiber, which runs at the earliest after the caller parks. name is a
 * literal. Fails with ERR_TEMPORARY without memory. In a scope that is cancelled it runs too, and
 * fails at its first suspension, so that its cleanups are the same. */
int fiber_start(struct scope *s, const char *name, fiber_fn *fn, void *arg, struct err *e);

bool fiber_running(void); /* is the caller in a fiber? */
bool fiber_cancelled(void);
/* What the next suspension would say by itself: ERR_CANCELLED, ERR_DEADLINE or 0. Never suspends.
 */
int fiber_check(struct err *e);

/* Shortens the running fiber's deadline to `at` (of run_now()) and returns the one before, which
 * fiber_deadline_restore() puts back. */
uint64_t fiber_deadline_shorten(uint64_t at);
void fiber_deadline_restore(uint64_t before);
uint64_t fiber_deadline(void);

int fiber_sleep(uint64_t ms, struct err *e); /* suspends */
int fiber_yield(struct err *e);              /* suspends until the next turn */

/* A stackless timer: fn(arg) is called from the loop, must not suspend, may start fibers. */
struct timer;
int timer_open(struct timer **t, void (*fn)(void *arg), void *arg, struct err *e);
void timer_set(struct timer *t, uint64_t at); /* DEADLINE_NONE stops it */
void timer_close(struct timer **t);

/* What a fiber works on: four words that mean nothing here (ipc/note.h), zeros at first. While the
 * fiber runs they stand in the page that run_note_page() named, for whoever reads it when the
 * process has died; while none runs the last of them is 0 there. */
struct fiber_note {
    uint64_t words[4];
};
void run_note_page(struct fiber_note *page); /* after run_open(); outlives run_close() */
void fiber_note(const struct fiber_note *note);

/* Writes a line a fiber into out: name, state, what it waits for, since when. */
struct buf;
void fiber_list(struct buf *out);

/* High-water mark of stack use over all fibers so far, in octets; taken when a stack is returned,
 * of every one that was used deeply and of a sample of the others. */
size_t fiber_stack_used(void);

/* ---- waits */

/* Fibers that wait for a condition. A wait loops on its predicate: being woken proves nothing. Who
 * was chosen by cond_wake_one() and cannot act on it (cancelled, out of time) wakes the next, so
 * the condition must live until all who waited have returned. */
struct cond {
    struct cond_waiter *first, *last;
};

static inline void cond_init(struct cond *c)
{
    *c = (struct cond){0};
}

int cond_wait(struct cond *c, const char *what, struct err *e); /* suspends; what is a literal */
void cond_wake_one(struct cond *c);
void cond_wake_all(struct cond *c);

/* ---- descriptors */

/* Readiness of one descriptor: a sticky uv_poll, so that a wait costs no system call. Owns fd. */
struct watch;
enum watch_for {
    WATCH_READ = 1,
    WATCH_WRITE = 2,
};

int watch_open(struct watch **w, int fd, struct err *e); /* on failure fd stays the caller's */
int watch_fd(const struct watch *w);
/* Suspends until fd may be ready. At most one reader and one writer fiber at a time, asserted. Call
 * it only after a short read or EAGAIN. */
int watch_wait(struct watch *w, enum watch_for what, struct err *e);
/* Parks a session without a stack: when fd is readable, or at the deadline `at`, or when the scope
 * is cancelled, a new fiber of scope s runs fn(arg), without a deadline of its own: which of the
 * three it was it sees by its own read, clock and fiber_check(). The caller then returns from its
 * own fiber. Without memory for a stack at that moment the new fiber starts when there is some. */
int watch_park(struct watch *w, struct scope *s, uint64_t at, const char *name, fiber_fn *fn,
    void *arg, struct err *e);
void watch_close(struct watch **w); /* closes fd when libuv has let go of it */

/* ---- threads for what blocks */

/* A bounded pool of threads with ordinary stacks for work that blocks on the disk or the processor.
 * Nothing but the request is shared. */
struct pool;
/* The threads are started here, before any wall forbids it. name is a literal of at most 15. */
int pool_open(
    struct pool **p, const char *name, unsigned threads, unsigned queue_max, struct err *e);
/* Suspends until fn(arg) has run on a pool thread; returns -1 only if it never will: the queue is
 * full (ERR_TEMPORARY), or the fiber was cancelled or out of time before it began. Once begun it is
 * waited for in any case and 0 is returned, so arg may belong to the caller; it lies on the heap,
 * never on a fiber's stack. */
int pool_run(struct pool *p, void (*fn)(void *arg), void *arg, struct err *e);
/* The same without a fiber: done(arg) is called on the loop's thread. */
int pool_submit(
    struct pool *p, void (*fn)(void *arg), void (*done)(void *arg), void *arg, struct err *e);
void pool_close(struct pool **p); /* joins the threads; nothing may be queued */

/* Wake the loop from another thread: wakeup_send() is the only call here that any thread may make;
 * fn(arg) then runs on the loop's thread (several sends may become one call). */
struct wakeup;
int wakeup_open(struct wakeup **w, void (*fn)(void *arg), void *arg, struct err *e);
void wakeup_send(struct wakeup *w);
void wakeup_close(struct wakeup **w);
