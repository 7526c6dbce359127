/* First pass: the structure is parsed and the edits are planned. */
#include "mail/downgrade.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

#include "mail/chars.h"
#include "mail/downgrade_int.h"

enum {
    ENCODING_FIELDS_MAX = 4, /* Content-Transfer-Encoding in one header */
    FOLD_BEFORE = 990
};

struct span {
    uint64_t offset, length;
};

/* What is known of a part; mime_part.user */
struct info {
    struct span encodings[ENCODING_FIELDS_MAX];
    uint32_t encoding_count;
    uint64_t insert_at;                             /* where fields can be added */
    uint64_t octets, special, eight, longest, line; /* of a leaf's body */
    uint64_t eight_header, eight_below;             /* of the header; of all parts below */
    bool cut;                                       /* not all of its header was seen */
    bool bare;                                      /* it has no header, not even an empty line */
    bool mime_version;                              /* the field is there */
    bool is_signed;                                 /* it, or something around it */
    bool quoted;                                    /* by a report */
    bool enclosed; /* there is a message/global around it, which is encoded as a whole */
    bool embedded; /* it is in an embedded message */
    bool cr;
};

static bool failed(const struct downgrade_plan *p)
{
    return p->refused.class != ERR_NONE;
}

static void fail_memory(struct downgrade_plan *p)
{
    if (p->arena.no_memory)
        err_memory(&p->refused, "downgrade");
    else if (!failed(p))
        err_set_status(&p->refused, ERR_PERMANENT, (struct err_status){5, 6, 3}, "downgrade",
            "the message is too complex to be converted");
}

static void refuse(struct downgrade_plan *p, int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {DOWNGRADE_NOT_POSSIBLE, "the message cannot be converted without damage"},
        {DOWNGRADE_NO_ADDRESS, "an address in the header needs SMTPUTF8"},
        {DOWNGRADE_NO_FIELD, "a header field needs SMTPUTF8"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows) && !failed(p); i++)
        if (rows[i].status == status)
            err_set_status(&p->refused, ERR_PERMANENT,
                (struct err_status){5, 6, (uint16_t)(status % 1000)}, "downgrade", "%s",
                rows[i].text);
}

/* ---- edits */

static struct downgrade_edit *add_edit(struct downgrade_plan *p, uint64_t offset, uint64_t length)
{
    if (p->count == DOWNGRADE_EDITS_MAX) {
        fail_memory(p);
        return NULL;
    }
    p->edits[p->count] = (struct downgrade_edit){.offset = offset, .length = length};
    return &p->edits[p->count++];
}

static void replace(struct downgrade_plan *p, struct span span, struct str text)
{
    struct str copy;
    if (!arena_dup(&p->arena, text, &copy)) {
        fail_memory(p);
        return;
    }
    struct downgrade_edit *edit = add_edit(p, span.offset, span.length);
    if (edit)
        edit->text = copy;
}

static int compare_edits(const void *a, const void *b)
{
    const struct downgrade_edit *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->length > y->length) - (x->length < y->length); /* what is inserted comes first */
}

/* ---- headers */

static struct info *info_of(const struct mime_part *part)
{
    return part ? part->user : NULL;
}

static bool signs_all(const struct mime_part *part)
{
    return mime_is(part, STR("multipart"), STR("signed")) ||
           mime_is(part, STR("multipart"), STR("encrypted"));
}

/* What a report quotes is a copy: nobody relies on a signature within that. */
static bool is_quoted(const struct mime_part *part)
{
    const struct mime_part *up = part->parent ? part->parent->parent : NULL;
    return part->message && up && mime_is(up, STR("multipart"), STR("report"));
}

static void inherit(struct info *info, const struct mime_part *part)
{
    const struct info *up = info_of(part->parent);
    info->quoted = is_quoted(part);
    if (up) {
        info->quoted |= up->quoted;
        info->is_signed = up->is_signed;
        info->embedded = up->embedded || part->message;
        info->enclosed = up->enclosed || mime_is(part->parent, STR("message"), STR("global"));
    }
    info->is_signed |= signs_all(part) && !info->quoted;
}

/* RFC 5322 2.2.3: inserts line ends before white space of the value, where a line would be too
 * long. Never one that leaves a line of white space alone. */
static void fold(struct downgrade_plan *p, struct str field, size_t value_at, uint64_t offset)
{
    size_t start = 0, break_at = 0;
    for (size_t i = value_at; i < field.n; i++) {
        if (field.p[i] == '\n') {
            start = i + 1;
            break_at = 0;
        } else if (mail_is(field.p[i], CHAR_WSP)) {
            if (i > start && !mail_is(field.p[i - 1], CHAR_WSP))
                break_at = i;
        } else if (i - start >= FOLD_BEFORE && break_at > start) {
            replace(p, (struct span){offset + break_at, 0}, STR("\r\n"));
            start = break_at;
            break_at = 0;
        }
    }
}

static bool has_long_line(struct str s)
{
    for (struct str line; s.n > 0;) {
        str_cut(&s, '\n', &line);
        if (line.n > DOWNGRADE_LINE_MAX)
            return true;
    }
    return false;
}

