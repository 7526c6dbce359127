#include "mail/subject.h"

#include "mail/chars.h"
#include "mail/rfc2047.h"

static bool drop_front(struct str *s, struct str what)
{
    if (!str_starts_ascii(*s, what))
        return false;
    *s = str_from(*s, what.n);
    return true;
}

/* RFC 5256 5 subj-blob: "[" *BLOBCHAR "]" *WSP */
static bool drop_blob(struct str *s)
{
    if (s->n == 0 || s->p[0] != '[')
        return false;
    for (size_t i = 1; i < s->n && s->p[i] != '['; i++)
        if (s->p[i] == ']') {
            *s = str_trim_left(str_from(*s, i + 1));
            return true;
        }
    return false;
}

/* subj-refwd: ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool drop_refwd(struct str *s)
{
    struct str rest = *s;
    if (!drop_front(&rest, STR("re")) && !drop_front(&rest, STR("fwd")) &&
        !drop_front(&rest, STR("fw")))
        return false;
    rest = str_trim_left(rest);
    drop_blob(&rest);
    if (rest.n == 0 || rest.p[0] != ':')
        return false;
    *s = str_from(rest, 1);
    return true;
}

/* subj-trailer: "(fwd)" / WSP */
static bool drop_trailer(struct str *s)
{
    bool dropped = false;
    for (;;) {
        *s = str_trim(*s);
        if (!str_ends_ascii(*s, STR("(fwd)")))
            return dropped;
        s->n -= 5;
        dropped = true;
    }
}

/* Steps 3 to 5: leaders and blobs. Blobs that no leader follows go too, but never the last thing.
 */
static bool drop_leaders(struct str *s)
{
    bool dropped = false;
    for (;;) {
        *s = str_trim_left(*s);
        struct str rest = *s, last = *s;
        while (drop_blob(&rest))
            if (rest.n > 0)
                last = rest;
        if (!drop_refwd(&rest)) {
            *s = last;
            return dropped;
        }
        *s = rest;
        dropped = true;
    }
}

static void collapse(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        bool space = mail_is(s.p[i], CHAR_WSP);
        if (!space || i == 0 || !mail_is(s.p[i - 1], CHAR_WSP))
            buf_put_c(out, space ? ' ' : s.p[i]);
    }
}

void subject_base(struct str field, struct buf *out, bool *reply)
{
    struct buf decoded, text;
    buf_init(&decoded, SUBJECT_KEY_MAX);
    buf_init(&text, SUBJECT_KEY_MAX);
    rfc2047_decode(field, SUBJECT_KEY_MAX, &decoded);
    collapse(buf_str(&decoded), &text);
    struct str s = buf_str(&text);
    *reply = false;
    for (;;) {
        *reply |= drop_trailer(&s);
        *reply |= drop_leaders(&s);
        /* step 6: "[fwd:" ... "]" */
        if (!str_starts_ascii(s, STR("[fwd:")) || !str_ends(s, STR("]")))
            break;
        s = str_sub(s, 5, s.n - 6);
        *reply = true;
    }
    buf_put(out, s);
    out->bad |= !buf_ok(&decoded) || !buf_ok(&text);
    buf_done(&decoded);
    buf_done(&text);
}
