/* mail-dump FILE...: what the parsers make of a message, as JSON. For tests; LF line ends are taken
 * as CRLF unless --as-is comes first. */
#include <stdio.h>
#include <stdlib.h>

#include "mail/charset.h"
#include "mail/digest.h"
#include "mail/testdata.h"
#include "mail/text.h"

static json_t *text_of(struct str s)
{
    struct buf utf8;
    buf_init(&utf8, 4 * s.n + 4);
    charset_to_utf8(STR_NONE, s, 4 * s.n + 4, &utf8);
    json_t *value = json_stringn(buf_str(&utf8).p ? buf_str(&utf8).p : "", buf_len(&utf8));
    buf_done(&utf8);
    return value;
}

static void set(json_t *object, const char *name, struct str s)
{
    if (s.n > 0)
        json_object_set_new(object, name, text_of(s));
}

static json_t *params_of(struct str params)
{
    json_t *list = json_array();
    struct mime_param p;
    while (digest_next_param(&params, &p))
        json_array_append_new(list, json_pack("[o,o]", text_of(p.name), text_of(p.value)));
    return list;
}

static json_t *addresses_of(struct str list)
{
    static const char *const kinds[] = {"mailbox", "group", "group-end"};
    json_t *out = json_array();
    struct digest_address a;
    while (digest_next_address(&list, &a)) {
        json_t *one = json_pack("{s:s}", "kind", kinds[a.kind]);
        set(one, "name", a.name);
        set(one, "route", a.route);
        set(one, "local", a.local);
        set(one, "domain", a.domain);
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *envelope_of(struct str encoded)
{
    struct digest_envelope env;
    json_t *out = json_object();
    digest_envelope(encoded, &env);
    set(out, "date", env.date);
    set(out, "subject", env.subject);
    json_object_set_new(out, "from", addresses_of(env.from));
    json_object_set_new(out, "sender", addresses_of(env.sender));
    json_object_set_new(out, "reply-to", addresses_of(env.reply_to));
    json_object_set_new(out, "to", addresses_of(env.to));
    json_object_set_new(out, "cc", addresses_of(env.cc));
    json_object_set_new(out, "bcc", addresses_of(env.bcc));
    set(out, "in-reply-to", env.in_reply_to);
    set(out, "message-id", env.message_id);
    return out;
}

static json_t *part_of(const struct digest_part *p, struct str content)
{
    static const char *const kinds[] = {"leaf", "multipart", "message"};
    json_t *out = json_pack("{s:i,s:i,s:s,s:b,s:I,s:I,s:I,s:I}", "index", (int)p->index, "parent",
        (int)p->parent, "kind", kinds[p->kind], "opaque", p->opaque, "header_start",
        (json_int_t)p->header_start, "body_start", (json_int_t)p->body_start, "body_end",
        (json_int_t)p->body_end, "lines", (json_int_t)p->body_lines);
    set(out, "type", p->type);
    set(out, "subtype", p->subtype);
    json_object_set_new(out, "params", params_of(p->params));
    set(out, "disposition", p->disposition);
    json_object_set_new(out, "disposition_params", params_of(p->disposition_params));
    set(out, "encoding", p->encoding_text);
    set(out, "id", p->id);
    set(out, "description", p->description);
    set(out, "language", p->language);
    set(out, "location", p->location);
    set(out, "md5", p->md5);
    set(out, "file_name", p->file_name);
    if (p->message)
        json_object_set_new(out, "envelope", envelope_of(p->envelope));
    if (p->kind == MIME_LEAF && str_eq_ascii(p->type, STR("text"))) {
        struct text_form form = {.encoding = p->encoding, .html = false};
        struct str params = p->params;
        struct mime_param param;
        struct buf text;
        while (form.charset.n == 0 && digest_next_param(&params, &param))
            if (str_eq_ascii(param.name, STR("charset")))
                form.charset = param.value;
        buf_init(&text, 64 << 20);
        text_extract(&form,
            str_sub(content, (size_t)p->body_start, (size_t)(p->body_end - p->body_start)),
            64 << 20, &text);
        json_object_set_new(out, "text", text_of(buf_str(&text)));
        buf_done(&text);
    }
    return out;
}

static json_t *digest_json(const struct digest *d, struct str content)
{
    json_t *out = json_object(), *parts = json_array(), *references = json_array();
    struct digest_parts it = digest_parts(d);
    struct digest_part part;
    struct digest_sort sort;
    struct digest_thread thread;
    struct str id;
    while (digest_next_part(&it, &part))
        json_array_append_new(parts, part_of(&part, content));
    digest_sort(d, &sort);
    digest_thread(d, &thread);
    json_object_set_new(out, "parts", parts);
    json_object_set_new(out, "date_ms", sort.has_date ? json_integer(sort.date_ms) : json_null());
    json_object_set_new(out, "base_subject", text_of(sort.subject));
    json_object_set_new(out, "display_from", text_of(sort.display_from));
    json_object_set_new(out, "message_id", text_of(thread.message_id));
    while (digest_next_reference(&thread.references, &id))
        json_array_append_new(references, text_of(id));
    json_object_set_new(out, "references", references);
    json_object_set_new(out, "preview", text_of(d->preview));
    return out;
}

static int dump(const char *path, bool as_is)
{
    struct buf file = {0}, crlf = {0}, encoded;
    struct digest_builder b;
    struct digest d;
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct err e = {0};
    if (!testdata_read(path, &file) || (!as_is && !testdata_crlf(buf_str(&file), &crlf)))
        return 1;
    struct str content = as_is ? buf_str(&file) : buf_str(&crlf);
    buf_init(&encoded, DIGEST_MAX);
    digest_begin(&b, &limits);
    digest_feed(&b, content);
    int rc = digest_finish(&b, &encoded, &e) < 0 || digest_open(buf_str(&encoded), &d, &e) < 0;
    if (rc == 0) {
        json_t *out = digest_json(&d, content);
        json_object_set_new(out, "file", json_string(path));
        json_dumpf(out, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(out);
    } else {
        fprintf(stderr, "%s: %s\n", path, e.text);
    }
    digest_done(&b);
    buf_done(&encoded);
    buf_done(&file);
    buf_done(&crlf);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0, first = 1;
    bool as_is = argc > 1 && strcmp(argv[1], "--as-is") == 0;
    for (int i = first + as_is; i < argc; i++)
        rc |= dump(argv[i], as_is);
    return rc;
}