static void convert(
    struct downgrade_plan *p, const struct header_field *f, struct str raw, struct span span)
{
    struct buf text;
    buf_init(&text, 16 * raw.n + 1024); /* a word of one octet becomes one of 23 */
    int result = downgrade_field(f, raw, &text);
    if (result == 0)
        replace(p, span, buf_str(&text));
    else if (result < 0)
        err_memory(&p->refused, "downgrade");
    else
        refuse(p, result);
    buf_done(&text);
}

static void take_field(struct downgrade_plan *p, const struct mime_part *part,
    const struct header_field *f, struct str block)
{
    struct info *info = part->user;
    struct str raw = str_sub(block, f->offset, f->length);
    struct span span = {part->header_start + f->offset, f->length};
    bool eight = downgrade_count_eight(raw) > 0;
    bool wanted = p->want.body || (p->want.header && !info->embedded);
    if (f->id == HEADER_CONTENT_TRANSFER_ENCODING && !eight) {
        if (info->encoding_count < ENCODING_FIELDS_MAX)
            info->encodings[info->encoding_count] = span;
        info->encoding_count++;
        return;
    }
    info->mime_version |= f->id == HEADER_MIME_VERSION;
    if (info->enclosed)
        return;
    if (eight && wanted && info->is_signed)
        refuse(p, p->want.header ? DOWNGRADE_NO_FIELD : DOWNGRADE_NOT_POSSIBLE);
    else if (eight && wanted)
        convert(p, f, raw, span);
    else if (p->want.lines && !info->is_signed && f->value.n > 0 && has_long_line(raw))
        fold(p, raw, (size_t)(f->value.p - raw.p), span.offset);
}

static bool is_dkim_signed(struct str block)
{
    struct header_iter it = header_iter(block);
    struct header_field f;
    return header_find(&it, STR("DKIM-Signature"), &f);
}

/* The end of the header block: before its empty line, if there is one. */
static void find_insert_at(struct info *info, const struct mime_part *part, struct str block)
{
    size_t eol = str_ends(block, STR("\r\n")) ? 2 : 1;
    info->bare = block.n == 0;
    info->insert_at = part->body_start - (info->bare ? 0 : eol);
}

static bool on_header(void *arg, struct mime_part *part, struct str block)
{
    struct downgrade_plan *p = arg;
    struct header_iter it = header_iter(block);
    struct header_field f;
    struct info *info = ARENA_NEW(&p->arena, struct info);
    part->user = info;
    p->parts++;
    if (!info) {
        fail_memory(p);
        return false;
    }
    inherit(info, part);
    info->is_signed |= part->message && !info->quoted && is_dkim_signed(block);
    info->cut = block.n == p->parser.limits.header_max;
    info->eight_header = downgrade_count_eight(block);
    p->touchy |= info->is_signed || info->cut;
    find_insert_at(info, part, block);
    while (!failed(p) && header_next(&it, &f))
        take_field(p, part, &f, block);
    return !failed(p);
}

/* ---- bodies */

static void on_body(void *arg, struct mime_part *part, struct str octets)
{
    struct info *info = part->user;
    (void)arg;
    if (!info)
        return;
    info->octets += octets.n;
    for (size_t i = 0; i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        info->eight += c >> 7;
        info->special += c == '=' || c > 126 || (c < ' ' && c != '\t' && c != '\r' && c != '\n');
        if (c == '\n') {
            if (info->line - info->cr > info->longest)
                info->longest = info->line - info->cr;
            info->line = 0;
        } else {
            info->line++;
        }
        info->cr = c == '\r';
    }
}

/* RFC 2045 6.4: no encoding but 7bit, 8bit and binary for multipart, and for message but the types
 * of RFC 6532 3.7 and 6533. */
static bool may_be_encoded(const struct mime_part *part)
{
    struct str subtype;
    if (part->opaque || mime_is(part, STR("multipart"), STR_NONE))
        return false;
    if (!str_eq_ascii(mime_type(part, &subtype), STR("message")))
        return true;
    return str_starts_ascii(subtype, STR("global-"));
}

/* Makes the part's Content-Transfer-Encoding this one. */
static void set_encoding(struct downgrade_plan *p, const struct mime_part *part, const char *name)
{
    const struct info *info = part->user;
    struct buf text;
    if (info->encoding_count > ENCODING_FIELDS_MAX || info->cut) {
        refuse(p, DOWNGRADE_NOT_POSSIBLE);
        return;
    }
    buf_init(&text, 256);
    if (info->encoding_count == 0 && part->message && !info->mime_version)
        buf_put(&text, STR("MIME-Version: 1.0\r\n"));
    buf_printf(&text, "Content-Transfer-Encoding: %s\r\n", name);
    if (info->bare)
        buf_put(&text, STR("\r\n"));
    if (!buf_ok(&text))
        err_memory(&p->refused, "downgrade");
    struct span first = {info->insert_at, 0};
    if (info->encoding_count > 0)
        first = info->encodings[0];
    replace(p, first, buf_str(&text));
    for (uint32_t i = 1; i < info->encoding_count; i++)
        replace(p, info->encodings[i], STR_NONE);
    buf_done(&text);
}

