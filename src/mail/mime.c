#include "mail/mime.h"

#include "base/check.h"

#include "mail/header.h"
#include "mail/mime_int.h"

enum state {
    IN_HEADER,
    IN_BODY, /* of a leaf */
    IN_SKIP, /* preamble or epilogue */
};

/* What the rest of a line is whose head has been judged. */
enum rest {
    REST_NONE, /* at the start of a line */
    REST_HEADER,
    REST_BODY,
    REST_SKIP,
    REST_DELIMITER, /* a part begins where it ends */
};

enum {
    PADDING_MAX = 64 /* of what stands behind a boundary that much is looked at */
};

static bool boundaries_matter(const struct mime_parser *p)
{
    return p->open > 0 && !p->stopped;
}

/* Octets of a line that are enough to judge it, wherever chunks end. */
static size_t head_max(const struct mime_parser *p)
{
    size_t boundary = 2 + p->boundary_longest + 2 + PADDING_MAX;
    return boundary > HEADER_NAME_MAX + 2 ? boundary : HEADER_NAME_MAX + 2;
}

/* ---- parts */

static struct mime_part *add_part(struct mime_parser *p, struct mime_part *parent, uint64_t start)
{
    struct mime_part *part = ARENA_NEW(&p->arena, struct mime_part);
    if (!part) {
        p->failed |= p->arena.no_memory;
        p->stopped = true;
        return NULL;
    }
    part->parent = parent;
    part->header_start = part->body_start = part->body_end = start;
    part->index = p->count++;
    if (parent) {
        part->depth = (uint16_t)(parent->depth + 1);
        *(parent->last ? &parent->last->next : &parent->first) = part;
        parent->last = part;
    }
    p->current = part;
    p->state = IN_HEADER;
    buf_clear(&p->header);
    return part;
}

struct str mime_type(const struct mime_part *part, struct str *subtype)
{
    if (part->fields && part->fields->type.value.n > 0) {
        *subtype = part->fields->type.subtype;
        return part->fields->type.value;
    }
    const struct mime_part *up = part->parent;
    /* RFC 2046 5.1.5 */
    if (up && up->kind == MIME_MULTIPART && up->fields &&
        str_eq_ascii(up->fields->type.subtype, STR("digest")) &&
        !(part->fields && part->fields->type.count > 0)) {
        *subtype = STR("rfc822");
        return STR("message");
    }
    *subtype = STR("plain");
    return STR("text");
}

bool mime_is(const struct mime_part *part, struct str type, struct str subtype)
{
    struct str sub;
    return str_eq_ascii(mime_type(part, &sub), type) &&
           (subtype.n == 0 || str_eq_ascii(sub, subtype));
}

static bool open_multipart(struct mime_parser *p, struct mime_part *part)
{
    struct str boundary = STR_NONE;
    mime_param_find(&part->fields->type, STR("boundary"), &boundary);
    if (boundary.n == 0 || boundary.n > MIME_BOUNDARY_MAX || part->depth >= p->limits.depth ||
        p->count >= p->limits.parts || p->stopped)
        return false;
    p->frames[p->open++] = (struct mime_frame){.part = part, .boundary = boundary};
    if (boundary.n > p->boundary_longest)
        p->boundary_longest = boundary.n;
    part->kind = MIME_MULTIPART;
    p->state = IN_SKIP;
    return true;
}

static bool open_message(struct mime_parser *p, struct mime_part *part)
{
    /* RFC 2046 5.2.1: no encoding but 7bit, 8bit, binary; what is encoded is not looked into */
    if (part->encoding > MIME_BINARY || part->depth >= p->limits.depth ||
        p->count >= p->limits.parts || p->stopped)
        return false;
    struct mime_part *child = add_part(p, part, part->body_start);
    if (!child)
        return false;
    part->kind = MIME_MESSAGE;
    child->message = true;
    return true;
}

/* The header of the current part ends; its body starts at `at`. */
static void end_header(struct mime_parser *p, uint64_t at)
{
    struct mime_part *part = p->current;
    struct str block = buf_str(&p->header), token;
    part->body_start = part->body_end = at;
    part->body_lines = p->lines - (at < p->offset);
    part->fields = mime_fields_parse(&p->arena, block, p->limits.params);
    p->failed |= p->arena.no_memory;
    if (part->fields)
        part->encoding = (uint8_t)mime_encoding_parse(part->fields->encoding, &token);
    p->state = IN_BODY;
    p->want_body = p->handler.header && p->handler.header(p->handler.arg, part, block);
    p->held_count = 0;
    p->inside_opaque = false;
    if (mime_is(part, STR("multipart"), STR_NONE))
        p->inside_opaque = part->opaque = !open_multipart(p, part);
    else if (mime_is(part, STR("message"), STR("rfc822")) ||
             mime_is(part, STR("message"), STR("global")))
        part->opaque = !open_message(p, part);
}

static void end_headers(struct mime_parser *p, uint64_t at)
{
    while (p->state == IN_HEADER) /* an embedded message without anything has a header too */
        end_header(p, at);
}

/* ---- bodies */

