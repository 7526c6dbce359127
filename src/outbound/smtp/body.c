/* A message over the wire: as it is, or converted for a server that lacks what it needs; by one
 * BDAT (RFC 3030) or by DATA. */
#include "base/mem.h"

#include "mail/downgrade.h"

#include "wire/smtp_send.h"

#include "outbound/smtp/source.h"

enum {
    SMALL_MAX = CO_INLINE_MAX + 8 * 1024, /* of a message that may follow its envelope at once */
    RATE = 1000,                          /* octets a second that a server has to take at least */
    PIECE_MAX = 16 * 1024,                /* that is converted at once */
    CONVERTED_MAX = 1 << 20,
};

struct body {
    struct courier *courier;
    struct source source;
    struct downgrade_scan scan;
    struct downgrade_plan plan;
    struct downgrade_want want;
    bool converted; /* by the plan */
    struct buf out; /* of the conversion */
    uint64_t left;  /* octets that BDAT has announced */
    struct smtp_sender sender;
};

/* ---- what has to be done */

static void unreadable(struct answer *a, const struct err *e, struct courier *c)
{
    a->status = e->status.class ? e->status : STATUS(4, 3, 0);
    a->code = 0;
    if (!arena_dup(&c->mail, str_c(e->text), &a->text))
        a->text = STR("out of memory");
}

/* Hands all of the message to feed, which cannot fail. */
static int read_all(struct body *b, void (*feed)(struct body *b, struct str piece), struct err *e)
{
    struct str piece;
    int rc;

    source_rewind(&b->source);
    while ((rc = source_next(&b->source, &piece, e)) > 0)
        feed(b, piece);
    return rc;
}

static void feed_scan(struct body *b, struct str piece)
{
    downgrade_scan_feed(&b->scan, piece);
}

static void feed_plan(struct body *b, struct str piece)
{
    downgrade_plan_feed(&b->plan, piece);
}

/* 0: it is planned, or goes as it is. 1: it cannot be converted. */
static int plan(struct body *b, struct answer *a)
{
    struct courier *c = b->courier;
    struct err e;
    int rc;

    downgrade_plan_init(&b->plan, b->want);
    rc = read_all(b, feed_plan, &e);
    if (rc < 0) {
        downgrade_plan_done(&b->plan);
        unreadable(a, &e, c);
        return -1;
    }
    if (downgrade_plan_finish(&b->plan, &e) == 0) {
        b->converted = true;
        return 0;
    }
    downgrade_plan_done(&b->plan);
    if (e.class == ERR_PERMANENT && !b->want.body && !b->want.header)
        return 0; /* long lines alone: most servers take them */
    unreadable(a, &e, c);
    return e.class == ERR_PERMANENT ? 1 : -1;
}

int body_prepare(struct courier *c, struct body **out, struct answer *a)
{
    struct body *b = MEM_NEW(struct body);
    struct err e;

    if (!b) {
        err_memory(&e, "smtp");
        unreadable(a, &e, c);
        return -1;
    }
    *out = b;
    b->courier = c;
    source_init(&b->source, c);
    buf_init(&b->out, CONVERTED_MAX);
    downgrade_scan_init(&b->scan);
    if (read_all(b, feed_scan, &e) < 0) {
        unreadable(a, &e, c);
        return -1;
    }
    downgrade_scan_finish(&b->scan);
    if (!downgrade_needed(
            &b->scan, c->offer.eight_bit, c->offer.smtputf8, c->now.given.smtputf8, &b->want))
        return 0;
    return plan(b, a);
}

void body_done(struct body **bp)
{
    struct body *b = *bp;

    if (!b)
        return;
    *bp = NULL;
    source_done(&b->source);
    if (b->converted)
        downgrade_plan_done(&b->plan);
    buf_done(&b->out);
    mem_free(b);
}

bool body_eight_bit(const struct body *b)
{
    return (b->scan.eight_body || b->scan.eight_header) && !(b->converted && b->want.body);
}

bool body_chunk(const struct body *b)
{
    return b->courier->offer.chunking && !b->converted;
}

/* It leaves in one write. */
static bool is_small(const struct body *b)
{
    return source_here(&b->source) && source_size(&b->source) <= SMALL_MAX;
}

/* ---- sending */

