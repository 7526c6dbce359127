#include "core/upload.h"

#include <string.h>

#include "base/mem.h"

#include "core/spool/spool.h"

/* A frame's content on its way to the large file; its credit goes back when it has been written. */
struct piece {
    struct list link;
    struct channel_call from;
    size_t frame; /* octets of the frame that brought it: what the credit is for */
    size_t n;
    char octets[];
};

static size_t in_memory; /* content of all uploads of this process */
static size_t beside;    /* recipients and digests of all uploads of this process */

static struct str upload_key(const void *entry)
{
    const struct upload *u = entry;

    return str_of((const char *)&u->number, sizeof u->number);
}

void upload_set_init(struct upload_set *set, struct spool *spool, struct scope *scope,
    uint64_t large_from, uint64_t size_max)
{
    *set = (struct upload_set){
        .spool = spool, .scope = scope, .large_from = large_from, .size_max = size_max};
    table_init(&set->uploads, upload_key, UPLOADS_MAX);
}

void upload_set_end(struct upload_set *set)
{
    struct upload *u;

    for (size_t i = 0; (u = table_next(&set->uploads, &i));)
        upload_free(u);
    table_done(&set->uploads);
}

/* ---- numbers of which a part is gone */

static uint32_t *lost_find(struct upload_set *set, uint32_t number)
{
    for (uint32_t i = 0; i < set->lost_count; i++)
        if (set->lost[i] == number)
            return &set->lost[i];
    return NULL;
}

static void lost_forget(struct upload_set *set, uint32_t number)
{
    uint32_t *at = lost_find(set, number);

    if (at)
        *at = set->lost[--set->lost_count];
}

/* May the first part that comes of it be kept? */
static bool may_begin(struct upload_set *set, uint32_t number)
{
    return set->lost_count < UPLOADS_LOST && !lost_find(set, number);
}

static void lost_remember(struct upload_set *set, uint32_t number)
{
    if (may_begin(set, number))
        set->lost[set->lost_count++] = number;
}

static struct upload *upload_find(struct upload_set *set, uint32_t number)
{
    return table_find(&set->uploads, str_of((const char *)&number, sizeof number));
}

static struct upload *upload_new(struct upload_set *set, uint32_t number)
{
    struct upload *u = MEM_NEW(struct upload);

    if (!u)
        return NULL;
    u->set = set;
    u->spool = set->spool;
    u->number = number;
    buf_init(&u->recipients, UPLOAD_RECIPIENTS_MAX);
    buf_init(&u->digest, UPLOAD_DIGEST_MAX);
    buf_init(&u->content, set->large_from + CHANNEL_FRAME_MAX);
    list_init(&u->pending);
    cond_init(&u->drained);
    if (table_add(&set->uploads, u) != 0) {
        mem_free(u);
        return NULL;
    }
    return u;
}

/* It was written, or is not wanted: its sender may send more. */
static void finish_piece(struct piece *p)
{
    if (p->from.call)
        channel_reply(p->from, STR(""));
    else
        channel_credit(p->from, p->frame);
    mem_free(p);
}

static void drop_pending(struct upload *u)
{
    struct list *link;

    while ((link = list_take(&u->pending)))
        finish_piece(LIST_ENTRY(link, struct piece, link));
}

static void release(struct upload *u)
{
    in_memory -= buf_len(&u->content);
    beside -= buf_len(&u->recipients) + buf_len(&u->digest);
    drop_pending(u);
    buf_done(&u->recipients);
    buf_done(&u->digest);
    buf_done(&u->content);
    spool_large_abort(&u->large);
    mem_free(u);
}

static void detach(struct upload *u)
{
    if (u->set)
        table_remove(&u->set->uploads, upload_key(u));
    u->set = NULL;
}

void upload_free(struct upload *u)
{
    if (!u)
        return;
    detach(u);
    if (u->writing) {
        u->orphaned = true;
        return;
    }
    release(u);
}

void upload_abort(struct upload_set *set, uint32_t number)
{
    lost_forget(set, number);
    upload_free(upload_find(set, number));
}

struct upload *upload_take(struct upload_set *set, uint32_t number)
{
    struct upload *u = upload_find(set, number);

    lost_forget(set, number);
    if (u)
        detach(u);
    return u;
}

