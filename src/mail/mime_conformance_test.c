/* The tree of parts as other parsers see it: mime4j's events, mail-parser's parts. */
#include <stdio.h>
#include <string.h>

#include "base/unit_test.h"

#include "mail/digest.h"
#include "mail/header.h"
#include "mail/testdata.h"
#include "mail/transfer.h"

struct count {
    unsigned agree, of, offsets;
};

static const struct mime_limits limits = {64, 2000, 100, 256 << 10, 512 << 10};

/* What is the same however white space, line ends and charsets are treated. */
static void put_bare(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] > 32 && s.p[i] < 127)
            buf_put_c(out, s.p[i]);
}

/* ---- mime4j: X.msg and X.xml. An entity is {F:field; ... B:body; ... }, a multipart has M. */

static void put_entity(struct buf *out, const struct mime_part *part, struct str content)
{
    struct str header = str_sub(content, part->header_start, part->body_start - part->header_start);
    struct header_iter it = header_iter(header);
    struct header_field f;
    while (header_next(&it, &f)) {
        if (f.id == HEADER_JUNK)
            continue;
        buf_put(out, STR("F:"));
        put_bare(str_sub(header, f.offset, f.length), out);
        buf_put_c(out, ';');
    }
    if (part->kind == MIME_MULTIPART) {
        buf_put_c(out, 'M');
    } else if (part->kind == MIME_LEAF) {
        buf_put(out, STR("B:"));
        put_bare(str_sub(content, part->body_start, part->body_end - part->body_start), out);
        buf_put_c(out, ';');
    }
}

static void put_tree(struct buf *out, const struct mime_part *root, struct str content)
{
    unsigned depth = 0;
    for (const struct mime_part *p = root; p; p = mime_next(p)) {
        for (; depth > p->depth; depth--)
            buf_put_c(out, '}');
        depth = p->depth + 1u;
        buf_put_c(out, '{');
        put_entity(out, p, content);
    }
    for (; depth > 0; depth--)
        buf_put_c(out, '}');
}

static void put_xml_text(struct str s, struct buf *out)
{
    static const struct {
        struct str entity;
        char c;
    } named[] = {{STR_INIT("&amp;"), '&'}, {STR_INIT("&lt;"), '<'}, {STR_INIT("&gt;"), '>'},
        {STR_INIT("&quot;"), '"'}, {STR_INIT("&apos;"), '\''}};
    struct buf text;
    buf_init(&text, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        size_t k = 0;
        while (s.p[i] == '&' && k < 5 && !str_starts(str_from(s, i), named[k].entity))
            k++;
        if (s.p[i] == '&' && k < 5) {
            buf_put_c(&text, named[k].c);
            i += named[k].entity.n - 1;
        } else {
            buf_put_c(&text, s.p[i]);
        }
    }
    put_bare(buf_str(&text), out);
    buf_done(&text);
}

/* Takes "<tag>text</tag>" from behind its "<tag>". */
static struct str take_text(struct str *s, const char *close)
{
    ptrdiff_t end = str_find_str(*s, str_c(close));
    struct str text = str_head(*s, end < 0 ? s->n : (size_t)end);
    *s = str_from(*s, text.n + strlen(close));
    return text;
}

static void put_xml(struct buf *out, struct str xml)
{
    struct str tag, text;
    while (str_cut(&xml, '<', &text)) {
        str_cut(&xml, '>', &tag);
        if (str_eq(tag, STR("message")) || str_eq(tag, STR("body-part"))) {
            buf_put_c(out, '{');
        } else if (str_eq(tag, STR("/message")) || str_eq(tag, STR("/body-part"))) {
            buf_put_c(out, '}');
        } else if (str_eq(tag, STR("multipart"))) {
            buf_put_c(out, 'M');
        } else if (str_eq(tag, STR("field"))) {
            buf_put(out, STR("F:"));
            put_xml_text(take_text(&xml, "</field>"), out);
            buf_put_c(out, ';');
        } else if (str_eq(tag, STR("body"))) {
            buf_put(out, STR("B:"));
            put_xml_text(take_text(&xml, "</body>"), out);
            buf_put_c(out, ';');
        } else if (str_eq(tag, STR("preamble"))) {
            take_text(&xml, "</preamble>");
        } else if (str_eq(tag, STR("epilogue"))) {
            take_text(&xml, "</epilogue>");
        }
    }
}

