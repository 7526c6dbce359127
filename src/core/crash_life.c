#include "core/crash_life.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include "ipc/config.h"
#include "ipc/inbound_core.h"

#include "core/directory/directory.h"
#include "core/intake.h"
#include "core/mailbox/mailbox.h"
#include "core/queue/queue.h"

enum {
    PIECE = 50 * 1024,
    SEGMENT = 128 << 10, /* of the spool: a few messages fill it */
    LARGE_FROM = 24 << 10,
};

/* SQLite's ways are made for one table, so it stays the same while disks come and go. */
static struct sys sys;

static const char *const addresses[] = {
    "alice@example.test", "bob@example.test", "both@example.test"};

static int wrong(struct crash_life *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int wrong(struct crash_life *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (!*l->why)
        (void)vsnprintf(l->why, sizeof l->why, format, args);
    va_end(args);
    return -1;
}

/* ---- a life */

static struct config *configuration(void)
{
    static struct arena arena;
    static struct config *config;
    struct config_problems problems = {0};

    if (config)
        return config;
    arena_init(&arena, 1 << 20);
    config = config_parse(STR("hostname = \"mail.example.test\"\ndata = \"/data\"\n"
                              "origin = \"example.test\"\n"
                              "listen \"mx\" { protocol = smtp address = {\"127.0.0.1:2525\"} }\n"),
        &arena, &problems);
    CHECK(config);
    config->spool.segment = SEGMENT;
    config->spool.large = LARGE_FROM;
    config->spool.reserve = SEGMENT;
    return config;
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    (void)arg;
    (void)from;
    (void)type;
    (void)payload;
    CHECK(fd < 0);
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
}

static int ask(struct crash_life *l, uint16_t type, struct buf *payload, struct buf *reply)
{
    struct err e;

    CHECK(buf_ok(payload));
    buf_init(reply, CHANNEL_FRAME_MAX);
    if (channel_ask(l->channel, type, buf_str(payload), reply, &e) < 0)
        return wrong(l, "channel: %s", e.text);
    return 0;
}

static int begin_session(struct crash_life *l)
{
    static const struct channel_handler handler = {.on_frame = on_frame, .on_closed = on_closed};
    struct buf nothing, reply;
    struct ic_lease lease;
    struct err e;
    int ends[2], rc;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    if (intake_open(&l->core, ends[0], CLASS_MX, &e) < 0 ||
        channel_open(&l->channel, ends[1], "core", &handler, l, &e) < 0)
        return wrong(l, "session: %s", e.text);
    buf_init(&nothing, 1);
    rc = ask(l, IC_LEASE, &nothing, &reply);
    if (rc == 0 && ic_lease_decode(buf_str(&reply), &lease, &e) < 0)
        rc = wrong(l, "lease: %s", e.text);
    buf_done(&reply);
    if (rc == 0)
        l->lease = lease.base;
    return rc;
}

int crash_start(struct crash_life *l, struct fake_disk *disk, struct crash_model *model)
{
    static const struct event event;
    struct err e;

    *l = (struct crash_life){.model = model};
    sys = *fake_sys(disk);
    if (core_open(&l->core, &sys, configuration(), &event, &e) < 0)
        return wrong(l, "it does not start: %s", e.text);
    if (begin_session(l) == 0)
        return 0;
    crash_end(l);
    return -1;
}

void crash_end(struct crash_life *l)
{
    if (l->channel)
        channel_close(&l->channel);
    core_close(&l->core);
}

static void fill_directory(struct directory *d)
{
    const struct directory_domain_new domain = {.name = STR("example.test")};
    struct str both[CRASH_BOXES];
    struct err e;
    uint64_t id;

    CHECK(directory_domain_add(d, &domain, &e) == 0);
    for (uint64_t i = 0; i < CRASH_BOXES; i++) {
        both[i] = str_c(addresses[i]);
        CHECK(directory_account_add(d, both[i], STR(""), 0, &id, &e) == 0 && id == i + 1);
    }
    CHECK(directory_alias_add(d, str_c(addresses[CRASH_BOXES]), both, CRASH_BOXES, &e) == 0);
}

struct fake_disk *crash_first_disk(void)
{
    struct fake_disk *disk = fake_new();
    struct crash_model model = {0};
    struct crash_life l;

    CHECK(fake_sys(disk)->mkdir(fake_sys(disk), "/data", 0700) == 0);
    if (crash_start(&l, disk, &model) < 0) {
        (void)fprintf(stderr, "%s\n", l.why);
        abort();
    }
    fill_directory(l.core.stores.directory);
    crash_end(&l);
    return disk;
}

/* ---- mail in */

/* Octets of message n: lines that tell it from others. */
static void content_of(uint32_t n, char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : (char)('a' + (n * 7 + i / 64 + i) % 26);
    (void)snprintf(p, 12, "N: %04u\r\n\r", n);
    p[11] = '\n';
}

static int put(struct crash_life *l, uint32_t upload, struct str octets)
{
    struct ic_put p = {.upload = upload, .part = IC_CONTENT, .octets = octets};
    struct buf payload;
    struct err e;
    int rc;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    ic_put_encode(&p, &payload);
    rc = channel_notify(l->channel, IC_PUT, buf_str(&payload), &e);
    buf_done(&payload);
    return rc < 0 ? wrong(l, "upload: %s", e.text) : 0;
}

static int commit(struct crash_life *l, const struct crash_mail *m, const char *to, uint32_t upload,
    size_t before, struct str content)
{
    struct ic_recipient rcpt = {.address = str_c(to)};
    struct ic_commit c = {
        .upload = upload,
        .envelope = {.id = m->id, .reverse_path = STR("x@y.example"), .rcpt = &rcpt, .count = 1},
        .client = STR("192.0.2.1"),
        .helo = STR("y.example"),
        .protocol = STR("ESMTP"),
        .prefix = STR("Received: by test\r\n"),
        .content = str_from(content, before),
        .content_size = content.n,
        .content_crc = crc32c(content),
    };
    struct buf payload, reply;
    struct err e = {0};
    struct dec d;
    int rc;

    buf_init(&payload, CHANNEL_FRAME_MAX);
    ic_commit_encode(&c, &payload);
    rc = ask(l, IC_COMMIT, &payload, &reply);
    if (rc == 0) {
        d = dec_of(buf_str(&reply));
        dec_err(&d, &e);
        if (e.class != ERR_NONE)
            rc = wrong(l, "commit: %s", e.text);
    }
    buf_done(&payload);
    buf_done(&reply);
    return rc;
}

static int send_mail(struct crash_life *l, bool alice, bool bob, size_t size)
{
    struct crash_model *model = l->model;
    uint32_t n = model->count, upload = size > PIECE ? n + 1 : 0;
    struct crash_mail *m = &model->mail[n];
    size_t at = 0;
    char *p;
    int rc = 0;

    CHECK(n < CRASH_MAIL);
    *m = (struct crash_mail){
        .state = CRASH_MAYBE, .id = l->lease | l->next++, .size = size, .to = {alice, bob}};
    model->count++;
    p = mem_alloc(size);
    CHECK(p);
    content_of(n, p, size);
    for (; rc == 0 && upload && size - at > PIECE; at += PIECE)
        rc = put(l, upload, str_of(p + at, PIECE));
    if (rc == 0)
        rc = commit(l, m, addresses[alice && bob ? 2 : bob], upload, at, str_of(p, size));
    if (rc == 0)
        m->state = CRASH_DONE;
    mem_free(p);
    return rc;
}

struct sender {
    struct crash_life *l;
    bool alice, bob;
    int rc;
};

static void sender(void *arg)
{
    struct sender *s = arg;

    s->rc = send_mail(s->l, s->alice, s->bob, 300);
}

static int send_three(struct crash_life *l)
{
    struct sender *v = mem_array(3, sizeof *v);
    struct scope scope;
    int rc = 0;

    CHECK(v);
    scope_init(&scope);
    for (int i = 0; i < 3; i++) {
        v[i] = (struct sender){.l = l, .alice = i != 1, .bob = i != 0};
        CHECK(fiber_start(&scope, "sender", sender, &v[i], NULL) == 0);
    }
    scope_join(&scope);
    for (int i = 0; i < 3; i++)
        rc = v[i].rc < 0 ? -1 : rc;
    mem_free(v);
    return rc;
}

/* ---- a reader */

static struct crash_mail *mail_of(struct crash_model *model, uint64_t id)
{
    for (uint32_t i = 0; i < model->count; i++)
        if (model->mail[i].id == id && model->mail[i].state != CRASH_NEVER)
            return &model->mail[i];
    return NULL;
}

/* What one row says beside what a reader has seen before. A message that was not yet synced when it
 * was seen may come again, but behind all that has been seen. */
static int see_row(struct crash_life *l, unsigned box, const struct mail_row *row)
{
    struct crash_mail *m = mail_of(l->model, row->email_id);

    if (!m || !m->to[box])
        return wrong(l, "%s has a message that nobody sent there", addresses[box]);
    if (m->uid[box] == row->uid) {
        if (row->modseq < m->modseq[box])
            return wrong(l, "%s: MODSEQ of UID %u went back", addresses[box], row->uid);
        m->final[box] = m->kept;
        return 0;
    }
    if (m->final[box])
        return wrong(l, "message %d of %s had UID %u and has %u", (int)(m - l->model->mail),
            addresses[box], m->uid[box], row->uid);
    if (row->uid < l->model->uid_next[box] || row->modseq <= l->model->modseq[box])
        return wrong(l, "%s: UID %u, MODSEQ %llu are given again", addresses[box], row->uid,
            (unsigned long long)row->modseq);
    m->uid[box] = row->uid;
    m->modseq[box] = row->modseq;
    m->final[box] = m->kept;
    return 0;
}

/* A row that has come since the mailbox was looked at counts as well. */
static void see_last(struct crash_life *l, unsigned box, const struct mail_row *row, uint32_t count)
{
    struct crash_model *m = l->model;

    for (uint32_t i = 0; i < count; i++) {
        if (row[i].uid >= m->uid_next[box])
            m->uid_next[box] = row[i].uid + 1;
        if (row[i].modseq > m->modseq[box])
            m->modseq[box] = row[i].modseq;
    }
}

static int see_box(struct crash_life *l, unsigned box, const struct mailbox_row *row)
{
    struct crash_model *m = l->model;

    if (m->uid_validity[box] && m->uid_validity[box] != row->uid_validity)
        return wrong(l, "%s: UIDVALIDITY changed", addresses[box]);
    if (row->uid_next < m->uid_next[box])
        return wrong(l, "%s: UIDNEXT went back from %u to %u", addresses[box], m->uid_next[box],
            row->uid_next);
    if (row->highest_modseq < m->modseq[box])
        return wrong(l, "%s: HIGHESTMODSEQ went back", addresses[box]);
    m->uid_validity[box] = row->uid_validity;
    m->uid_next[box] = row->uid_next;
    m->modseq[box] = row->highest_modseq;
    return 0;
}

/* Times that a message is among the rows. */
static unsigned times(const struct mail_row *row, uint32_t count, uint64_t id)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < count; i++)
        n += row[i].email_id == id;
    return n;
}

