/* Second pass: the planned edits are made. */
#include "base/check.h"

#include "mail/downgrade_int.h"

enum {
    PIECE = 8 << 10 /* decoded at once */
};

void downgrade_write_init(struct downgrade_writer *w, const struct downgrade_plan *plan)
{
    *w = (struct downgrade_writer){.plan = plan};
    buf_init(&w->decoded, PIECE + 2 * TRANSFER_HELD);
}

void downgrade_write_done(struct downgrade_writer *w)
{
    buf_done(&w->decoded);
}

static const struct downgrade_edit *current(const struct downgrade_writer *w)
{
    return w->edit < w->plan->count ? &w->plan->edits[w->edit] : NULL;
}

/* What no edit touches. RFC 2046 5.1.1: what stands before the first and behind the last part is
 * shown by nobody, but has to be ASCII. */
static void copy(struct downgrade_writer *w, struct str s, struct buf *out)
{
    if (!w->plan->want.body || downgrade_count_eight(s) == 0) {
        buf_put(out, s);
        return;
    }
    for (size_t i = 0; i < s.n && buf_ok(out); i++)
        buf_put_c(out, s.p[i] & 0x80 ? '?' : s.p[i]);
}

static int encode_decoded(struct downgrade_writer *w, struct buf *out)
{
    int result = buf_ok(&w->decoded) ? 0 : -1;
    if (result == 0)
        result = transfer_encode_feed(&w->encoder, buf_str(&w->decoded), out);
    buf_clear(&w->decoded);
    return result;
}

static int recode(struct downgrade_writer *w, struct str s, struct buf *out)
{
    for (int result = 0; s.n > 0; s = str_from(s, PIECE)) {
        result = transfer_feed(&w->decoder, str_head(s, PIECE), &w->decoded);
        if (result < 0 || encode_decoded(w, out) < 0)
            return -1;
    }
    return 0;
}

static int begin_edit(struct downgrade_writer *w, const struct downgrade_edit *e, struct buf *out)
{
    w->within = true;
    if (!e->recode)
        return buf_put(out, e->text);
    transfer_init(&w->decoder, (enum mime_encoding)e->from);
    transfer_encode_init(&w->encoder, (enum mime_encoding)e->to);
    return 0;
}

static int end_edit(struct downgrade_writer *w, const struct downgrade_edit *e, struct buf *out)
{
    w->within = false;
    w->edit++;
    w->base64 = e->recode && e->to == MIME_BASE64;
    if (!e->recode)
        return 0;
    if (transfer_finish(&w->decoder, &w->decoded) < 0 || encode_decoded(w, out) < 0)
        return -1;
    return transfer_encode_finish(&w->encoder, out);
}

/* Begins and ends the edits that are due where the content is read. */
static int step(struct downgrade_writer *w, struct buf *out)
{
    for (const struct downgrade_edit *e; (e = current(w));) {
        if (!w->within && e->offset > w->offset)
            return 0;
        CHECK(w->within || e->offset == w->offset);
        if (!w->within && begin_edit(w, e, out) < 0)
            return -1;
        if (e->offset + e->length > w->offset)
            return 0;
        if (end_edit(w, e, out) < 0)
            return -1;
    }
    return 0;
}

/* Follows the lines that were written. */
static void count_lines(struct downgrade_writer *w, struct str s)
{
    while (s.n > 0) {
        const char *lf = memchr(s.p, '\n', s.n);
        size_t n = lf ? (size_t)(lf - s.p) : s.n;
        bool cr = n > 0 ? s.p[n - 1] == '\r' : w->cr;
        w->line += n;
        w->cr = cr;
        w->lf = lf;
        if (!lf)
            return;
        w->long_lines += w->line - cr > DOWNGRADE_LINE_MAX;
        w->line = 0;
        w->cr = false;
        s = str_from(s, n + 1);
    }
}

int downgrade_write(struct downgrade_writer *w, struct str chunk, struct buf *out)
{
    size_t start = buf_len(out);
    while (chunk.n > 0) {
        if (step(w, out) < 0)
            return -1;
        const struct downgrade_edit *e = current(w);
        uint64_t until = e ? e->offset + (w->within ? e->length : 0) : w->offset + chunk.n;
        struct str s = chunk;
        if (until - w->offset < s.n)
            s.n = (size_t)(until - w->offset);
        if (!w->within) {
            copy(w, s, out);
            w->base64 = false;
        } else if (e->recode && recode(w, s, out) < 0) {
            return -1;
        }
        w->offset += s.n;
        chunk = str_from(chunk, s.n);
    }
    if (!buf_ok(out))
        return -1;
    count_lines(w, str_from(buf_str(out), start));
    return 0;
}

int downgrade_write_finish(struct downgrade_writer *w, struct buf *out)
{
    size_t start = buf_len(out);
    if (step(w, out) < 0 || current(w)) /* the content was not the one that was planned for */
        return -1;
    count_lines(w, str_from(buf_str(out), start));
    if (w->base64 && !w->lf)
        buf_put(out, STR("\r\n"));
    else
        w->long_lines += w->line - w->cr > DOWNGRADE_LINE_MAX;
    return buf_ok(out) ? 0 : -1;
}