static void put_body(struct mime_parser *p, struct str octets)
{
    if (octets.n > 0 && p->handler.body)
        p->handler.body(p->handler.arg, p->current, octets);
}

/* The last line end is held back: it belongs to the delimiter if one follows. */
static void take_body(struct mime_parser *p, struct str octets)
{
    if (p->held_count == 1 && p->held[0] == '\r' && str_eq(octets, STR("\n"))) {
        p->held[p->held_count++] = '\n';
        return;
    }
    put_body(p, str_of(p->held, p->held_count));
    size_t hold = 0;
    if (octets.n > 0 && (octets.p[octets.n - 1] == '\n' || octets.p[octets.n - 1] == '\r'))
        hold =
            1 + (octets.n > 1 && octets.p[octets.n - 1] == '\n' && octets.p[octets.n - 2] == '\r');
    put_body(p, str_head(octets, octets.n - hold));
    memcpy(p->held, octets.p + octets.n - hold, hold);
    p->held_count = (uint8_t)hold;
}

/* Takes octets of whatever the line is; they may end within it. */
static void take(struct mime_parser *p, enum rest rest, struct str octets)
{
    const char *at = octets.p, *end = octets.p + octets.n;
    if (octets.n == 0)
        return;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        p->lines++;
        at++;
    }
    bool cr = octets.n > 1 ? end[-2] == '\r' : p->last_cr;
    p->eol = end[-1] != '\n' ? 0 : cr ? 2 : 1;
    p->last_cr = end[-1] == '\r';
    p->offset += octets.n;
    if (rest == REST_BODY && p->want_body) {
        take_body(p, octets);
    } else if (rest == REST_HEADER) {
        size_t room = p->limits.header_max - buf_len(&p->header);
        if (buf_put(&p->header, str_head(octets, room)) < 0)
            p->failed = true;
    }
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A part between two delimiters that follow each other directly is empty, and stands where the line
 * end is that belongs to the second one: it is held within its parent. */
static void hold_children(struct mime_part *part)
{
    for (struct mime_part *p = part->last; p && p->body_end > part->body_end; p = p->last) {
        p->header_start = at_most(p->header_start, part->body_end);
        p->body_start = at_most(p->body_start, part->body_end);
        p->body_end = part->body_end;
    }
}

/* Ends all parts below `up` (all of them for NULL) at `at`, behind a line end of eol octets. */
static void close_parts(struct mime_parser *p, struct mime_part *up, uint64_t at, unsigned eol)
{
    while (p->current && p->current != up) {
        struct mime_part *part = p->current;
        uint64_t lines = p->lines - part->body_lines;
        part->body_end = at;
        if (eol > 0 && at >= part->body_start + eol) {
            part->body_end -= eol;
            lines--;
        }
        part->body_lines = lines;
        hold_children(part);
        if (p->handler.end)
            p->handler.end(p->handler.arg, part);
        p->want_body = false;
        p->current = part->parent;
    }
}

/* ---- lines */

static void delimiter(struct mime_parser *p, uint32_t which, bool close)
{
    struct mime_frame *frame = &p->frames[which];
    uint64_t before = p->offset - p->eol; /* a header that ends here has no empty line */
    if (p->state == IN_HEADER)
        end_headers(p, before > p->current->header_start ? before : p->current->header_start);
    close_parts(p, frame->part, p->offset, p->eol);
    p->open = which + 1;
    p->current = frame->part;
    p->inside_opaque = false;
    p->state = IN_SKIP;
    frame->closed = close;
    p->boundary_longest = 0;
    for (uint32_t i = 0; i < p->open; i++)
        if (p->frames[i].boundary.n > p->boundary_longest)
            p->boundary_longest = p->frames[i].boundary.n;
    p->rest = close ? REST_SKIP : REST_DELIMITER;
}

static bool is_empty(struct str line)
{
    return str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"));
}

/* May this be the first line of a header block? */
static bool starts_header(struct str head)
{
    struct str name;
    size_t value_at;
    return header_line(head, &name, &value_at) || head.p[0] == ' ' || head.p[0] == '\t' ||
           is_empty(head) || str_starts(head, STR("From ")) || str_starts(head, STR(">From "));
}

/* Judges a line by its head and says what the whole of it is. */
static enum rest judge(struct mime_parser *p, struct str head)
{
    uint32_t which;
    if (boundaries_matter(p)) {
        struct str text = head;
        while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
            text.n--;
        enum mime_line line = mime_match(p->frames, p->open, text, p->inside_opaque, &which);
        bool full = line == MIME_DELIMITER && p->count >= p->limits.parts;
        if (full && !p->frames[which].closed)
            p->stopped = true;
        else if (line != MIME_TEXT && !p->frames[which].closed) {
            delimiter(p, which, line == MIME_CLOSE);
            return p->rest;
        }
    }
    if (p->state == IN_HEADER && p->offset == p->current->header_start && !starts_header(head))
        end_headers(p, p->offset);
    return p->state == IN_HEADER ? REST_HEADER : p->state == IN_BODY ? REST_BODY : REST_SKIP;
}

