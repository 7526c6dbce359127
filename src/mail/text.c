#include "mail/text.h"

#include "base/utf8.h"

#include "mail/charset.h"
#include "mail/html_text.h"
#include "mail/transfer.h"

/* Appends utf8 without CR and control characters. */
static void put_readable(struct str utf8, struct buf *out)
{
    char *p = buf_reserve(out, utf8.n);
    size_t n = 0;
    if (!p)
        return;
    for (size_t i = 0; i < utf8.n; i++) {
        char c = utf8.p[i];
        if (c == '\xc2' && i + 1 < utf8.n && (unsigned char)utf8.p[i + 1] < 0xa0)
            i++; /* C1 */
        else if (!ascii_control(c) || c == '\n' || c == '\t')
            p[n++] = c;
    }
    buf_advance(out, n);
}

int text_extract(const struct text_form *form, struct str body, size_t max, struct buf *out)
{
    struct html_text html;
    struct buf octets, utf8, stripped;
    struct str text;
    buf_init(&octets, 2 * body.n + TRANSFER_HELD);
    buf_init(&utf8, 4 * body.n + 16);
    buf_init(&stripped, 4 * body.n + 64);
    transfer_decode(form->encoding, body, &octets);
    charset_to_utf8(form->charset, buf_str(&octets), 4 * body.n + 16, &utf8);
    text = buf_str(&utf8);
    if (form->html) {
        html_text_init(&html);
        html_text_feed(&html, text, &stripped, NULL);
        text = buf_str(&stripped);
    }
    bool ok = buf_ok(&octets) && buf_ok(&utf8) && buf_ok(&stripped);
    if (ok)
        put_readable(utf8_head(text, max), out);
    buf_done(&octets);
    buf_done(&utf8);
    buf_done(&stripped);
    return ok && buf_ok(out) ? 0 : -1;
}
