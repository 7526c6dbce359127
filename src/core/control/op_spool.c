/* spool.verify, spool.repair, spool.quarantine: is all of it there, and what was set aside. */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"

#include "ipc/control.h"
#include "ipc/inbound_core.h"

#include "core/control/mail_json.h"
#include "core/control/op.h"
#include "core/core.h"
#include "core/envelope.h"
#include "core/queue/queue.h"
#include "core/spool/quarantine.h"
#include "core/spool/verify.h"

enum {
    PAGE_FULL = CONTROL_PAGE / 3,
    BAD_MAX = 20, /* damaged messages of a page */
    RECIPIENTS_MAX = 100,
    PROBLEMS_MAX = 1000, /* ranges, of a spool that is opened here */
    FILES_MAX = 20000,
    NAMES_MAX = 4096,
    PATH_SIZE = STORES_PATH + 16,
};

/* ---- the spool: the server's, or opened here */

struct control_spool {
    struct spool *spool;
    bool look;
    json_t *problems; /* what opening it found */
    char path[PATH_SIZE];
};

static int on_live(void *arg, const struct spool_found *f)
{
    (void)arg;
    (void)f;
    return 0;
}

static json_t *damage_json(const char *file, uint64_t segment, uint64_t from, uint64_t to)
{
    return json_pack("{s:o, s:I, s:I, s:I}", "file", op_json_or_null(str_c(file)), "segment",
        (json_int_t)segment, "from", (json_int_t)from, "to", (json_int_t)to);
}

static void on_damage(void *arg, const struct spool_damage *d)
{
    struct control_spool *s = arg;
    json_t *row;

    if (s->spool || json_array_size(s->problems) >= PROBLEMS_MAX) /* messages are named later */
        return;
    row = damage_json(d->file, d->segment, d->from, d->to);
    json_object_set_new(row, "what", json_string(d->what));
    json_array_append_new(s->problems, row);
}

static void path_of(const struct control *c, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%.*s/spool", STR_ARG(c->config->data));
}

/* Repairing it writes; looking at it does not. */
static int open_here(struct control *c, bool look, struct err *e)
{
    struct control_spool *s = MEM_NEW(struct control_spool);
    struct spool_settings settings = {
        .sys = &sys_real,
        .segment = c->config->spool.segment,
        .large = c->config->spool.large,
        .reserve = c->config->spool.reserve,
        .no_sync = c->config->sync == SYNC_NONE,
        .look = look,
        .repair = !look,
        .arg = s,
        .on_live = on_live,
        .on_damage = on_damage,
    };

    if (!s)
        return err_memory(e, "control");
    s->look = look;
    s->problems = json_array();
    path_of(c, s->path);
    settings.path = s->path;
    c->spool = s;
    return spool_open(&s->spool, &settings, e);
}

static int need_spool(struct control *c, bool look, struct spool **out, struct err *e)
{
    if (!c->core && c->spool && (!c->spool->spool || c->spool->look != look))
        control_done(c);
    if (!c->core && !c->spool && open_here(c, look, e) < 0) {
        control_done(c);
        return -1;
    }
    *out = c->core ? c->core->spool : c->spool->spool;
    return 0;
}

void control_done(struct control *c)
{
    if (!c->spool)
        return;
    if (c->spool->spool)
        spool_close(&c->spool->spool);
    json_decref(c->spool->problems);
    mem_free(c->spool);
    c->spool = NULL;
}

/* ---- who sent a message, and to whom */

static void put_envelope(json_t *row, const struct envelope *v)
{
    json_t *to = json_array();

    for (uint32_t i = 0; i < v->given.count && i < RECIPIENTS_MAX; i++)
        json_array_append_new(to, op_json_str(v->given.rcpt[i].address));
    json_object_set_new(row, "sender", op_json_str(v->given.reverse_path));
    json_object_set_new(row, "recipients", to);
    json_object_set_new(row, "recipient_count", json_integer(v->given.count));
}

