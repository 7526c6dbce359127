#include "cmd/show.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/escape.h"

#include "mail/header.h"
#include "mail/mime.h"
#include "mail/rfc2047.h"
#include "mail/rfc2231.h"
#include "mail/text.h"
#include "mail/transfer.h"

#include "cmd/cmd.h"
#include "cmd/print.h"

enum {
    VALUE_MAX = 64 * 1024,
    TEXT_OUT_MAX = 16 << 20, /* of text shown; the rest is there with --raw */
};

static const char *const shown[] = {
    "Return-Path", "Delivered-To", "From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date"};

/* The value of the first field of that name, decoded. False where there is none. */
static bool field_of(struct str header, const char *name, struct buf *value)
{
    struct header_iter it = header_iter(header);
    struct header_field f;

    buf_clear(value);
    if (!header_find(&it, str_c(name), &f))
        return false;
    rfc2047_decode(f.value, VALUE_MAX / 2, value);
    return true;
}

static struct str part_octets(struct str raw, const struct mime_part *part)
{
    return str_sub(raw, part->body_start, part->body_end - part->body_start);
}

static bool is_attachment(const struct mime_part *part)
{
    struct str type, subtype;

    if (part->kind != MIME_LEAF)
        return false;
    if (part->fields && str_eq_ascii(part->fields->disposition.value, STR("attachment")))
        return true;
    type = mime_type(part, &subtype);
    return !str_eq_ascii(type, STR("text"));
}

static bool in_alternative(const struct mime_part *part)
{
    return part->parent && mime_is(part->parent, STR("multipart"), STR("alternative"));
}

/* Of an alternative the plain text, where there is one; else what comes. */
static bool is_shown(const struct mime_part *part)
{
    const struct mime_part *sibling;

    if (part->kind != MIME_LEAF || is_attachment(part))
        return false;
    if (!in_alternative(part) || mime_is(part, STR("text"), STR("plain")))
        return true;
    for (sibling = part->parent->first; sibling; sibling = sibling->next)
        if (mime_is(sibling, STR("text"), STR("plain")))
            return false;
    return mime_is(part, STR("text"), STR("html"));
}

static void put_text(struct str raw, const struct mime_part *part, struct buf *out)
{
    struct text_form form = {
        .encoding = (enum mime_encoding)part->encoding,
        .html = mime_is(part, STR("text"), STR("html")),
    };

    if (part->fields)
        mime_param_find(&part->fields->type, STR("charset"), &form.charset);
    text_extract(&form, part_octets(raw, part), TEXT_OUT_MAX, out);
}

static void file_name(const struct mime_part *part, struct buf *name)
{
    buf_clear(name);
    if (part->fields)
        rfc2231_file_name(&part->fields->disposition, &part->fields->type, name);
}

static void print_attachment(struct str raw, const struct mime_part *part)
{
    struct str subtype, type = mime_type(part, &subtype);
    struct buf name, clean;
    struct buf decoded;

    buf_init(&name, VALUE_MAX);
    buf_init(&clean, VALUE_MAX);
    buf_init(&decoded, raw.n + 1024);
    file_name(part, &name);
    transfer_decode((enum mime_encoding)part->encoding, part_octets(raw, part), &decoded);
    escape_put(&clean, buf_str(&name), ESCAPE_TERMINAL);
    printf("[attachment: %.*s, %.*s/%.*s, %zu octets]\n",
        STR_ARG(buf_len(&clean) ? buf_str(&clean) : STR("without a name")), STR_ARG(type),
        STR_ARG(subtype), buf_len(&decoded));
    buf_done(&decoded);
    buf_done(&clean);
    buf_done(&name);
}

static void print_header(struct str header)
{
    struct buf value, clean;

    buf_init(&value, VALUE_MAX);
    buf_init(&clean, VALUE_MAX * 4);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        if (!field_of(header, shown[i], &value))
            continue;
        buf_clear(&clean);
        escape_put(&clean, buf_str(&value), ESCAPE_TERMINAL);
        printf("%s: %.*s\n", shown[i], STR_ARG(buf_str(&clean)));
    }
    buf_done(&clean);
    buf_done(&value);
}