static int read_whole(struct crash_life *l, unsigned box, uint32_t uid, const struct crash_mail *m)
{
    uint32_t n = (uint32_t)(m - l->model->mail);
    char *want = mem_alloc(m->size);
    struct buf got;
    struct err e;
    uint64_t size;
    int rc;

    CHECK(want);
    content_of(n, want, m->size);
    buf_init(&got, MAILBOX_READ_MAX);
    rc = mailbox_read(
        l->core.stores.mailboxes, box + 1, STR(""), uid, 0, MAILBOX_READ_MAX, &got, &size, &e);
    if (rc < 0)
        wrong(l, "message %u of %s: %s", n, addresses[box], e.text);
    else if (buf_len(&got) < m->size ||
             memcmp(buf_str(&got).p + buf_len(&got) - m->size, want, m->size) != 0)
        rc = wrong(l, "message %u of %s is not what was accepted", n, addresses[box]);
    buf_done(&got);
    mem_free(want);
    return rc;
}

/* Looks at a mailbox. all: nothing waits any more, so what was acknowledged must be there. */
static int look(struct crash_life *l, struct arena *a, unsigned box, bool all)
{
    struct mailboxes *m = l->core.stores.mailboxes;
    struct mail_after after = {0};
    struct mailbox_row *inbox;
    struct mail_row *row;
    uint32_t count, boxes;
    struct err e;
    int rc = 0;

    /* The box first: what comes in between the two questions has UIDs from its UIDNEXT on. */
    if (mailbox_all(m, a, box + 1, &inbox, &boxes, &e) < 0 ||
        mailbox_list(m, a, box + 1, STR(""), false, &after, MAILBOX_PAGE_MAX, &row, &count, &e) < 0)
        return wrong(l, "%s: %s", addresses[box], e.text);
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = see_row(l, box, &row[i]);
    if (rc == 0 && boxes)
        rc = see_box(l, box, &inbox[0]);
    see_last(l, box, row, count);
    for (uint32_t i = 0; rc == 0 && i < l->model->count; i++) {
        struct crash_mail *mail = &l->model->mail[i];
        unsigned there = times(row, count, mail->id);

        if (!mail->to[box] || mail->state == CRASH_NEVER)
            continue;
        if (there > 1)
            return wrong(l, "message %u is in %s %u times", i, addresses[box], there);
        if (!there && mail->kept)
            return wrong(l, "message %u is no more in %s", i, addresses[box]);
        if (!there && all && mail->state == CRASH_DONE)
            return wrong(l, "message %u is lost for %s", i, addresses[box]);
        if (there && all)
            rc = read_whole(l, box, mail->uid[box], mail);
    }
    return rc;
}

