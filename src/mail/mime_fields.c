#include "mail/chars.h"
#include "mail/header.h"
#include "mail/mime_int.h"

static void keep(struct arena *a, struct str value, struct str *kept)
{
    struct buf text;
    if (kept->p)
        return;
    buf_init(&text, value.n);
    header_put_unfolded(value, &text);
    if (!arena_dup(a, buf_str(&text), kept))
        *kept = STR_NONE;
    a->no_memory |= !buf_ok(&text);
    buf_done(&text);
}

/* Those that were seen, so that the second of two is not. */
struct seen {
    bool type, disposition, encoding;
};

static bool first_time(bool *seen)
{
    bool first = !*seen;
    *seen = true;
    return first;
}

static bool interesting(enum header_id id)
{
    return id >= HEADER_CONTENT_DESCRIPTION && id <= HEADER_CONTENT_TYPE;
}

static void take_field(struct arena *a, const struct header_field *f, unsigned max_params,
    struct seen *seen, struct mime_fields *out)
{
    struct str token;
    if (f->id == HEADER_CONTENT_TYPE) {
        if (first_time(&seen->type))
            content_type_parse(a, f->value, max_params, &out->type);
    } else if (f->id == HEADER_CONTENT_DISPOSITION) {
        if (first_time(&seen->disposition))
            content_disposition_parse(a, f->value, max_params, &out->disposition);
    } else if (f->id == HEADER_CONTENT_TRANSFER_ENCODING) {
        if (first_time(&seen->encoding)) {
            mime_encoding_parse(f->value, &token);
            keep(a, f->value, &out->encoding);
        }
    } else if (f->id == HEADER_CONTENT_ID) {
        keep(a, f->value, &out->id);
    } else if (f->id == HEADER_CONTENT_DESCRIPTION) {
        keep(a, f->value, &out->description);
    } else if (f->id == HEADER_CONTENT_LANGUAGE) {
        keep(a, f->value, &out->language);
    } else if (f->id == HEADER_CONTENT_LOCATION) {
        keep(a, f->value, &out->location);
    } else if (f->id == HEADER_CONTENT_MD5) {
        keep(a, f->value, &out->md5);
    }
}

const struct mime_fields *mime_fields_parse(struct arena *a, struct str block, unsigned max_params)
{
    struct header_iter it = header_iter(block);
    struct header_field f;
    struct mime_fields *out = NULL;
    struct seen seen = {0};
    while (header_next(&it, &f)) {
        if (!interesting(f.id))
            continue;
        if (!out && !(out = ARENA_NEW(a, struct mime_fields)))
            return NULL;
        take_field(a, &f, max_params, &seen, out);
    }
    return out;
}

/* Nothing but white space, as transports may add (RFC 2046 5.1.1 transport-padding). */
static bool is_padding(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!mail_is(s.p[i], CHAR_WSP))
            return false;
    return true;
}

enum mime_line mime_match(const struct mime_frame *frames, uint32_t open, struct str head,
    bool exact_only, uint32_t *which)
{
    size_t longest = 0;
    enum mime_line line = MIME_TEXT;
    if (head.n < 2 || head.p[0] != '-' || head.p[1] != '-')
        return MIME_TEXT;
    head = str_from(head, 2);
    for (uint32_t i = open; i-- > 0;) {
        struct str boundary = frames[i].boundary;
        /* the same boundary again counts only where the inner multipart is over */
        bool better = boundary.n > longest || (boundary.n == longest && frames[*which].closed);
        if (!better || boundary.n > head.n || memcmp(boundary.p, head.p, boundary.n) != 0)
            continue;
        struct str rest = str_from(head, boundary.n);
        bool close = str_starts(rest, STR("--"));
        bool exact = is_padding(close ? str_from(rest, 2) : rest);
        if (exact_only && !exact)
            continue;
        longest = boundary.n;
        line = close ? MIME_CLOSE : MIME_DELIMITER;
        *which = i;
        if (exact && !frames[i].closed)
            break; /* exactly this one: there is no better */
    }
    return line;
}