static void differ(const char *path, struct str got, struct str want)
{
    size_t i = 0;
    while (i < got.n && i < want.n && got.p[i] == want.p[i])
        i++;
    i = i > 60 ? i - 60 : 0;
    printf("  differs: %s at %zu\n      got: %.*s\n   theirs: %.*s\n", path, i,
        STR_ARG(str_sub(got, i, 160)), STR_ARG(str_sub(want, i, 160)));
}

static void mime4j(const char *path, struct str content, void *arg)
{
    struct count *count = arg;
    char xml[1024];
    struct buf file = {0}, got, want;
    struct mime_parser p;
    snprintf(xml, sizeof xml, "%.*s.xml", (int)(strlen(path) - 4), path);
    if (!testdata_read(xml, &file))
        return;
    buf_init(&got, 16 << 20);
    buf_init(&want, 16 << 20);
    mime_init(&p, &limits, NULL);
    mime_feed(&p, content);
    put_tree(&got, mime_finish(&p), content);
    put_xml(&want, buf_str(&file));
    bool agree = str_eq(buf_str(&got), buf_str(&want));
    count->of++;
    count->agree += agree;
    if (!agree)
        differ(path, buf_str(&got), buf_str(&want));
    mime_done(&p);
    buf_done(&file);
    buf_done(&got);
    buf_done(&want);
}

static void test_mime4j(void **state)
{
    static const char *const sets[] = {"mime/mime4j-testmsgs", "mime/mime4j-mimetools"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct count count = {0};
        testdata_each(sets[i], ".msg", mime4j, &count);
        testdata_report(sets[i], count.agree, count.of);
        assert_true(count.agree * 100 >= count.of * 70);
    }
}

/* ---- mail-parser: X.eml and X.crlf.json. (m ...), (r ...), (l). */

static void put_json(struct buf *out, struct buf *offsets, const json_t *message, size_t index)
{
    json_t *part = json_array_get(json_object_get(message, "parts"), index);
    json_t *body = json_object_get(part, "body"), *child, *children;
    size_t i;
    buf_printf(offsets, "%d-%d ", (int)json_integer_value(json_object_get(part, "offset_body")),
        (int)json_integer_value(json_object_get(part, "offset_end")));
    if ((children = json_object_get(body, "Multipart"))) {
        buf_put(out, STR("(m"));
        json_array_foreach(children, i, child)
            put_json(out, offsets, message, (size_t)json_integer_value(child));
    } else if ((child = json_object_get(body, "Message"))) {
        buf_put(out, STR("(r"));
        put_json(out, offsets, child, 0);
    } else {
        buf_put(out, STR("(l"));
    }
    buf_put_c(out, ')');
}

static void put_ours(struct buf *out, struct buf *offsets, const struct mime_part *root)
{
    unsigned depth = 0;
    for (const struct mime_part *p = root; p; p = mime_next(p)) {
        for (; depth > p->depth; depth--)
            buf_put_c(out, ')');
        depth = p->depth + 1u;
        buf_put(out, p->kind == MIME_MULTIPART ? STR("(m")
                     : p->kind == MIME_MESSAGE ? STR("(r")
                                               : STR("(l"));
        buf_printf(offsets, "%d-%d ", (int)p->body_start, (int)p->body_end);
    }
    for (; depth > 0; depth--)
        buf_put_c(out, ')');
}

