#include "mail/downgrade_int.h"

size_t downgrade_count_eight(struct str s)
{
    size_t found = 0, i = 0;
    uint64_t eight;
    for (; i + sizeof eight <= s.n; i += sizeof eight) {
        memcpy(&eight, s.p + i, sizeof eight);
        eight &= UINT64_C(0x8080808080808080);
        if (eight)
            found += (size_t)__builtin_popcountll(eight);
    }
    for (; i < s.n; i++)
        found += (unsigned char)s.p[i] >> 7;
    return found;
}

void downgrade_scan_init(struct downgrade_scan *s)
{
    *s = (struct downgrade_scan){0};
    header_scan_init(&s->header);
}

static void scan_lines(struct downgrade_scan *s, struct str chunk)
{
    while (chunk.n > 0) {
        const char *lf = memchr(chunk.p, '\n', chunk.n);
        size_t n = lf ? (size_t)(lf - chunk.p) : chunk.n;
        bool cr = n > 0 ? chunk.p[n - 1] == '\r' : s->cr;
        s->line += n;
        s->cr = cr;
        if (!lf)
            return;
        if (s->line - cr > s->longest)
            s->longest = s->line - cr;
        s->line = 0;
        s->cr = false;
        chunk = str_from(chunk, n + 1);
    }
}

void downgrade_scan_feed(struct downgrade_scan *s, struct str chunk)
{
    struct str header = STR_NONE, body = chunk;
    scan_lines(s, chunk);
    if (!s->header.ended) {
        header_scan_feed(&s->header, chunk);
        size_t n = chunk.n; /* none of it if its first line showed that there is no header */
        if (s->header.ended)
            n = s->header.octets > s->octets ? (size_t)(s->header.octets - s->octets) : 0;
        header = str_head(chunk, n);
        body = str_from(chunk, n);
        s->eight_header |= downgrade_count_eight(header) > 0;
        s->dkim = s->header.count[HEADER_DKIM_SIGNATURE] > 0;
    }
    s->octets += chunk.n;
    if (!s->eight_body)
        s->eight_body = downgrade_count_eight(body) > 0;
}

void downgrade_scan_finish(struct downgrade_scan *s)
{
    if (s->line - s->cr > s->longest)
        s->longest = s->line - s->cr;
    s->line = 0;
    s->cr = false;
    header_scan_finish(&s->header);
}

bool downgrade_needed(const struct downgrade_scan *s, bool has_8bitmime, bool has_smtputf8,
    bool smtputf8, struct downgrade_want *want)
{
    *want = (struct downgrade_want){
        .body = !has_8bitmime && (s->eight_body || s->eight_header),
        .header = s->eight_header && !has_smtputf8 && (smtputf8 || !has_8bitmime),
        .lines = s->longest > DOWNGRADE_LINE_MAX && !s->dkim,
    };
    return want->body || want->header || want->lines;
}
