/* The process is killed at any moment of a stream of deliveries, again and again, and what it told
 * is checked by its successor (DURABILITY.md 1; faults.md, SIGKILL). */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/table.h"

#include "run/run_test.h"

#include "core/mailbox/mailbox.h"

enum {
    ROUNDS = 12,
    ACCOUNTS = 3,
    BATCH = 4,
    LARGE_EVERY = 7, /* every so many messages one is large */
    IDS_MAX = 100000,
};

struct told {
    uint64_t id, account;
    uint32_t uid, again; /* again: it was a duplicate */
};

static char root[64];
static int told_pipe[2];
static uint64_t first_id;
static uint32_t uids[IDS_MAX][ACCOUNTS + 1]; /* what was told; 0: nothing */
static uint64_t last_id;
static char large[100000];

static struct mailboxes *open_it(void)
{
    struct mailboxes_settings settings = {.sys = &sys_real, .path = root, .wal_pages = 40};
    struct mailboxes *m = NULL;
    struct err e = {0};

    if (mailboxes_open(&m, &settings, &e) < 0)
        fail_msg("%s", e.text);
    return m;
}

static struct mail_content content_of(uint64_t id)
{
    struct str text =
        id % LARGE_EVERY ? STR("Subject: x\r\n\r\ny\r\n") : str_of(large, sizeof large);

    return (struct mail_content){
        .id = id, .content = text, .size = text.n, .received_ms = (int64_t)id};
}

/* One batch: BATCH messages, each to all accounts. */
static void deliver(struct mailboxes *m, uint64_t id, struct delivery v[BATCH * ACCOUNTS])
{
    static struct mail_content content[BATCH];

    for (uint32_t i = 0; i < BATCH; i++) {
        content[i] = content_of(id + i);
        for (uint32_t k = 0; k < ACCOUNTS; k++)
            v[i * ACCOUNTS + k] =
                (struct delivery){.account = k + 1, .rcpt = k, .content = &content[i]};
    }
    mailbox_deliver(m, v, BATCH * ACCOUNTS);
}

/* The process that is killed: what it has told is durable, or it must not have told it. */
static void child(void)
{
    static struct delivery v[BATCH * ACCOUNTS];
    struct mailboxes *m = open_it();

    for (uint64_t id = first_id;; id += BATCH) {
        deliver(m, id, v);
        for (uint32_t i = 0; i < BATCH * ACCOUNTS; i++) {
            struct told t = {
                v[i].content->id, v[i].account, v[i].uid, v[i].result == DELIVERY_DUPLICATE};
            if (v[i].result == DELIVERY_FAILED)
                _exit(3);
            if (write(told_pipe[1], &t, sizeof t) != sizeof t)
                _exit(4);
        }
    }
}

static void note(const struct told *t)
{
    assert_true(t->id < IDS_MAX && t->account <= ACCOUNTS && t->uid);
    if (uids[t->id][t->account] && uids[t->id][t->account] != t->uid)
        fail_msg("message %llu was %u in account %llu and is %u now", (unsigned long long)t->id,
            uids[t->id][t->account], (unsigned long long)t->account, t->uid);
    uids[t->id][t->account] = t->uid;
    last_id = t->id > last_id ? t->id : last_id;
}

static void run_and_kill(uint64_t after)
{
    struct told t;
    pid_t pid;
    int status;

    assert_int_equal(pipe(told_pipe), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(told_pipe[0]);
        run_in_fiber(child);
        _exit(5);
    }
    (void)close(told_pipe[1]);
    for (uint64_t i = 0; read(told_pipe[0], &t, sizeof t) == sizeof t; i++) {
        note(&t);
        if (i == after)
            assert_int_equal(kill(pid, SIGKILL), 0);
    }
    (void)close(told_pipe[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Everything that was told, and what the spool would bring again, is there once. */
static void check(void)
{
    static struct delivery v[BATCH * ACCOUNTS];
    struct mailboxes *m = open_it();
    struct mail_after after = {0};
    struct mail_row *row;
    struct arena a;
    struct err e = {0};
    uint64_t end = last_id + 1 + 2 * BATCH;
    uint32_t n;

    end -= end % BATCH;
    for (uint64_t id = end > 80 ? end - 80 : BATCH; id < end; id += BATCH) {
        deliver(m, id, v);
        for (uint32_t i = 0; i < BATCH * ACCOUNTS; i++) {
            struct told t = {v[i].content->id, v[i].account, v[i].uid, 0};
            if (uids[t.id][t.account] && v[i].result != DELIVERY_DUPLICATE)
                fail_msg("message %llu was lost", (unsigned long long)t.id);
            note(&t);
        }
    }
    arena_init(&a, 64 << 20);
    for (uint64_t account = 1; account <= ACCOUNTS; account++) {
        uint64_t messages = 0;
        do {
            assert_int_equal(
                mailbox_list(m, &a, account, STR(""), false, &after, 500, &row, &n, &e), 0);
            for (uint32_t i = 0; i < n; i++) {
                assert_int_equal(uids[row[i].email_id][account], row[i].uid);
                assert_int_equal(row[i].size, row[i].email_id % LARGE_EVERY ? 17 : sizeof large);
            }
            messages += n;
        } while (after.uid);
        assert_int_equal(messages, end - BATCH);
        arena_reset(&a);
    }
    arena_done(&a);
    mailboxes_close(&m);
    first_id = end;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void test_kill(void **state)
{
    static const uint8_t key[16] = {1};

    (void)state;
    table_seed(key);
    (void)snprintf(root, sizeof root, "/tmp/veredus-kill-XXXXXX");
    assert_non_null(mkdtemp(root));
    memset(large, 'l', sizeof large);
    first_id = BATCH;
    for (int i = 0; i < ROUNDS; i++) {
        run_and_kill(rng_below(30 * BATCH * ACCOUNTS));
        run_in_fiber(check);
    }
    assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill),
    };

    return cmocka_run_group_tests_name("core_mailbox_kill", tests, NULL, NULL);
}