static void mail_parser(const char *path, struct str file, void *arg)
{
    struct count *count = arg;
    char name[1024];
    struct buf content, got, want, our_offsets, their_offsets;
    struct mime_parser p;
    snprintf(name, sizeof name, "%.*s.crlf.json", (int)(strlen(path) - 4), path);
    json_t *json = json_load_file(name, JSON_ALLOW_NUL, NULL);
    if (!json)
        return;
    testdata_crlf(file, &content);
    buf_init(&got, 1 << 20);
    buf_init(&want, 1 << 20);
    buf_init(&our_offsets, 1 << 20);
    buf_init(&their_offsets, 1 << 20);
    mime_init(&p, &limits, NULL);
    mime_feed(&p, buf_str(&content));
    put_ours(&got, &our_offsets, mime_finish(&p));
    put_json(&want, &their_offsets, json, 0);
    bool agree = str_eq(buf_str(&got), buf_str(&want));
    count->of++;
    count->agree += agree;
    count->offsets += str_eq(buf_str(&our_offsets), buf_str(&their_offsets));
    if (!agree)
        printf("  differs: %s\n      got: %.*s\n   theirs: %.*s\n", path, STR_ARG(buf_str(&got)),
            STR_ARG(buf_str(&want)));
    mime_done(&p);
    json_decref(json);
    buf_done(&content);
    buf_done(&got);
    buf_done(&want);
    buf_done(&our_offsets);
    buf_done(&their_offsets);
}

static void test_mail_parser(void **state)
{
    struct count count = {0};
    (void)state;
    testdata_each("mime/mail-parser-eml", ".eml", mail_parser, &count);
    testdata_report("mime/mail-parser-eml (structure)", count.agree, count.of);
    testdata_report("mime/mail-parser-eml (all offsets)", count.offsets, count.of);
    assert_true(count.agree * 100 >= count.of * 70);
}

/* ---- MimeKit: an mbox and the offsets of all parts in it */

static void put_offsets(struct buf *out, const json_t *entity)
{
    json_t *child;
    size_t i;
    buf_printf(out, "%d %d %d;", (int)json_integer_value(json_object_get(entity, "beginOffset")),
        (int)json_integer_value(json_object_get(entity, "headersEndOffset")),
        (int)json_integer_value(json_object_get(entity, "endOffset")));
    json_array_foreach(json_object_get(entity, "children"), i, child) put_offsets(out, child);
}

static void test_mimekit(void **state)
{
    char path[1024];
    struct buf file = {0}, crlf;
    json_t *messages, *message;
    size_t i;
    unsigned agree = 0;
    (void)state;
    if (!testdata_path("mime/mimekit-mbox/issue1189.mbox.txt", path, sizeof path) ||
        !testdata_read(path, &file))
        return;
    testdata_crlf(buf_str(&file), &crlf);
    testdata_path("mime/mimekit-mbox/issue1189.dos-offsets.json", path, sizeof path);
    messages = json_load_file(path, 0, NULL);
    json_array_foreach(messages, i, message)
    {
        json_t *body = json_object_get(message, "body");
        size_t start = (size_t)json_integer_value(json_object_get(message, "beginOffset"));
        size_t end = (size_t)json_integer_value(json_object_get(message, "endOffset"));
        struct mime_parser p;
        struct buf got, want;
        buf_init(&got, 65536);
        buf_init(&want, 65536);
        mime_init(&p, &limits, NULL);
        mime_feed(&p, str_sub(buf_str(&crlf), start, end - start));
        for (struct mime_part *part = mime_finish(&p); part; part = mime_next(part))
            buf_printf(&got, "%d %d %d;", (int)(part->header_start + start),
                (int)(part->body_start + start), (int)(part->body_end + start));
        put_offsets(&want, body);
        agree += str_eq(buf_str(&got), buf_str(&want));
        if (!str_eq(buf_str(&got), buf_str(&want)))
            differ(path, buf_str(&got), buf_str(&want));
        mime_done(&p);
        buf_done(&got);
        buf_done(&want);
    }
    testdata_report("mime/mimekit-mbox", agree, (unsigned)json_array_size(messages));
    json_decref(messages);
    buf_done(&file);
    buf_done(&crlf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mime4j),
        cmocka_unit_test(test_mail_parser),
        cmocka_unit_test(test_mimekit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
