#include "core/spool/spool_rig.h"

#include "base/buf.h"
#include "base/mem.h"

struct heard heard;

static int on_live(void *arg, const struct spool_found *f)
{
    (void)arg;
    heard.live++;
    heard.recovered += f->recovered;
    if (f->id < IDS)
        heard.alive[f->id] = true;
    return 0;
}

static void on_state(void *arg, enum spool_state state)
{
    (void)arg;
    heard.state = state;
    cond_wake_all(&heard.state_changed);
}

static void on_damage(void *arg, const struct spool_damage *d)
{
    (void)arg;
    (void)d;
    heard.damaged++;
}

struct spool_settings settings_for(struct fake_disk *f)
{
    return (struct spool_settings){
        .sys = fake_sys(f),
        .path = "/spool",
        .segment = SEGMENT,
        .reserve = SEGMENT,
        .on_live = on_live,
        .on_state = on_state,
        .on_damage = on_damage,
    };
}

struct spool *open_on(struct fake_disk *f)
{
    struct spool_settings settings = settings_for(f);
    struct spool *s = NULL;
    struct err e;

    memset(&heard, 0, sizeof heard);
    if (spool_open(&s, &settings, &e) < 0)
        fail_msg("open: %s", e.text);
    return s;
}

/* ---- messages */

struct message {
    struct spool_message m;
    struct str pieces[2];
    char octets[];
};

static void release(struct spool_message *m)
{
    heard.released++;
    mem_free(m);
}

char octet_of(uint64_t id, size_t i)
{
    return (char)('a' + (id * 7 + i) % 25);
}

struct spool_message *message(uint64_t id, size_t n)
{
    struct message *m = mem_zalloc(sizeof *m + n);

    if (!m)
        return NULL;
    for (size_t i = 0; i < n; i++)
        m->octets[i] = octet_of(id, i);
    m->pieces[0] = str_of(m->octets, n / 2);
    m->pieces[1] = str_of(m->octets + n / 2, n - n / 2);
    m->m = (struct spool_message){
        .id = id,
        .rcpts = 2,
        .envelope = STR("from a to b"),
        .prefix = STR("Received: by us\r\n"),
        .digest = STR("digest"),
        .content = m->pieces,
        .pieces = 2,
        .release = release,
    };
    return &m->m;
}

int commit(struct spool *s, uint64_t id, size_t n, struct err *e)
{
    struct spool_message *m = message(id, n);

    if (!m)
        return err_memory(e, "test");
    return spool_commit(s, &m, 1, NULL, 0, SPOOL_MAIL, e);
}

void must_commit(struct spool *s, uint64_t id, size_t n)
{
    struct err e;

    if (commit(s, id, n, &e) < 0)
        fail_msg("commit of %u: %s", (unsigned)id, e.text);
}

void must_end(struct spool *s, uint64_t id)
{
    struct spool_change c = {.kind = SPOOL_END, .id = id};
    struct err e;

    if (spool_commit(s, NULL, 0, &c, 1, SPOOL_OWN, &e) < 0)
        fail_msg("end of %u: %s", (unsigned)id, e.text);
}

static void check_part(struct spool *s, uint64_t id, enum spool_part part, struct str want)
{
    struct buf b;
    struct err e;

    buf_init(&b, 1 << 20);
    if (spool_load(s, id, part, &b, &e) < 0)
        fail_msg("load of %u: %s", (unsigned)id, e.text);
    assert_int_equal(buf_len(&b), want.n);
    assert_memory_equal(buf_str(&b).p, want.p, want.n);
    buf_done(&b);
}

void check_message(struct spool *s, uint64_t id, size_t n)
{
    struct spool_found f;
    struct err e;
    char *p = mem_alloc(n + 100);
    size_t got;

    assert_true(spool_find(s, id, &f));
    assert_int_equal(f.content, n);
    assert_int_equal(f.rcpts, 2);
    check_part(s, id, SPOOL_ENVELOPE, STR("from a to b"));
    check_part(s, id, SPOOL_PREFIX, STR("Received: by us\r\n"));
    check_part(s, id, SPOOL_DIGEST, STR("digest"));
    assert_int_equal(spool_read(s, id, SPOOL_CONTENT, 0, p, n + 100, &got, &e), 0);
    assert_int_equal(got, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], octet_of(id, i));
    assert_int_equal(spool_read(s, id, SPOOL_CONTENT, n / 3, p, n / 2, &got, &e), 0);
    assert_int_equal(got, n / 2);
    for (size_t i = 0; i < got; i++)
        assert_int_equal(p[i], octet_of(id, n / 3 + i));
    assert_int_equal(spool_read(s, id, SPOOL_CONTENT, n, p, 10, &got, &e), 0);
    assert_int_equal(got, 0);
    mem_free(p);
}