/* A line, or what there is of it, has been taken: it ended here. */
static void end_line(struct mime_parser *p, enum rest rest, bool empty)
{
    p->rest = REST_NONE;
    if (rest == REST_DELIMITER)
        p->begin_part = true; /* if anything follows */
    else if (rest == REST_HEADER && empty)
        end_header(p, p->offset);
}

/* A judged line: all of it, or its head, whose rest is to follow. */
static void take_line(struct mime_parser *p, struct str line, size_t head_size)
{
    enum rest rest = judge(p, str_head(line, head_size));
    bool ends = line.p[line.n - 1] == '\n', empty = is_empty(line);
    take(p, rest, line);
    p->rest = (uint8_t)rest;
    if (ends)
        end_line(p, rest, empty);
}

/* The lines at the front of the chunk that need no judgement, and the start of one. */
static size_t plain_lines(const struct mime_parser *p, struct str chunk)
{
    size_t at = 0;
    if (!boundaries_matter(p))
        return chunk.n;
    while (at < chunk.n) {
        if (chunk.p[at] == '-' && (at + 1 == chunk.n || chunk.p[at + 1] == '-'))
            break;
        const char *lf = memchr(chunk.p + at, '\n', chunk.n - at);
        at = lf ? (size_t)(lf - chunk.p) + 1 : chunk.n;
    }
    return at;
}

/* Takes from the chunk at the start of a line; returns the octets taken. */
static size_t feed_at_start(struct mime_parser *p, struct str chunk)
{
    size_t held = buf_len(&p->line), max = head_max(p), n;
    const char *lf;
    if (held == 0 && p->state != IN_HEADER && (n = plain_lines(p, chunk)) > 0) {
        enum rest rest = p->state == IN_BODY ? REST_BODY : REST_SKIP;
        take(p, rest, str_head(chunk, n));
        /* without boundaries there is no line to be judged ever again */
        if (chunk.p[n - 1] != '\n' && boundaries_matter(p))
            p->rest = (uint8_t)rest;
        return n;
    }
    lf = memchr(chunk.p, '\n', chunk.n);
    n = lf ? (size_t)(lf - chunk.p) + 1 : chunk.n;
    if (held == 0 && lf) {
        take_line(p, str_head(chunk, n), max);
        return n;
    }
    if (n > max - held)
        n = max - held;
    if (buf_put(&p->line, str_head(chunk, n)) < 0) {
        p->failed = true;
    } else if (buf_len(&p->line) == max || chunk.p[n - 1] == '\n') {
        take_line(p, buf_str(&p->line), max);
        buf_clear(&p->line);
    }
    return n;
}

static size_t feed_rest(struct mime_parser *p, struct str chunk)
{
    const char *lf = memchr(chunk.p, '\n', chunk.n);
    size_t n = lf ? (size_t)(lf - chunk.p) + 1 : chunk.n;
    enum rest rest = p->rest;
    take(p, rest, str_head(chunk, n));
    if (lf)
        end_line(p, rest, false);
    return n;
}

void mime_init(
    struct mime_parser *p, const struct mime_limits *limits, const struct mime_handler *handler)
{
    *p = (struct mime_parser){.limits = *limits};
    if (handler)
        p->handler = *handler;
    arena_init(&p->arena, limits->memory_max);
    buf_init(&p->header, limits->header_max);
    buf_init(&p->line, MIME_BOUNDARY_MAX + 2 + 2 + PADDING_MAX);
    p->frames = arena_array(&p->arena, limits->depth + 1, sizeof *p->frames);
    p->root = p->frames ? add_part(p, NULL, 0) : NULL;
    p->failed = !p->root;
    if (p->root)
        p->root->message = true;
}

/* Something follows a delimiter: a part, unless its predecessor's last embedded message was the
 * last one that is allowed. */
static void begin_part(struct mime_parser *p)
{
    p->begin_part = false;
    if (p->count < p->limits.parts)
        add_part(p, p->current, p->offset);
    else
        p->stopped = true;
}

void mime_feed(struct mime_parser *p, struct str chunk)
{
    while (chunk.n > 0 && !p->failed) {
        if (p->begin_part)
            begin_part(p);
        size_t n = p->rest == REST_NONE ? feed_at_start(p, chunk) : feed_rest(p, chunk);
        CHECK(n > 0 && n <= chunk.n);
        chunk = str_from(chunk, n);
    }
}

struct mime_part *mime_finish(struct mime_parser *p)
{
    if (!p->failed && buf_len(&p->line) > 0) {
        take_line(p, buf_str(&p->line), head_max(p));
        buf_clear(&p->line);
    }
    if (p->failed)
        return NULL;
    end_headers(p, p->offset);
    if (p->want_body)
        put_body(p, str_of(p->held, p->held_count));
    close_parts(p, NULL, p->offset, 0);
    return p->failed ? NULL : p->root;
}

void mime_done(struct mime_parser *p)
{
    arena_done(&p->arena);
    buf_done(&p->header);
    buf_done(&p->line);
}

struct mime_part *mime_next(const struct mime_part *part)
{
    if (part->first)
        return part->first;
    while (part && !part->next)
        part = part->parent;
    return part ? part->next : NULL;
}
