#include "outbound/smtp/source.h"

enum source_part {
    PART_PREFIX,
    PART_INLINE,
    PART_PIECES,
};

void source_init(struct source *s, struct courier *c)
{
    *s = (struct source){.courier = c};
    buf_init(&s->piece, CHANNEL_FRAME_MAX);
    buf_init(&s->ahead, CHANNEL_FRAME_MAX);
    scope_init(&s->scope);
    cond_init(&s->changed);
}

/* Waits for the piece that is on its way: whoever reads it must not outlive us. */
static void join(struct source *s)
{
    scope_cancel(&s->scope);
    scope_join(&s->scope);
    scope_init(&s->scope);
    s->reading = s->have_ahead = false;
}

void source_done(struct source *s)
{
    join(s);
    buf_done(&s->piece);
    buf_done(&s->ahead);
}

void source_rewind(struct source *s)
{
    if (s->scope.count || s->have_ahead)
        join(s);
    s->part = PART_PREFIX;
    s->at = 0;
}

uint64_t source_size(const struct source *s)
{
    const struct co_delivery *d = &s->courier->now.given;

    return d->prefix.n + d->content_size;
}

bool source_here(const struct source *s)
{
    const struct co_delivery *d = &s->courier->now.given;

    return d->content.n == d->content_size;
}

/* ---- pieces */

static int read_piece(struct source *s, uint64_t at, struct buf *out, struct err *e)
{
    struct courier *c = s->courier;
    uint64_t left = c->now.given.content_size - at;
    struct co_read read = {.assignment = c->open.assignment, .at = at};

    read.n = left < CO_READ_MAX ? (uint32_t)left : CO_READ_MAX;
    return to_core_read(c->service->core, c->generation, &read, out, e);
}

static void reader_main(void *arg)
{
    struct source *s = arg;

    if (read_piece(s, s->at, &s->ahead, &s->ahead_error) == 0)
        s->ahead_error.class = ERR_NONE;
    s->reading = false;
    s->have_ahead = true;
    cond_wake_all(&s->changed);
}

/* Asks for the piece behind the one that was given. Without memory it is asked for when due. */
static void read_ahead(struct source *s)
{
    if (s->at < s->courier->now.given.content_size &&
        fiber_start(&s->scope, "read ahead", reader_main, s, NULL) == 0)
        s->reading = true;
}

static int take_ahead(struct source *s, struct err *e)
{
    struct buf swap = s->piece;

    while (s->reading)
        if (cond_wait(&s->changed, "a piece of a message", e) < 0)
            return -1;
    s->have_ahead = false;
    if (s->ahead_error.class != ERR_NONE) {
        *e = s->ahead_error;
        return -1;
    }
    s->piece = s->ahead;
    s->ahead = swap;
    return 0;
}

static int next_piece(struct source *s, struct str *piece, struct err *e)
{
    int rc = s->reading || s->have_ahead ? take_ahead(s, e) : read_piece(s, s->at, &s->piece, e);

    if (rc < 0)
        return -1;
    *piece = buf_str(&s->piece);
    s->at += piece->n;
    read_ahead(s);
    return 1;
}

int source_next(struct source *s, struct str *piece, struct err *e)
{
    const struct co_delivery *d = &s->courier->now.given;

    if (s->part == PART_PREFIX) {
        s->part = PART_INLINE;
        *piece = d->prefix;
        if (piece->n)
            return 1;
    }
    if (s->part == PART_INLINE) {
        s->part = PART_PIECES;
        *piece = d->content;
        s->at = piece->n;
        if (piece->n)
            return 1;
    }
    return s->at == d->content_size ? 0 : next_piece(s, piece, e);
}