static int look_everywhere(struct crash_life *l, bool all)
{
    struct arena a;
    int rc = 0;

    arena_init(&a, 1 << 22);
    for (unsigned box = 0; rc == 0 && box < CRASH_BOXES; box++)
        rc = look(l, &a, box, all);
    arena_done(&a);
    return rc;
}

/* ---- accounts */

static int add_account(struct crash_life *l)
{
    struct crash_model *m = l->model;
    enum crash_state *state = &m->account[m->accounts];
    char address[64];
    uint64_t id;
    struct err e;

    CHECK(m->accounts < CRASH_NEW);
    (void)snprintf(address, sizeof address, "new%u@example.test", m->accounts++);
    *state = CRASH_MAYBE;
    if (directory_account_add(l->core.stores.directory, str_c(address), STR(""), 0, &id, &e) < 0)
        return wrong(l, "%s: %s", address, e.text);
    *state = CRASH_DONE;
    return 0;
}

static int check_accounts(struct crash_life *l)
{
    for (uint32_t i = 0; i < l->model->accounts; i++) {
        enum crash_state *state = &l->model->account[i];
        struct resolution r;
        char address[64];

        (void)snprintf(address, sizeof address, "new%u@example.test", i);
        directory_resolve(l->core.stores.directory, str_c(address), IC_STRANGER, &r);
        if (*state == CRASH_DONE && r.verdict != IC_LOCAL)
            return wrong(l, "account %s is lost", address);
        *state = r.verdict == IC_LOCAL ? CRASH_DONE : CRASH_NEVER;
    }
    return 0;
}