/* Nothing, where the envelope itself cannot be read. */
static void put_people(json_t *row, struct spool *spool, uint64_t id)
{
    struct envelope v;
    struct arena arena;
    struct buf text;

    arena_init(&arena, 4 * ENVELOPE_MAX);
    buf_init(&text, ENVELOPE_MAX);
    if (spool_load(spool, id, SPOOL_ENVELOPE, &text, NULL) == 0 &&
        envelope_decode(&arena, buf_str(&text), &v, NULL) == 0) {
        put_envelope(row, &v);
    } else {
        json_object_set_new(row, "sender", json_null());
        json_object_set_new(row, "recipients", json_null());
        json_object_set_new(row, "recipient_count", json_null());
    }
    buf_done(&text);
    arena_done(&arena);
}

static json_t *message_json(struct spool *spool, const struct spool_bad *bad)
{
    json_t *row = damage_json(bad->file, bad->segment, bad->from, bad->to);
    struct spool_found f = {0};
    char id[IC_ID_CHARS + 1];

    ic_id_format(bad->id, id);
    spool_find(spool, bad->id, &f);
    json_object_set_new(row, "what", json_string("message"));
    json_object_set_new(row, "id", json_string(id));
    json_object_set_new(row, "size", json_integer((json_int_t)(f.prefix + f.content)));
    put_people(row, spool, bad->id);
    return row;
}

/* ---- verify and repair */

static int after_number(const json_t *request, uint64_t *after, struct err *e)
{
    struct str text;

    *after = 0;
    if (op_str_optional(request, "after", &text, e) < 0)
        return -1;
    if (text.n && !str_to_u64(text, UINT32_MAX, after))
        return err_set(e, ERR_PERMANENT, "control", "after: not a place in a list");
    return 0;
}

/* Takes a message out of the spool for good. */
static int drop_message(struct control *c, struct spool *spool, uint64_t id, struct err *e)
{
    const struct queue_filter filter = {.id = &id, .ids = 1};
    struct spool_change end = {.kind = SPOOL_END, .id = id};
    uint64_t count;

    if (c->core)
        return queue_remove(c->core->queue, &filter, &count, e);
    return spool_commit(spool, NULL, 0, &end, 1, SPOOL_OWN, e);
}

/* The account is given before anything is gone. */
static int repair_one(struct control *c, struct spool *spool, const struct spool_bad *bad,
    json_t *items, struct err *e)
{
    json_t *row = message_json(spool, bad);
    char name[96];

    if (spool_set_aside(spool, bad->id, name, e) < 0 || drop_message(c, spool, bad->id, e) < 0) {
        json_decref(row);
        return -1;
    }
    if (c->core)
        log_error(c->core->event, "message_set_aside",
            kv_c("id", json_string_value(json_object_get(row, "id"))), kv_c("copy", name));
    json_object_set_new(row, "copy", json_string(name));
    json_array_append_new(items, row);
    return 0;
}

static json_t *verified_json(
    struct control *c, struct spool *spool, const struct spool_verify *v, json_t *items, bool first)
{
    json_t *problems = first && c->spool ? c->spool->problems : NULL;
    struct spool_stats s;
    char next[24];
    json_t *page;

    spool_stats(spool, &s);
    snprintf(next, sizeof next, "%u", v->place);
    page = op_page(json_incref(items), v->done ? STR_NONE : str_c(next));
    json_object_set_new(page, "messages", json_integer((json_int_t)v->messages));
    json_object_set_new(page, "octets", json_integer((json_int_t)v->octets));
    json_object_set_new(page, "segments", json_integer((json_int_t)s.segments));
    json_object_set_new(page, "free_segments", json_integer((json_int_t)s.free_segments));
    if (problems)
        json_object_set(page, "problems", problems);
    else
        json_object_set_new(page, "problems", json_array());
    return page;
}

static int verify(
    struct control *c, const json_t *request, bool repair, struct op_result *result, struct err *e)
{
    struct spool_bad bad[BAD_MAX];
    json_t *items = json_array();
    struct spool_verify v = {0};
    struct spool *spool;
    uint32_t count = 0;
    uint64_t after;
    int rc = after_number(request, &after, e);

    if (rc == 0)
        rc = need_spool(c, !repair, &spool, e);
    v.place = (uint32_t)after;
    if (rc == 0)
        rc = spool_verify(spool, &v, bad, BAD_MAX, &count, e);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        if (repair)
            rc = repair_one(c, spool, &bad[i], items, e);
        else
            json_array_append_new(items, message_json(spool, &bad[i]));
    }
    if (rc == 0)
        result->json = verified_json(c, spool, &v, items, after == 0);
    json_decref(items);
    return rc;
}