/* What was in memory goes first. */
static int begin_large(struct upload *u, struct err *e)
{
    struct str head = buf_str(&u->content);

    if (u->large)
        return 0;
    if (spool_large_begin(u->spool, &u->large, e) < 0)
        return -1;
    if (head.n && spool_large_write(u->large, head, e) < 0)
        return -1;
    in_memory -= head.n;
    buf_release(&u->content);
    return 0;
}

static void write_fiber(void *arg)
{
    struct upload *u = arg;
    struct list *link;

    if (!u->failed.class)
        begin_large(u, &u->failed);
    while (!u->orphaned && (link = list_take(&u->pending))) {
        struct piece *p = LIST_ENTRY(link, struct piece, link);
        if (!u->failed.class)
            spool_large_write(u->large, str_of(p->octets, p->n), &u->failed);
        finish_piece(p);
    }
    u->writing = false;
    if (u->orphaned)
        release(u);
    else
        cond_wake_all(&u->drained);
}

static bool put_large(struct upload *u, struct channel_call from, size_t frame, struct str octets)
{
    struct piece *p = mem_alloc(sizeof *p + octets.n);

    if (!p) {
        err_memory(&u->failed, "upload");
        return false;
    }
    *p = (struct piece){.from = from, .frame = frame, .n = octets.n};
    memcpy(p->octets, octets.p, octets.n);
    list_add(&u->pending, &p->link);
    if (!u->writing) {
        if (fiber_start(u->set->scope, "upload", write_fiber, u, &u->failed) < 0) {
            list_remove(&p->link);
            mem_free(p);
            return false;
        }
        u->writing = true;
    }
    return true;
}

/* Whether the credit comes back later. */
static bool put_content(struct upload *u, struct channel_call from, size_t frame, struct str octets)
{
    u->octets += octets.n;
    if (u->failed.class || octets.n == 0)
        return false;
    if (u->set->size_max && u->octets > u->set->size_max) {
        err_set_status(&u->failed, ERR_PERMANENT, (struct err_status){5, 3, 4}, "upload",
            "the message is larger than %llu octets", (unsigned long long)u->set->size_max);
        return false;
    }
    if (u->large || u->writing || u->octets > u->set->large_from ||
        in_memory + octets.n > UPLOAD_MEMORY)
        return put_large(u, from, frame, octets);
    if (buf_put(&u->content, octets) < 0)
        err_memory(&u->failed, "upload");
    else
        in_memory += octets.n;
    return false;
}

static void put_beside(struct upload *u, struct buf *part, struct str octets)
{
    if (u->failed.class)
        return;
    if (beside + octets.n > UPLOAD_SIDE_MEMORY) {
        err_set_status(&u->failed, ERR_TEMPORARY, (struct err_status){4, 3, 1}, "upload",
            "too much waits for its message");
        return;
    }
    if (buf_put(part, octets) < 0)
        err_memory(&u->failed, "upload");
    else
        beside += octets.n;
}

/* Whether it is kept: then its sender hears later. */
static bool put_part(struct upload_set *set, struct channel_call from, struct str payload)
{
    struct ic_put put;
    struct upload *u;

    if (ic_put_decode(payload, &put, NULL) < 0)
        return false;
    u = upload_find(set, put.upload);
    if (!u && may_begin(set, put.upload))
        u = upload_new(set, put.upload);
    if (!u) { /* its commit will find no upload and fail, also when memory is back */
        lost_remember(set, put.upload);
        return false;
    }
    switch (put.part) {
    case IC_CONTENT:
        return put_content(u, from, payload.n, put.octets);
    case IC_ENVELOPE_RECIPIENTS:
        put_beside(u, &u->recipients, put.octets);
        break;
    case IC_DIGEST:
        put_beside(u, &u->digest, put.octets);
        break;
    }
    return false;
}

bool upload_put(struct upload_set *set, struct channel_call from, struct str payload)
{
    bool kept = put_part(set, from, payload);

    if (!kept && from.call)
        channel_reply(from, STR(""));
    return kept;
}

int upload_wait(struct upload *u, struct err *e)
{
    while (u->writing)
        if (cond_wait(&u->drained, "upload", e) < 0)
            return -1;
    if (u->failed.class) {
        *e = u->failed;
        return -1;
    }
    return 0;
}

struct spool_large *upload_take_large(struct upload *u)
{
    struct spool_large *large = u->large;

    u->large = NULL;
    return large;
}
