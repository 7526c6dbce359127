#include "ipc/core_outbound_recode.h"

#include "ipc/core_outbound.h"

static int recode_open(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_open v;

    if (co_open_decode(a, in, &v, e) < 0)
        return -1;
    co_open_encode(&v, out);
    return 0;
}

static int recode_next(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_next v;

    if (co_next_decode(a, in, &v, e) < 0)
        return -1;
    co_next_encode(&v, out);
    return 0;
}

static int recode_given(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_given v;

    if (co_given_decode(a, in, &v, e) < 0)
        return -1;
    co_given_encode(&v, out);
    return 0;
}

static int recode_closed(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_closed v;

    if (co_closed_decode(a, in, &v, e) < 0)
        return -1;
    co_closed_encode(&v, out);
    return 0;
}

static int recode_attach(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_attach v;

    if (co_attach_decode(a, in, &v, e) < 0)
        return -1;
    co_attach_encode(&v, out);
    return 0;
}

static int recode_outcome(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_outcome v;

    if (co_outcome_decode(a, in, &v, e) < 0)
        return -1;
    co_outcome_encode(&v, out);
    return 0;
}

static int recode_read(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_read v;

    (void)a;
    if (co_read_decode(in, &v, e) < 0)
        return -1;
    co_read_encode(&v, out);
    return 0;
}

static int recode_rcpts(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_rcpt *v;
    uint32_t count;

    if (co_rcpts_decode(a, in, &v, &count, e) < 0)
        return -1;
    co_rcpts_encode(v, count, out);
    return 0;
}

static int recode_confirm(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct co_flying *v;
    uint32_t count;

    if (co_confirm_decode(a, in, &v, &count, e) < 0)
        return -1;
    co_confirm_encode(v, count, out);
    return 0;
}

static int recode_rcpts_ask(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    uint32_t assignment, from;

    (void)a;
    if (co_rcpts_ask_decode(in, &assignment, &from, e) < 0)
        return -1;
    co_rcpts_ask_encode(assignment, from, out);
    return 0;
}

static int recode_assignment(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    uint32_t assignment;

    (void)a;
    if (co_assignment_decode(in, &assignment, e) < 0)
        return -1;
    co_assignment_encode(assignment, out);
    return 0;
}

const struct recode_kind co_kinds[] = {
    {"open", false, recode_open},
    {"next", false, recode_next},
    {"given", false, recode_given},
    {"closed", false, recode_closed},
    {"attach", false, recode_attach},
    {"read", false, recode_read},
    {"rcpts", true, recode_rcpts},
    {"confirm", true, recode_confirm},
    {"rcpts_ask", false, recode_rcpts_ask},
    {"assignment", false, recode_assignment},
    {"outcome", false, recode_outcome},
};

const size_t co_kind_count = sizeof co_kinds / sizeof *co_kinds;
