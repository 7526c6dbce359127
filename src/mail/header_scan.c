#include "mail/header_scan.h"

#include "mail/chars.h"

enum state {
    LINE_START,
    AFTER_CR, /* a CR at the start of a line */
    IN_NAME,
    BEFORE_COLON, /* white space behind the name */
    IN_LINE,      /* nothing matters but the line's end */
};

void header_scan_init(struct header_scan *s)
{
    *s = (struct header_scan){.first = true};
}

static void end_span(struct header_scan *s)
{
    if (s->cutting)
        s->span[s->spans - 1].length = s->octets - s->span[s->spans - 1].offset;
    s->cutting = false;
}

/* The n octets just taken do not belong to the field before them. */
static void end_span_before(struct header_scan *s, unsigned n)
{
    s->octets -= n;
    end_span(s);
    s->octets += n;
}

static void begin_span(struct header_scan *s, enum header_id id)
{
    if (s->spans == HEADER_SPANS_MAX) {
        s->more_spans = true;
        return;
    }
    s->span[s->spans++] = (struct header_span){.id = id, .offset = s->line_start};
    s->cutting = true;
}

static bool is_mbox_line(const struct header_scan *s)
{
    struct str name = str_of(s->name, s->name_length);
    return s->name_length <= sizeof s->name &&
           (str_eq(name, STR("From")) || str_eq(name, STR(">From")));
}

/* The line turned out not to be a field. */
static void take_junk(struct header_scan *s)
{
    if (s->first && !s->mbox) { /* as in mail/mime.h: there is no header, the body has begun */
        s->ended = true;
        s->octets = 0;
        return;
    }
    s->junk++;
    s->state = IN_LINE;
}

static void take_field(struct header_scan *s)
{
    enum header_id id = HEADER_OTHER;
    if (s->name_length <= sizeof s->name)
        id = header_id(str_of(s->name, s->name_length));
    s->fields++;
    s->count[id]++;
    if (id == HEADER_RETURN_PATH || id == HEADER_DELIVERED_TO)
        begin_span(s, id);
    s->state = IN_LINE;
}

static void take_empty_line(struct header_scan *s, unsigned length)
{
    end_span_before(s, length);
    s->ended = true;
}

static void at_line_start(struct header_scan *s, char c)
{
    s->line_start = s->octets - 1;
    s->name_length = 0;
    s->mbox = false;
    if (c == '\n') {
        take_empty_line(s, 1);
    } else if (c == '\r') {
        s->state = AFTER_CR;
    } else if (c == ' ' || c == '\t') {
        s->junk += s->first; /* hostile.md 85: nothing to continue */
        s->state = IN_LINE;
    } else {
        end_span_before(s, 1);
        s->state = IN_NAME;
    }
}

static void in_name(struct header_scan *s, char c)
{
    if (mail_is(c, CHAR_FTEXT) && s->name_length < HEADER_NAME_MAX) {
        if (s->name_length < sizeof s->name)
            s->name[s->name_length] = c;
        s->name_length++;
    } else if (c == ':' && s->name_length > 0) {
        take_field(s);
    } else if ((c == ' ' || c == '\t') && s->name_length > 0) {
        s->mbox = c == ' ' && is_mbox_line(s);
        s->state = BEFORE_COLON;
    } else {
        take_junk(s);
    }
}

static void take_char(struct header_scan *s, char c)
{
    s->octets++;
    if (s->state == LINE_START) {
        at_line_start(s, c);
        if (s->state != IN_NAME)
            return;
    }
    if (s->state == AFTER_CR) {
        if (c == '\n') {
            take_empty_line(s, 2);
            return;
        }
        end_span_before(s, 2); /* a CR that begins a line: junk */
        take_junk(s);
    } else if (s->state == IN_NAME) {
        in_name(s, c);
    } else if (s->state == BEFORE_COLON && c != ' ' && c != '\t') {
        if (c == ':')
            take_field(s);
        else
            take_junk(s);
    }
    if (c == '\n' && !s->ended) {
        s->state = LINE_START;
        s->first = false;
    }
}

void header_scan_feed(struct header_scan *s, struct str chunk)
{
    while (chunk.n > 0 && !s->ended) {
        if (s->state == IN_LINE) {
            const char *lf = memchr(chunk.p, '\n', chunk.n);
            size_t skip = lf ? (size_t)(lf - chunk.p) : chunk.n;
            s->octets += skip;
            chunk = str_from(chunk, skip);
            if (chunk.n == 0)
                return;
        }
        take_char(s, chunk.p[0]);
        chunk = str_from(chunk, 1);
    }
}

void header_scan_finish(struct header_scan *s)
{
    if (!s->ended && s->state == AFTER_CR)
        end_span_before(s, 1);
    if (!s->ended && (s->state == IN_NAME || s->state == BEFORE_COLON || s->state == AFTER_CR))
        take_junk(s);
    if (!s->ended)
        end_span(s);
    s->ended = true;
}