/* Writes octets as they are to be on the wire. */
static int put(struct body *b, struct str octets)
{
    struct courier *c = b->courier;
    uint64_t before;
    struct err e;
    int rc = 0;

    /* RFC 5321 4.5.3.2.5, hostile.md 71 */
    before = fiber_deadline_shorten(run_now() + c->service->config->outbound.block_timeout_ms);
    while (!str_empty(octets) && rc == 0) {
        struct str run = smtp_sender_next(&b->sender, &octets);
        if (b->sender.dots || run.n <= b->left)
            rc = stream_write(c->stream, run, &e);
        else
            rc = err_set(&e, ERR_BUG, "smtp", "more content than was said");
        b->left -= b->sender.dots ? 0 : run.n;
    }
    fiber_deadline_restore(before);
    return rc < 0 ? courier_broken_err(c, &e, "the server to take the message") : 0;
}

static int unreadable_now(struct body *b, const struct err *e)
{
    return courier_broken(b->courier, e->status.class == 4 ? e->status : STATUS(4, 3, 0), e->text);
}

/* Nobody answers before the end of a message but to refuse it (hostile.md 70, 80). */
static int check_unasked(struct body *b)
{
    return stream_pending(b->courier->stream) ? courier_unasked(b->courier) : 0;
}

static int send_as_it_is(struct body *b)
{
    struct str piece;
    struct err e;
    int rc;

    while ((rc = source_next(&b->source, &piece, &e)) > 0)
        if (put(b, piece) < 0 || (!is_small(b) && check_unasked(b) < 0))
            return -1;
    return rc < 0 ? unreadable_now(b, &e) : 0;
}

static int send_converted_piece(struct body *b, struct downgrade_writer *w, struct str piece)
{
    while (!str_empty(piece)) {
        struct str part = str_head(piece, PIECE_MAX);
        struct err e;
        piece = str_from(piece, part.n);
        buf_clear(&b->out);
        if (downgrade_write(w, part, &b->out) < 0) {
            err_memory(&e, "smtp");
            return unreadable_now(b, &e);
        }
        if (put(b, buf_str(&b->out)) < 0)
            return -1;
    }
    return check_unasked(b);
}

static int send_converted(struct body *b)
{
    struct downgrade_writer w;
    struct str piece;
    struct err e;
    int rc;

    downgrade_write_init(&w, &b->plan);
    while ((rc = source_next(&b->source, &piece, &e)) > 0)
        if (send_converted_piece(b, &w, piece) < 0)
            break;
    buf_clear(&b->out);
    if (rc < 0)
        unreadable_now(b, &e);
    else if (rc == 0 && downgrade_write_finish(&w, &b->out) < 0)
        courier_broken(b->courier, STATUS(4, 3, 0), "out of memory");
    else if (rc == 0)
        put(b, buf_str(&b->out));
    downgrade_write_done(&w);
    return b->courier->is_broken ? -1 : 0;
}

static int send_chunk(struct body *b)
{
    struct courier *c = b->courier;
    struct err e;

    b->left = source_size(&b->source);
    if (stream_printf(c->stream, &e, "BDAT %llu LAST\r\n", (unsigned long long)b->left) < 0)
        return courier_broken_err(c, &e, "BDAT");
    c->within = true;
    if (send_as_it_is(b) < 0)
        return -1;
    if (stream_write(c->stream, smtp_sender_finish(&b->sender), &e) < 0)
        return courier_broken_err(c, &e, "the server to take the message");
    return courier_flush(c);
}

static int send_data(struct body *b)
{
    struct courier *c = b->courier;
    struct err e;

    c->within = true;
    if ((b->converted ? send_converted(b) : send_as_it_is(b)) < 0 || check_unasked(b) < 0)
        return -1;
    if (stream_write(c->stream, smtp_sender_finish(&b->sender), &e) < 0 ||
        stream_write(c->stream, STR(".\r\n"), &e) < 0)
        return courier_broken_err(c, &e, "the server to take the message");
    return courier_flush(c);
}

int body_send(struct courier *c, struct body *b)
{
    uint64_t most =
        10 * c->service->config->outbound.block_timeout_ms + source_size(&b->source) / RATE * 1000;
    uint64_t before = fiber_deadline_shorten(run_now() + most);
    int rc;

    source_rewind(&b->source);
    smtp_sender_init(&b->sender, !body_chunk(b));
    if (!b->converted && b->scan.longest > DOWNGRADE_LINE_MAX)
        log_info(&c->now.event, EV_LONG_LINES, kv_u64("longest", b->scan.longest));
    rc = body_chunk(b) ? send_chunk(b) : send_data(b);
    fiber_deadline_restore(before);
    if (rc == 0)
        c->within = false;
    return rc;
}
