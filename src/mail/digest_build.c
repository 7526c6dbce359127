#include "base/mem.h"

#include "mail/charset.h"
#include "mail/digest_int.h"
#include "mail/html_text.h"
#include "mail/rfc2231.h"
#include "mail/subject.h"
#include "mail/transfer.h"

enum {
    KEYS_MAX = 128 << 10
};

static bool is_attachment(const struct mime_part *part)
{
    return part->fields && str_eq_ascii(part->fields->disposition.value, STR("attachment"));
}

/* ---- preview */

static bool wants_preview(struct digest_builder *b, const struct mime_part *part)
{
    if (b->preview_done || b->text_part || is_attachment(part))
        return false;
    return mime_is(part, STR("text"), STR("plain")) || mime_is(part, STR("text"), STR("html"));
}

static void begin_text(struct digest_builder *b, const struct mime_part *part)
{
    b->transfer = b->transfer ? b->transfer : MEM_NEW(struct transfer);
    b->html = b->html ? b->html : MEM_NEW(struct html_text);
    if (!b->transfer || !b->html) {
        b->failed = true;
        return;
    }
    transfer_init(b->transfer, part->encoding);
    html_text_init(b->html);
    buf_clear(&b->window);
    b->text_part = part;
}

/* The window holds text up to `end`: convert it, strip it, look at it. */
static void take_window(struct digest_builder *b, size_t end)
{
    struct str charset = STR_NONE;
    struct buf utf8, own, quoted;
    if (b->text_part->fields)
        mime_param_find(&b->text_part->fields->type, STR("charset"), &charset);
    buf_init(&utf8, 4 * DIGEST_WINDOW);
    charset_to_utf8(charset, str_head(buf_str(&b->window), end), 4 * DIGEST_WINDOW, &utf8);
    buf_consume(&b->window, end);
    if (!mime_is(b->text_part, STR("text"), STR("html"))) {
        preview_feed(&b->preview, buf_str(&utf8));
        b->failed |= !buf_ok(&utf8);
        buf_done(&utf8);
        return;
    }
    buf_init(&own, 8 * DIGEST_WINDOW);
    buf_init(&quoted, 8 * DIGEST_WINDOW);
    html_text_feed(b->html, buf_str(&utf8), &own, &quoted);
    preview_feed(&b->preview, buf_str(&own));
    preview_feed_quoted(&b->preview, buf_str(&quoted));
    b->failed |= !buf_ok(&utf8) || !buf_ok(&own) || !buf_ok(&quoted);
    buf_done(&utf8);
    buf_done(&own);
    buf_done(&quoted);
}

/* A full window is cut behind its last line end: charsets with states are back to ASCII there, and
 * no character is torn. */
static size_t window_cut(struct str window)
{
    ptrdiff_t lf = str_find_last(window, '\n');
    return lf >= 0 ? (size_t)lf + 1 : window.n;
}

static void take_full_windows(struct digest_builder *b)
{
    while (buf_len(&b->window) >= DIGEST_WINDOW) {
        take_window(b, window_cut(str_head(buf_str(&b->window), DIGEST_WINDOW)));
        b->windows++;
    }
}

static void feed_text(struct digest_builder *b, struct str octets)
{
    while (octets.n > 0 && !preview_full(&b->preview) && b->windows < DIGEST_WINDOWS_MAX) {
        struct str piece = str_head(octets, DIGEST_WINDOW - buf_len(&b->window));
        if (transfer_feed(b->transfer, piece, &b->window) < 0) {
            b->failed = true;
            return;
        }
        octets = str_from(octets, piece.n);
        take_full_windows(b);
    }
}

static void end_text(struct digest_builder *b)
{
    transfer_finish(b->transfer, &b->window);
    take_full_windows(b);
    take_window(b, buf_len(&b->window));
    b->text_part = NULL;
    /* RFC 8970 3.1: text that is there; else the next part may have some */
    b->preview_done = preview_text(&b->preview).n > 0 || b->windows >= DIGEST_WINDOWS_MAX;
}

/* ---- what the parser tells */

/* NULL at the ceiling: a digest without this envelope is still one. */
static struct str *keep(struct digest_builder *b, const struct buf *encoded)
{
    struct str *kept = ARENA_NEW(&b->arena, struct str);
    bool ok = kept && arena_dup(&b->arena, buf_str(encoded), kept);
    b->failed |= !buf_ok(encoded) || b->arena.no_memory;
    return ok ? kept : NULL;
}

static void take_envelope(struct digest_builder *b, struct mime_part *part, struct str block)
{
    struct buf out, sort, thread;
    bool root = part->parent == NULL;
    buf_init(&out, DIGEST_MAX); /* the arena says whether it is kept */
    buf_init(&sort, KEYS_MAX);
    buf_init(&thread, KEYS_MAX);
    dig_put_envelope(block, &out, root ? &sort : NULL, root ? &thread : NULL, &b->scratch);
    part->user = keep(b, &out);
    if (root) {
        struct str *kept_sort = keep(b, &sort), *kept_thread = keep(b, &thread);
        b->sort = kept_sort ? *kept_sort : STR_NONE;
        b->thread = kept_thread ? *kept_thread : STR_NONE;
    }
    buf_done(&out);
    buf_done(&sort);
    buf_done(&thread);
}

