#include "mail/downgrade_check.h"

#include "base/check.h"
#include "base/utf8.h"

int downgrade_all(struct downgrade_want want, struct str content, size_t piece, struct buf *out,
    uint64_t *long_lines, struct err *e)
{
    struct downgrade_plan plan;
    struct downgrade_writer w;
    downgrade_plan_init(&plan, want);
    for (struct str s = content; s.n > 0; s = str_from(s, piece))
        downgrade_plan_feed(&plan, str_head(s, piece));
    int result = downgrade_plan_finish(&plan, e);
    if (result == 0) {
        downgrade_write_init(&w, &plan);
        for (struct str s = content; s.n > 0 && result == 0; s = str_from(s, piece))
            result = downgrade_write(&w, str_head(s, piece), out);
        if (result == 0)
            result = downgrade_write_finish(&w, out);
        if (result < 0)
            err_memory(e, "downgrade");
        *long_lines = w.long_lines;
        downgrade_write_done(&w);
    }
    downgrade_plan_done(&plan);
    return result;
}

static struct str body_of(struct str content, const struct mime_part *part)
{
    return str_sub(content, part->body_start, part->body_end - part->body_start);
}

static void decode(const struct mime_part *part, struct str content, struct buf *out)
{
    struct str body = body_of(content, part);
    buf_init(out, 2 * body.n + TRANSFER_HELD + 8);
    CHECK(transfer_decode((enum mime_encoding)part->encoding, body, out) == 0);
}

/* The part that follows in order of appearance, but none below this one. */
static const struct mime_part *next_beside(const struct mime_part *part)
{
    while (part && !part->next)
        part = part->parent;
    return part ? part->next : NULL;
}

static void check_leaf(
    const struct mime_part *a, struct str before, const struct mime_part *b, struct str after)
{
    struct buf x, y;
    decode(b, after, &y);
    if (a->kind == MIME_MESSAGE && b->kind == MIME_LEAF) { /* encoded as a whole */
        CHECK(str_eq(body_of(before, a), buf_str(&y)));
    } else {
        decode(a, before, &x);
        CHECK(str_eq(buf_str(&x), buf_str(&y)));
        buf_done(&x);
    }
    buf_done(&y);
}

static void check_parts(struct str before, struct str after)
{
    struct mime_parser p, q;
    mime_init(&p, &MIME_LIMITS_DEFAULT, NULL);
    mime_init(&q, &MIME_LIMITS_DEFAULT, NULL);
    mime_feed(&p, before);
    mime_feed(&q, after);
    const struct mime_part *a = mime_finish(&p), *b = mime_finish(&q);
    CHECK(a && b);
    while (a && b) {
        struct str sub_a, sub_b, type = mime_type(a, &sub_a);
        CHECK(str_eq_ascii(type, mime_type(b, &sub_b)) && str_eq_ascii(sub_a, sub_b));
        bool whole = a->kind == MIME_MESSAGE && b->kind == MIME_LEAF;
        CHECK(a->kind == b->kind || whole);
        if (b->kind == MIME_LEAF)
            check_leaf(a, before, b, after);
        a = whole ? next_beside(a) : mime_next(a);
        b = mime_next(b);
    }
    CHECK(!a && !b);
    mime_done(&p);
    mime_done(&q);
}

static uint64_t count_long_lines(struct str s)
{
    uint64_t found = 0;
    for (struct str line; s.n > 0;) {
        bool ended = str_cut(&s, '\n', &line);
        if (ended && str_ends(line, STR("\r")))
            line.n--;
        else if (!ended && str_ends(line, STR("\r")))
            line.n--;
        found += line.n > DOWNGRADE_LINE_MAX;
    }
    return found;
}

void downgrade_check(
    struct downgrade_want want, struct str before, struct str after, uint64_t long_lines)
{
    CHECK(!want.body || ascii_only(after));
    CHECK(count_long_lines(after) == long_lines);
    CHECK(long_lines <= count_long_lines(before) + (want.body || want.header));
    check_parts(before, after);
}