/* Quoted-printable costs two octets for each special one, Base 64 a third of all. */
static enum mime_encoding choose(const struct info *info)
{
    return info->special * 6 <= info->octets ? MIME_QUOTED_PRINTABLE : MIME_BASE64;
}

static void recode(struct downgrade_plan *p, const struct mime_part *part, enum mime_encoding from,
    enum mime_encoding to)
{
    set_encoding(p, part, to == MIME_BASE64 ? "base64" : "quoted-printable");
    struct downgrade_edit *edit =
        failed(p) ? NULL : add_edit(p, part->body_start, part->body_end - part->body_start);
    if (!edit)
        return;
    edit->recode = true;
    edit->from = (uint8_t)from;
    edit->to = (uint8_t)to;
}

static void end_leaf(struct downgrade_plan *p, const struct mime_part *part, struct info *info)
{
    enum mime_encoding from = (enum mime_encoding)part->encoding;
    if (info->line - info->cr > info->longest) /* the last line may have no end */
        info->longest = info->line - info->cr;
    bool must = p->want.body && info->eight > 0;
    bool can = may_be_encoded(part) && !info->is_signed && !info->cut && from != MIME_UUENCODE &&
               from != MIME_UNKNOWN && info->encoding_count <= ENCODING_FIELDS_MAX;
    if (!must && !(p->want.lines && info->longest > DOWNGRADE_LINE_MAX))
        return;
    if (!can && must)
        refuse(p, DOWNGRADE_NOT_POSSIBLE);
    else if (can)
        recode(p, part, from,
            from == MIME_QUOTED_PRINTABLE || from == MIME_BASE64 ? from : choose(info));
}

/* A message/global is encoded as a whole: what it holds may be UTF-8 everywhere. */
static void end_global(struct downgrade_plan *p, const struct mime_part *part)
{
    if (info_of(part)->is_signed)
        refuse(p, DOWNGRADE_NOT_POSSIBLE);
    else
        recode(p, part, MIME_8BIT, MIME_BASE64);
}

static void on_end(void *arg, struct mime_part *part)
{
    struct downgrade_plan *p = arg;
    struct info *info = part->user, *up = info_of(part->parent);
    bool labelled = part->encoding == MIME_8BIT || part->encoding == MIME_BINARY;
    if (!info || failed(p))
        return;
    *(up ? &up->eight_below : &p->eight_known) +=
        info->eight_header + info->eight + info->eight_below;
    if (info->enclosed)
        return;
    if (part->kind == MIME_LEAF)
        end_leaf(p, part, info);
    else if (!p->want.body || info->eight_below == 0)
        return;
    else if (mime_is(part, STR("message"), STR("global")))
        end_global(p, part);
    else if (labelled) /* RFC 2045 6.4: what is below has become 7bit */
        set_encoding(p, part, "7bit");
}

/* ---- the plan */

void downgrade_plan_init(struct downgrade_plan *p, struct downgrade_want want)
{
    struct mime_handler handler = {.arg = p, .header = on_header, .body = on_body, .end = on_end};
    *p = (struct downgrade_plan){.want = want};
    arena_init(&p->arena, DOWNGRADE_MEMORY_MAX);
    p->edits = mem_array(DOWNGRADE_EDITS_MAX, sizeof *p->edits);
    if (!p->edits)
        err_memory(&p->refused, "downgrade");
    mime_init(&p->parser, &MIME_LIMITS_DEFAULT, &handler);
}

void downgrade_plan_feed(struct downgrade_plan *p, struct str chunk)
{
    if (failed(p))
        return;
    p->eight += downgrade_count_eight(chunk);
    mime_feed(&p->parser, chunk);
}

/* Octets above 127 between parts may be changed, but not where a signature may cover them, nor
 * where they are in fact in a header that was too long to be looked at. */
static bool has_untouchable(const struct downgrade_plan *p)
{
    return p->want.body && p->eight > p->eight_known && p->touchy;
}

int downgrade_plan_finish(struct downgrade_plan *p, struct err *e)
{
    bool must = p->want.body || p->want.header;
    if (!failed(p) && !mime_finish(&p->parser) && !failed(p))
        err_memory(&p->refused, "downgrade");
    if (!failed(p) && has_untouchable(p))
        refuse(p, DOWNGRADE_NOT_POSSIBLE);
    /* parts that are past the limit lie in what looks like one */
    if (!failed(p) && p->count > 0 && p->parts >= p->parser.limits.parts)
        fail_memory(p);
    if (failed(p) && (must || p->refused.class == ERR_TEMPORARY)) {
        if (e)
            *e = p->refused;
        return -1;
    }
    if (failed(p))
        p->count = 0; /* long lines go as they are */
    if (p->count > 0)
        qsort(p->edits, p->count, sizeof *p->edits, compare_edits);
    return 0;
}

void downgrade_plan_done(struct downgrade_plan *p)
{
    mime_done(&p->parser);
    arena_done(&p->arena);
    mem_free(p->edits);
    p->edits = NULL;
}