static bool on_header(void *arg, struct mime_part *part, struct str block)
{
    struct digest_builder *b = arg;
    if (part->message)
        take_envelope(b, part, block);
    if (!wants_preview(b, part))
        return false;
    begin_text(b, part);
    return !b->failed;
}

static void on_body(void *arg, struct mime_part *part, struct str octets)
{
    struct digest_builder *b = arg;
    if (part == b->text_part)
        feed_text(b, octets);
}

static void on_end(void *arg, struct mime_part *part)
{
    struct digest_builder *b = arg;
    if (part == b->text_part)
        end_text(b);
}

void digest_begin(struct digest_builder *b, const struct mime_limits *limits)
{
    struct mime_handler handler = {.arg = b, .header = on_header, .body = on_body, .end = on_end};
    *b = (struct digest_builder){0};
    arena_init(&b->arena, limits->memory_max);
    /* a piece of a header, or something decoded that has a ceiling of its own */
    buf_init(&b->scratch, limits->header_max + RFC2231_VALUE_MAX + SUBJECT_KEY_MAX);
    /* a piece of a window's size at most doubles: lone line feeds */
    buf_init(&b->window, 2 * DIGEST_WINDOW + TRANSFER_HELD + 16);
    preview_init(&b->preview, PREVIEW_CHARS);
    mime_init(&b->parser, limits, &handler);
}

void digest_feed(struct digest_builder *b, struct str chunk)
{
    mime_feed(&b->parser, chunk);
}

void digest_done(struct digest_builder *b)
{
    mime_done(&b->parser);
    arena_done(&b->arena);
    buf_done(&b->scratch);
    buf_done(&b->window);
    mem_free(b->transfer);
    mem_free(b->html);
    *b = (struct digest_builder){0};
}

/* ---- the encoded form */

static void put_params(struct buf *out, const struct mime_value *v)
{
    struct buf params;
    buf_init(&params, DIGEST_MAX);
    for (unsigned i = 0; v && i < v->count; i++) {
        dig_put_slice(&params, v->params[i].name);
        dig_put_slice(&params, v->params[i].value);
    }
    dig_put_slice(out, buf_str(&params));
    out->bad |= !buf_ok(&params);
    buf_done(&params);
}

static void put_file_name(struct buf *out, const struct mime_fields *f, struct buf *scratch)
{
    buf_clear(scratch);
    if (f)
        rfc2231_file_name(&f->disposition, &f->type, scratch);
    out->bad |= !buf_ok(scratch);
    dig_put_slice(out, buf_str(scratch));
}

/* kind, encoding and three marks in one number */
static uint64_t part_flags(const struct mime_part *part)
{
    return (uint64_t)part->kind | (uint64_t)part->message << 2 | (uint64_t)part->opaque << 3 |
           (uint64_t)is_attachment(part) << 4 | (uint64_t)part->encoding << 5;
}

static void put_part(struct buf *out, const struct mime_part *part, struct buf *scratch)
{
    static const struct mime_fields none;
    const struct mime_fields *f = part->fields ? part->fields : &none;
    const struct str *envelope = part->user;
    struct str subtype, type = mime_type(part, &subtype);
    dig_put_number(out, part->parent ? part->parent->index : 0);
    dig_put_number(out, part_flags(part));
    dig_put_number(out, part->header_start);
    dig_put_number(out, part->body_start - part->header_start);
    dig_put_number(out, part->body_end - part->body_start);
    dig_put_number(out, part->body_lines);
    dig_put_slice(out, type);
    dig_put_slice(out, subtype);
    put_params(out, &f->type);
    dig_put_slice(out, f->disposition.value);
    put_params(out, &f->disposition);
    dig_put_slice(out, f->encoding);
    dig_put_slice(out, f->id);
    dig_put_slice(out, f->description);
    dig_put_slice(out, f->language);
    dig_put_slice(out, f->location);
    dig_put_slice(out, f->md5);
    put_file_name(out, part->fields, scratch);
    dig_put_slice(out, envelope ? *envelope : STR_NONE);
}

int digest_finish(struct digest_builder *b, struct buf *out, struct err *e)
{
    struct mime_part *root = mime_finish(&b->parser);
    if (!root || b->failed)
        return err_memory(e, "digest");
    dig_put_number(out, DIGEST_VERSION);
    dig_put_number(out, b->parser.offset);
    dig_put_number(out, b->parser.count);
    struct buf parts;
    buf_init(&parts, DIGEST_MAX);
    for (struct mime_part *part = root; part; part = mime_next(part))
        put_part(&parts, part, &b->scratch);
    bool ok = buf_ok(&parts);
    dig_put_slice(out, buf_str(&parts));
    buf_done(&parts);
    dig_put_slice(out, b->sort);
    dig_put_slice(out, b->thread);
    dig_put_slice(out, preview_text(&b->preview));
    return ok && buf_ok(out) ? 0 : err_memory(e, "digest");
}
