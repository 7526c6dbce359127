#include "wire/smtp_send.h"

#include "wire/smtp_scan.h"

/* A CR was held: does it begin a line end? */
static struct str release(struct smtp_sender *s, struct str *in)
{
    s->cr = false;
    s->line_start = in->p[0] == '\n';
    if (!s->line_start)
        return STR(" ");
    *in = str_from(*in, 1);
    return STR("\r\n");
}

/* An octet that the scan stopped at. */
static struct str replace(struct smtp_sender *s, struct str *in)
{
    char c = in->p[0];

    *in = str_from(*in, 1);
    if (c == '\r' && str_empty(*in)) {
        s->cr = true;
        return STR_NONE;
    }
    s->line_start = false;
    return c == '.' ? STR("..") : STR(" ");
}

struct str smtp_sender_next(struct smtp_sender *s, struct str *in)
{
    struct smtp_scan scan = {.dots = s->dots, .line_start = s->line_start};
    struct str run;

    if (str_empty(*in))
        return STR_NONE;
    if (s->cr)
        return release(s, in);
    run = str_head(*in, smtp_scan(&scan, *in));
    if (str_empty(run))
        return replace(s, in);
    s->line_start = scan.line_start;
    *in = str_from(*in, run.n);
    return run;
}

struct str smtp_sender_finish(const struct smtp_sender *s)
{
    if (s->cr)
        return s->dots ? STR(" \r\n") : STR(" ");
    return s->dots && !s->line_start ? STR("\r\n") : STR_NONE;
}
