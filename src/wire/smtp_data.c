#include "wire/smtp_data.h"

#include "base/check.h"

#include "wire/smtp_scan.h"

void smtp_data_init(struct smtp_data *d, bool dots, const struct smtp_data_limits *limits)
{
    CHECK(limits->line_max == 0 || limits->line_max >= 64);
    *d = (struct smtp_data){
        .dots = dots,
        .normalize = limits->normalize,
        .line_max = limits->line_max,
        .size_max = limits->size_max,
    };
}

/* Accounts for content; is it to be given out? */
static bool give(struct smtp_data *d, struct str content, struct str *run)
{
    d->size += content.n;
    if (d->line_max && d->line > d->line_max)
        d->faults |= SMTP_DATA_LONG;
    if (d->size_max && d->size > d->size_max)
        d->faults |= SMTP_DATA_LARGE;
    *run = content;
    return d->faults == 0;
}

/* Into text, with content that is a literal. */
static bool give_text(struct smtp_data *d, struct str content, struct str *run)
{
    d->state = SMTP_DATA_TEXT;
    d->line += content.n;
    return give(d, content, run);
}

static bool give_line_end(struct smtp_data *d, enum smtp_data_state next, struct str *run)
{
    d->state = next;
    d->line = 0;
    return give(d, STR("\r\n"), run);
}

static bool bare_lf(struct smtp_data *d, struct str *run)
{
    if (d->normalize)
        return give_line_end(d, SMTP_DATA_SOFT, run);
    d->faults |= SMTP_DATA_BARE;
    d->state = SMTP_DATA_TEXT;
    return false;
}

static bool bare_cr(struct smtp_data *d, struct str *run)
{
    if (d->normalize)
        return give_text(d, STR(" "), run);
    d->faults |= SMTP_DATA_BARE;
    d->state = SMTP_DATA_TEXT;
    return false;
}

/* What needs no thought, in bulk; else one octet that does. */
static bool plain(struct smtp_data *d, struct str *in, struct str *run)
{
    bool soft = d->state == SMTP_DATA_SOFT;
    struct smtp_scan scan = {
        .dots = d->dots,
        .line_start = soft || d->state == SMTP_DATA_START,
        .line = d->line,
        .line_max = d->line_max,
    };
    size_t n = smtp_scan(&scan, *in);
    struct str content = str_head(*in, n);
    char c;

    if (n) {
        *in = str_from(*in, n);
        d->line = scan.line;
        d->state = scan.line_start ? SMTP_DATA_START : SMTP_DATA_TEXT;
        if (scan.too_long)
            d->faults |= SMTP_DATA_LONG;
        return give(d, content, run);
    }
    c = in->p[0];
    *in = str_from(*in, 1);
    if (c == '\n')
        return bare_lf(d, run);
    if (c == '\r')
        d->state = SMTP_DATA_CR;
    else
        d->state = soft ? SMTP_DATA_SOFT_DOT : SMTP_DATA_DOT;
    return false;
}

/* One step of the machine. True: *run is to be given out. */
static bool step(struct smtp_data *d, struct str *in, struct str *run)
{
    char c = in->p[0];

    switch (d->state) {
    case SMTP_DATA_START:
    case SMTP_DATA_SOFT:
    case SMTP_DATA_TEXT:
        return plain(d, in, run);
    case SMTP_DATA_CR:
        if (c != '\n')
            return bare_cr(d, run);
        *in = str_from(*in, 1);
        return give_line_end(d, SMTP_DATA_START, run);
    case SMTP_DATA_DOT:
        if (c == '\n')
            return give_text(d, STR("."), run);
        if (c == '\r')
            *in = str_from(*in, 1);
        d->state = c == '\r' ? SMTP_DATA_DOT_CR : SMTP_DATA_TEXT; /* RFC 5321 4.5.2 */
        return false;
    case SMTP_DATA_DOT_CR:
        if (c == '\n')
            *in = str_from(*in, 1);
        d->state = c == '\n' ? SMTP_DATA_ENDED : SMTP_DATA_CR;
        return false;
    case SMTP_DATA_SOFT_DOT:
        if (c == '\n' || c == '\r')
            return give_text(d, STR("."), run);
        d->state = SMTP_DATA_TEXT;
        return false;
    case SMTP_DATA_ENDED:
        break;
    }
    return false;
}

enum smtp_data_step smtp_data_next(struct smtp_data *d, struct str *in, struct str *run)
{
    while (d->state != SMTP_DATA_ENDED && !str_empty(*in))
        if (step(d, in, run))
            return SMTP_DATA_RUN;
    return d->state == SMTP_DATA_ENDED ? SMTP_DATA_END : SMTP_DATA_MORE;
}

struct str smtp_data_finish(struct smtp_data *d)
{
    enum smtp_data_state state = d->state;
    struct str end = STR_NONE;

    CHECK(!d->dots && state != SMTP_DATA_ENDED);
    d->state = SMTP_DATA_ENDED;
    if (state == SMTP_DATA_CR && !d->normalize)
        d->faults |= SMTP_DATA_BARE;
    else if (state == SMTP_DATA_CR)
        end = STR(" \r\n");
    else if (state == SMTP_DATA_TEXT)
        end = STR("\r\n");
    d->line += end.n == 3;
    return give(d, end, &end) ? end : STR_NONE;
}

struct str smtp_stuff_next(bool *line_start, struct str *in)
{
    struct smtp_scan scan = {.dots = true, .line_start = *line_start};
    struct str run;

    if (str_empty(*in))
        return STR_NONE;
    if (*line_start && in->p[0] == '.') {
        *line_start = false; /* the dot itself comes with the next slice */
        return STR(".");
    }
    run = str_head(*in, smtp_scan(&scan, *in));
    if (str_empty(run)) /* a CR or LF that is not a line end, or a CR whose LF is yet to come */
        run = str_head(*in, 1);
    *in = str_from(*in, run.n);
    *line_start = run.p[run.n - 1] == '\n';
    return run;
}
