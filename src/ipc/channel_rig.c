#include "ipc/channel_rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static bool keep(struct end *end, struct channel_call from, uint16_t type, struct str payload)
{
    struct kept *k = MEM_NEW(struct kept);

    assert_non_null(k);
    k->from = from;
    k->type = type;
    k->octets = payload.n;
    k->payload = mem_alloc(payload.n + 1);
    memcpy(k->payload, payload.n ? payload.p : "", payload.n);
    list_add(&end->kept, &k->link);
    end->kept_count++;
    return true;
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct end *end = arg;

    assert_false(fiber_running());
    cond_wake_all(&end->event);
    if (end->close_at_once) {
        channel_close(&end->channel);
        return false;
    }
    switch (type) {
    case ANSWER:
        channel_reply(from, payload);
        return false;
    case LATER:
    case KEEP:
        return keep(end, from, type, payload);
    case DESCRIPTOR:
        assert_true(fd >= 0);
        if (end->fd >= 0)
            close(end->fd);
        end->fd = fd;
        return false;
    case TELL:
        end->told++;
        end->told_octets += payload.n;
        return false;
    default:
        assert_int_equal(fd, -1);
        return false;
    }
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    struct end *end = arg;

    assert_false(fiber_running());
    assert_ptr_equal(c, end->channel);
    end->closed++;
    end->why = *why;
    channel_close(&end->channel);
    cond_wake_all(&end->event);
}

const struct channel_handler rig_handler = {on_frame, on_closed};

struct end a, b;
char zeros[CHANNEL_FRAME_MAX];
int raw;

static void init_end(struct end *end, int fd)
{
    *end = (struct end){.fd = -1};
    list_init(&end->kept);
    cond_init(&end->event);
    assert_int_equal(channel_open(&end->channel, fd, "peer", &rig_handler, end, NULL), 0);
}

void open_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    init_end(&a, fds[0]);
    init_end(&b, fds[1]);
}

void open_raw(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    init_end(&a, fds[0]);
    raw = fds[1];
}

void finish_kept(struct end *end, unsigned i)
{
    struct list *link = end->kept.next;
    struct kept *k;

    while (i--)
        link = link->next;
    list_remove(link);
    k = LIST_ENTRY(link, struct kept, link);
    if (k->type == LATER)
        channel_reply(k->from, str_of(k->payload, k->octets));
    else
        channel_credit(k->from, k->octets);
    end->kept_count--;
    mem_free(k->payload);
    mem_free(k);
}

void close_end(struct end *end)
{
    while (end->kept_count)
        finish_kept(end, 0);
    channel_close(&end->channel);
    if (end->fd >= 0)
        close(end->fd);
}

void yield(unsigned turns)
{
    while (turns--)
        assert_int_equal(fiber_yield(NULL), 0);
}

void wait_for_closed(struct end *end)
{
    while (!end->closed)
        assert_int_equal(cond_wait(&end->event, "close", NULL), 0);
}

int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

void ask_once(void *arg)
{
    struct asker *asker = arg;
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    asker->result = channel_ask(
        asker->end->channel, asker->type, str_of(zeros, asker->octets), &reply, &asker->why);
    asker->ended = true;
    buf_done(&reply);
}
