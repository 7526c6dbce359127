#include "mail/preview.h"

#include "base/utf8.h"

void preview_init(struct preview *p, unsigned max)
{
    p->own.octets = p->own.chars = p->quoted.octets = p->quoted.chars = 0;
    p->own.space = p->quoted.space = false;
    p->max = (uint16_t)(max < PREVIEW_CHARS ? max : PREVIEW_CHARS);
    p->in_quote = p->line_started = false;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029;
}

/* Control characters, and those without width that pad the previews of newsletters. */
static bool is_invisible(uint32_t c)
{
    return c < 32 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || c == 0xfeff ||
           c == 0x34f || c == 0xad;
}

static void put_one(struct preview_line *l, uint16_t max, uint32_t c)
{
    char octets[4];
    if (is_space(c)) {
        l->space = l->chars > 0;
        return;
    }
    if (is_invisible(c) || l->chars + l->space >= max)
        return;
    if (l->space) {
        l->text[l->octets++] = ' ';
        l->chars++;
        l->space = false;
    }
    size_t n = utf8_encode(c, octets);
    memcpy(l->text + l->octets, octets, n);
    l->octets = (uint16_t)(l->octets + n);
    l->chars++;
}

void preview_feed_quoted(struct preview *p, struct str utf8)
{
    while (utf8.n > 0 && !preview_full(p)) {
        uint32_t c = utf8_next(&utf8);
        if (p->quoted.chars == 0 && c != UTF8_INVALID && !is_space(c))
            put_one(&p->quoted, p->max, '>');
        put_one(&p->quoted, p->max, c == UTF8_INVALID ? 0xfffd : c);
    }
}

void preview_feed(struct preview *p, struct str utf8)
{
    while (utf8.n > 0 && !preview_full(p)) {
        uint32_t c = utf8_next(&utf8);
        if (c == UTF8_INVALID)
            c = 0xfffd;
        if (!p->line_started)
            p->in_quote = c == '>';
        p->line_started = c != '\n';
        put_one(p->in_quote ? &p->quoted : &p->own, p->max, c);
    }
}

bool preview_full(const struct preview *p)
{
    return p->own.chars + p->own.space >= p->max;
}

struct str preview_text(const struct preview *p)
{
    const struct preview_line *l = p->own.chars > 0 ? &p->own : &p->quoted;
    return str_of(l->text, l->octets);
}
