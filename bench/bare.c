/* bench/bare: the least that a durable SMTP acceptor can do, as a yardstick for the real one.
 *
 * One epoll loop looks for line ends and ends of data; one thread appends the messages that wait to
 * a preallocated file in one write, makes them durable with one fdatasync, and only then all of
 * them are answered. While one flush runs, the next batch gathers. Nothing is parsed, looked up,
 * stamped or indexed, and the file is written round and round.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"

#include "acceptor.h"
#include "common.h"

enum {
    BATCH_MAX = IOV_MAX,
};

static struct log {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct session *waiting, *durable; /* lists, newest first; under the lock */
    int fd, wake_fd;
    off_t size, at;
    bool sync;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static void message(struct session *s)
{
    pthread_mutex_lock(&the_log.lock);
    s->next = the_log.waiting;
    the_log.waiting = s;
    pthread_mutex_unlock(&the_log.lock);
}

/* One wake-up a turn of the loop, however many messages it completed. */
static void turn(struct acceptor *a)
{
    (void)a;
    if (__atomic_load_n(&the_log.waiting, __ATOMIC_RELAXED))
        pthread_cond_signal(&the_log.work);
}

static void write_all(struct iovec *pieces, int count, size_t total)
{
    if (the_log.at + (off_t)total > the_log.size)
        the_log.at = 0;
    while (total) {
        ssize_t n = pwritev(the_log.fd, pieces, count, the_log.at);

        if (n < 0)
            die("write: %m");
        the_log.at += n;
        total -= (size_t)n;
        for (; count && (size_t)n >= pieces->iov_len; count--, pieces++)
            n -= (ssize_t)pieces->iov_len;
        if (count) {
            pieces->iov_base = (char *)pieces->iov_base + n;
            pieces->iov_len -= (size_t)n;
        }
    }
}

static void write_batch(struct session *first)
{
    static struct iovec pieces[BATCH_MAX];
    size_t total = 0;
    int count = 0;

    for (struct session *s = first; s; s = s->next) {
        pieces[count++] = (struct iovec){(void *)(uintptr_t)s->content.p, s->content.n};
        total += s->content.n;
        if (count == BATCH_MAX || !s->next) {
            write_all(pieces, count, total);
            count = 0;
            total = 0;
        }
    }
    if (the_log.sync && fdatasync(the_log.fd) < 0)
        die("fdatasync: %m");
}

static void *writer(void *unused)
{
    (void)unused;
    for (;;) {
        struct session *batch, *last;
        uint64_t one = 1;

        pthread_mutex_lock(&the_log.lock);
        while (!the_log.waiting)
            pthread_cond_wait(&the_log.work, &the_log.lock);
        batch = the_log.waiting;
        the_log.waiting = NULL;
        pthread_mutex_unlock(&the_log.lock);
        write_batch(batch);
        for (last = batch; last->next;)
            last = last->next;
        pthread_mutex_lock(&the_log.lock);
        last->next = the_log.durable;
        the_log.durable = batch;
        pthread_mutex_unlock(&the_log.lock);
        if (write(the_log.wake_fd, &one, sizeof one) < 0)
            die("eventfd: %m");
    }
    return NULL;
}

static void woken(struct acceptor *a)
{
    struct session *s, *next;
    uint64_t count;

    (void)a;
    if (read(the_log.wake_fd, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&the_log.lock);
    s = the_log.durable;
    the_log.durable = NULL;
    pthread_mutex_unlock(&the_log.lock);
    for (; s; s = next) {
        next = s->next;
        acceptor_reply(s, STR("250 2.0.0 durable\r\n"));
    }
}

static void log_open(const char *path)
{
    enum {
        BLOCK = 1 << 20
    };
    char *zeros = mem_zalloc(BLOCK);

    the_log.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (the_log.fd < 0 || !zeros)
        die("%s: %m", path);
    for (off_t at = 0; at < the_log.size; at += BLOCK)
        if (pwrite(the_log.fd, zeros, BLOCK, at) != BLOCK)
            die("%s: %m", path);
    mem_free(zeros);
    if (fsync(the_log.fd) < 0)
        die("%s: %m", path);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
        {"file", required_argument, NULL, 'f'}, {"file-size", required_argument, NULL, 's'},
        {"no-sync", no_argument, NULL, 'n'}, {0}};
    struct acceptor a = {.message = message, .turn = turn, .woken = woken};
    const char *listen = "127.0.0.1:2526", *file = NULL;
    pthread_t thread;

    the_log.sync = true;
    the_log.size = 512 << 20;
    a.content_max = 64 << 20;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'l')
            listen = optarg;
        else if (c == 'f')
            file = optarg;
        else if (c == 's')
            the_log.size = (off_t)number_parse("file-size", optarg);
        else if (c == 'n')
            the_log.sync = false;
        else
            return 2;
    }
    if (!file)
        die("usage: bare --file FILE [--listen ADDRESS:PORT] [--file-size SIZE] [--no-sync]");
    log_open(file);
    a.wake_fd = the_log.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a.wake_fd < 0 || pthread_create(&thread, NULL, writer, NULL) != 0)
        die("cannot start: %m");
    acceptor_run(&a, listen);
    return 0;
}