static struct mime_part *parse(struct mime_parser *p, struct str raw)
{
    static const struct mime_handler none;
    struct mime_limits limits = MIME_LIMITS_DEFAULT;

    mime_init(p, &limits, &none);
    mime_feed(p, raw);
    return mime_finish(p);
}

int show_text(struct str raw)
{
    struct mime_parser parser;
    struct mime_part *root = parse(&parser, raw);
    struct buf text;

    if (!root) {
        mime_done(&parser);
        return cmd_fail("out of memory");
    }
    buf_init(&text, TEXT_OUT_MAX + VALUE_MAX);
    print_header(str_sub(raw, root->header_start, root->body_start - root->header_start));
    putchar('\n');
    for (const struct mime_part *part = root; part; part = mime_next(part)) {
        if (is_shown(part)) {
            buf_clear(&text);
            put_text(raw, part, &text);
            fwrite(buf_str(&text).p, 1, buf_len(&text), stdout);
            if (!str_ends(buf_str(&text), STR("\n")))
                putchar('\n');
        } else if (is_attachment(part)) {
            print_attachment(raw, part);
        }
    }
    buf_done(&text);
    mime_done(&parser);
    return EXIT_DONE;
}

static json_t *part_json(const struct mime_part *part, struct buf *scratch)
{
    struct str subtype, type = mime_type(part, &subtype);
    json_t *name;

    file_name(part, scratch);
    name = buf_len(scratch) ? json_stringn(buf_str(scratch).p, buf_len(scratch)) : json_null();
    buf_clear(scratch);
    buf_printf(scratch, "%.*s/%.*s", STR_ARG(type), STR_ARG(subtype));
    return json_pack("{s:o, s:o, s:I, s:b}", "type",
        json_stringn(buf_str(scratch).p, buf_len(scratch)) ?: json_null(), "name",
        name ?: json_null(), "size", (json_int_t)(part->body_end - part->body_start), "attachment",
        is_attachment(part));
}

static json_t *header_json(struct str header, struct buf *scratch)
{
    struct header_iter it = header_iter(header);
    json_t *fields = json_array();
    struct header_field f;

    while (header_next(&it, &f)) {
        json_t *value;
        if (f.id == HEADER_JUNK)
            continue;
        buf_clear(scratch);
        rfc2047_decode(f.value, VALUE_MAX / 2, scratch);
        value = json_stringn(buf_len(scratch) ? buf_str(scratch).p : "", buf_len(scratch));
        json_array_append_new(fields,
            json_pack("{s:s%, s:o}", "name", f.name.p, f.name.n, "value", value ?: json_null()));
    }
    return fields;
}

int show_json(json_t *row, struct str raw)
{
    struct mime_parser parser;
    struct mime_part *root = parse(&parser, raw);
    json_t *parts = json_array();
    struct buf text, scratch;

    if (!root) {
        mime_done(&parser);
        return cmd_fail("out of memory");
    }
    buf_init(&text, TEXT_OUT_MAX + VALUE_MAX);
    buf_init(&scratch, VALUE_MAX);
    json_object_set_new(row, "header",
        header_json(
            str_sub(raw, root->header_start, root->body_start - root->header_start), &scratch));
    for (const struct mime_part *part = root; part; part = mime_next(part)) {
        if (part->kind == MIME_LEAF)
            json_array_append_new(parts, part_json(part, &scratch));
        if (is_shown(part))
            put_text(raw, part, &text);
    }
    json_object_set_new(row, "text",
        json_stringn(buf_len(&text) ? buf_str(&text).p : "", buf_len(&text)) ?: json_null());
    json_object_set_new(row, "parts", parts);
    print_json(row);
    buf_done(&scratch);
    buf_done(&text);
    mime_done(&parser);
    return EXIT_DONE;
}