int op_spool_verify(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    return verify(c, request, false, result, e);
}

int op_spool_repair(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    return verify(c, request, true, result, e);
}

/* ---- quarantine: files */

struct files_job {
    char path[PATH_SIZE];
    const char *name; /* to be found or removed; NULL: all are listed */
    bool remove;
    struct aside *v;
    uint32_t count, cap;
    int rc;
};

static int add_file(void *arg, const struct aside *a)
{
    struct files_job *j = arg;

    if (j->count == j->cap) {
        uint32_t cap = j->cap ? j->cap * 2 : 64;
        struct aside *v = cap > FILES_MAX ? NULL : mem_resize(j->v, cap * sizeof *v);

        if (!v)
            return cap > FILES_MAX ? 0 : -ENOMEM;
        j->v = v;
        j->cap = cap;
    }
    j->v[j->count++] = *a;
    return 0;
}

static void files_run(void *arg)
{
    struct files_job *j = arg;
    struct aside a;

    if (!j->name) {
        j->rc = quarantine_list(&sys_real, j->path, add_file, j);
        return;
    }
    j->rc = quarantine_find(&sys_real, j->path, j->name, &a);
    if (j->rc == 0 && j->remove)
        j->rc = quarantine_remove(&sys_real, j->path, j->name);
    else if (j->rc == 0)
        j->rc = add_file(j, &a);
}

/* With -ENOENT the result is 0 and j->rc says so. The job's files are the caller's to free. */
static int files(
    struct control *c, const char *name, bool remove, struct files_job **out, struct err *e)
{
    struct files_job *j = MEM_NEW(struct files_job);

    *out = j;
    if (!j)
        return err_memory(e, "control");
    path_of(c, j->path);
    j->name = name;
    j->remove = remove;
    if (pool_run(c->hashing, files_run, j, e) < 0)
        return -1;
    return j->rc < 0 && j->rc != -ENOENT ? err_os(e, -j->rc, "control", "quarantine") : 0;
}

static void files_done(struct files_job *j)
{
    if (j)
        mem_free(j->v);
    mem_free(j);
}

static json_t *file_json(const struct aside *a)
{
    return json_pack("{s:o, s:s, s:o, s:I, s:s}", "name", op_json_str(str_c(a->name)), "kind",
        "copy", "time", op_json_time(a->mtime_ns / 1000000), "size", (json_int_t)a->size, "why",
        "damaged in the spool");
}

/* ---- quarantine: messages */

static const char *why_aside(const struct spool_found *f)
{
    if (f->damaged)
        return "it is damaged in the spool";
    return queue_in_quarantine(f) ? "processes died while they worked on it" : NULL;
}

static json_t *held_json(const struct spool_found *f)
{
    char id[IC_ID_CHARS + 1];

    ic_id_format(f->id, id);
    return json_pack("{s:s, s:s, s:n, s:I, s:s}", "name", id, "kind",
        f->damaged ? "damaged" : "held", "time", "size", (json_int_t)(f->prefix + f->content),
        "why", why_aside(f));
}

static int list_files(struct control *c, uint64_t *after, json_t *items, struct err *e)
{
    struct files_job *j;
    int rc = files(c, NULL, false, &j, e);
    uint64_t i = *after;
    size_t size = 0;

    for (; rc == 0 && i < j->count && size < PAGE_FULL; i++) {
        json_t *row = file_json(&j->v[i]);
        size += mail_json_size(row);
        json_array_append_new(items, row);
    }
    *after = rc == 0 && i < j->count ? i : 0;
    files_done(j);
    return rc;
}

/* Pages: the files, numbered from 0; then the messages, whose places follow "m". */
int op_spool_quarantine(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    json_t *items = json_array();
    struct spool_found f;
    struct spool *spool;
    struct str after;
    uint64_t number = 0;
    uint32_t place = 0;
    bool messages = false;
    size_t size = 0;
    char next[24] = "";
    int rc = op_str_optional(request, "after", &after, e);

    if (rc == 0 && after.n) {
        messages = after.p[0] == 'm';
        if (!str_to_u64(str_from(after, messages), UINT32_MAX, &number))
            rc = err_set(e, ERR_PERMANENT, "control", "after: not a place in a list");
    }
    if (rc == 0 && !messages) {
        rc = list_files(c, &number, items, e);
        snprintf(next, sizeof next, number ? "%llu" : "m0", (unsigned long long)number);
    } else if (rc == 0 && (rc = need_spool(c, true, &spool, e)) == 0) {
        place = (uint32_t)number;
        while (size < PAGE_FULL && spool_next(spool, &place, &f)) {
            if (!why_aside(&f))
                continue;
            json_array_append_new(items, held_json(&f));
            size += 256;
        }
        if (size >= PAGE_FULL)
            snprintf(next, sizeof next, "m%u", place);
    }
    if (rc == 0)
        result->json = op_page(json_incref(items), str_c(next));
    json_decref(items);
    return rc;
}