/* ---- operations */

static int all_delivered(struct crash_life *l)
{
    struct spool_stats stats;
    struct err e;

    if (queue_wait_idle(l->core.queue, &e) < 0 || spool_flush(l->core.spool, &e) < 0)
        return wrong(l, "delivery: %s", e.text);
    spool_stats(l->core.spool, &stats);
    if (stats.messages)
        return wrong(l, "%llu messages stay in the queue", (unsigned long long)stats.messages);
    for (uint32_t i = 0; i < l->model->count; i++)
        l->model->mail[i].kept = l->model->mail[i].state == CRASH_DONE;
    return 0;
}

static int checkpoint(struct crash_life *l)
{
    struct err e;

    for (unsigned box = 0; box < CRASH_BOXES; box++)
        if (mailbox_checkpoint(l->core.stores.mailboxes, box + 1, &e) < 0)
            return wrong(l, "checkpoint: %s", e.text);
    return 0;
}

int crash_do(struct crash_life *l, char operation)
{
    switch (operation) {
    case 'a':
        return send_mail(l, true, false, 200);
    case 'b':
        return send_mail(l, true, true, 900);
    case 'm':
        return send_mail(l, false, true, 20000);
    case 'l':
        return send_mail(l, true, true, CRASH_LARGE);
    case 'g':
        return send_three(l);
    case 'r':
        return look_everywhere(l, false);
    case 'c':
        return checkpoint(l);
    case 'i':
        return all_delivered(l);
    case 'n':
        return add_account(l);
    default:
        UNREACHABLE();
    }
}

/* What is found becomes what is known: a message whose commit was cut off is there from now on, for
 * everybody, or never. */
static int settle(struct crash_life *l)
{
    for (uint32_t i = 0; i < l->model->count; i++) {
        struct crash_mail *mail = &l->model->mail[i];
        bool there = mail->uid[0] || mail->uid[1];

        if (mail->state == CRASH_NEVER)
            continue;
        for (unsigned box = 0; there && box < CRASH_BOXES; box++)
            if (mail->to[box] && !mail->uid[box])
                return wrong(l, "message %u came to one of two", i);
        mail->state = there ? CRASH_DONE : CRASH_NEVER;
    }
    return 0;
}

int crash_check(struct crash_life *l)
{
    if (l->core.counts.damaged)
        return wrong(l, "damage is reported");
    if (look_everywhere(l, false) < 0 || all_delivered(l) < 0 || look_everywhere(l, true) < 0 ||
        check_accounts(l) < 0)
        return -1;
    return settle(l);
}
