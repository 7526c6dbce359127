#include "mail/header.h"

#include "mail/chars.h"

#define NAME(literal, id)                                                                          \
    {                                                                                              \
        STR_INIT(literal), id                                                                      \
    }

static const struct {
    struct str name;
    enum header_id id;
} names[] = {
    NAME("bcc", HEADER_BCC),
    NAME("cc", HEADER_CC),
    NAME("content-description", HEADER_CONTENT_DESCRIPTION),
    NAME("content-disposition", HEADER_CONTENT_DISPOSITION),
    NAME("content-id", HEADER_CONTENT_ID),
    NAME("content-language", HEADER_CONTENT_LANGUAGE),
    NAME("content-location", HEADER_CONTENT_LOCATION),
    NAME("content-md5", HEADER_CONTENT_MD5),
    NAME("content-transfer-encoding", HEADER_CONTENT_TRANSFER_ENCODING),
    NAME("content-type", HEADER_CONTENT_TYPE),
    NAME("date", HEADER_DATE),
    NAME("delivered-to", HEADER_DELIVERED_TO),
    NAME("dkim-signature", HEADER_DKIM_SIGNATURE),
    NAME("from", HEADER_FROM),
    NAME("in-reply-to", HEADER_IN_REPLY_TO),
    NAME("message-id", HEADER_MESSAGE_ID),
    NAME("mime-version", HEADER_MIME_VERSION),
    NAME("received", HEADER_RECEIVED),
    NAME("references", HEADER_REFERENCES),
    NAME("reply-to", HEADER_REPLY_TO),
    NAME("return-path", HEADER_RETURN_PATH),
    NAME("sender", HEADER_SENDER),
    NAME("subject", HEADER_SUBJECT),
    NAME("to", HEADER_TO),
};

enum header_id header_id(struct str name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].name.n == name.n && str_eq_ascii(names[i].name, name))
            return names[i].id;
    return HEADER_OTHER;
}

bool header_line(struct str line, struct str *name, size_t *value_at)
{
    size_t n = 0, at;
    line = str_head(line, HEADER_NAME_MAX + 2);
    while (n < line.n && mail_is(line.p[n], CHAR_FTEXT))
        n++;
    for (at = n; at < line.n && (line.p[at] == ' ' || line.p[at] == '\t');)
        at++;
    if (n == 0 || n > HEADER_NAME_MAX || at == line.n || line.p[at] != ':')
        return false;
    *name = str_head(line, n);
    *value_at = at + 1;
    return true;
}

/* One past the line end of the line at `at`. */
static size_t line_end(struct str s, size_t at)
{
    const char *lf = memchr(s.p + at, '\n', s.n - at);
    return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

static bool empty_line(struct str s, size_t at)
{
    return s.p[at] == '\n' || (s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n');
}

static struct str without_line_end(struct str s)
{
    if (s.n > 0 && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n > 0 && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

bool header_next(struct header_iter *it, struct header_field *f)
{
    struct str b = it->block;
    size_t start = it->at, end, value_at;
    if (start >= b.n)
        return false;
    end = line_end(b, start);
    if (empty_line(b, start)) {
        it->at = end;
        it->block.n = end;
        return false;
    }
    while (end < b.n && (b.p[end] == ' ' || b.p[end] == '\t'))
        end = line_end(b, end);
    struct str whole = str_sub(b, start, end - start);
    *f = (struct header_field){.id = HEADER_JUNK, .offset = start, .length = end - start};
    if (header_line(whole, &f->name, &value_at)) {
        f->id = header_id(f->name);
        f->value = without_line_end(str_from(whole, value_at));
    }
    it->at = end;
    return true;
}

bool header_find(struct header_iter *it, struct str name, struct header_field *f)
{
    while (header_next(it, f))
        if (f->id != HEADER_JUNK && str_eq_ascii(f->name, name))
            return true;
    return false;
}

void header_put_unfolded(struct str value, struct buf *out)
{
    value = str_trim(value);
    char *p = buf_reserve(out, value.n);
    size_t n = 0;
    if (!p)
        return;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n')
            p[n++] = value.p[i] ? value.p[i] : ' ';
    buf_advance(out, n);
}