static bool is_message(
    struct control *c, struct str name, struct spool **spool, uint64_t *id, struct spool_found *f)
{
    return ic_id_parse(name, id) && need_spool(c, true, spool, NULL) == 0 &&
           spool_find(*spool, *id, f);
}

static int not_there(struct str name, struct err *e)
{
    return err_set(e, ERR_PERMANENT, "control", "%.*s: not in quarantine", STR_ARG(name));
}

int op_spool_quarantine_show(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct spool_bad bad;
    struct spool_found f;
    struct spool *spool;
    struct files_job *j;
    struct str name;
    uint64_t id;
    int rc;

    if (op_str(request, "name", &name, e) < 0)
        return -1;
    if (is_message(c, name, &spool, &id, &f)) {
        rc = spool_check(spool, id, &bad, e);
        if (rc < 0 || !spool_find(spool, id, &f))
            return rc < 0 ? -1 : not_there(name, e);
        if (rc == 0 && !why_aside(&f))
            return not_there(name, e);
        result->json = held_json(&f);
        if (rc > 0)
            json_object_set_new(
                result->json, "damage", damage_json(bad.file, bad.segment, bad.from, bad.to));
        put_people(result->json, spool, id);
        return 0;
    }
    rc = files(c, name.p, false, &j, e);
    if (rc == 0 && j->count == 0)
        rc = not_there(name, e);
    if (rc == 0)
        result->json = file_json(&j->v[0]);
    files_done(j);
    return rc;
}

/* What is whole goes its way again. */
int op_spool_quarantine_release(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct queue_filter filter = {.ids = 1};
    struct spool_bad bad;
    struct spool_found f;
    struct spool *spool;
    struct str name;
    uint64_t id, count = 0;
    int rc;

    if (op_str(request, "name", &name, e) < 0)
        return -1;
    if (!is_message(c, name, &spool, &id, &f))
        return err_set(e, ERR_PERMANENT, "control",
            "%.*s: no message in the spool; a copy of what was damaged cannot be put back",
            STR_ARG(name));
    rc = spool_check(spool, id, &bad, e);
    if (rc > 0)
        return err_set(e, ERR_PERMANENT, "control",
            "%.*s: still damaged (%s, octets %llu to %llu); veredus spool repair sets it aside",
            STR_ARG(name), bad.file, (unsigned long long)bad.from, (unsigned long long)bad.to);
    filter.id = &id;
    if (rc == 0)
        rc = queue_release(c->core->queue, &filter, &count, e);
    if (rc == 0)
        result->json = json_pack("{s:I}", "messages", (json_int_t)count);
    return rc;
}

static int remove_one(struct control *c, struct str name, struct err *e)
{
    struct spool_found f;
    struct spool *spool;
    struct files_job *j;
    uint64_t id;
    int rc;

    if (is_message(c, name, &spool, &id, &f)) {
        if (!why_aside(&f))
            return not_there(name, e);
        if (!c->core && need_spool(c, false, &spool, e) < 0)
            return -1;
        return drop_message(c, spool, id, e);
    }
    rc = files(c, name.p, true, &j, e);
    if (rc == 0 && j->rc == -ENOENT)
        rc = not_there(name, e);
    files_done(j);
    return rc;
}

int op_spool_quarantine_remove(
    struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct arena arena;
    struct str *name;
    uint32_t count;
    int rc;

    arena_init(&arena, 1 << 20);
    rc = op_strs(&arena, request, "names", &name, &count, NAMES_MAX, e);
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = remove_one(c, name[i], e);
    if (rc == 0)
        result->json = json_pack("{s:I}", "removed", (json_int_t)count);
    arena_done(&arena);
    return rc;
}
