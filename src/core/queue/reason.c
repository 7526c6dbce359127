#include "core/queue/reason.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"

void reasons_done(struct reasons *r)
{
    for (uint32_t i = 0; i < REASONS_MAX; i++)
        mem_free(r->ring[i]);
    *r = (struct reasons){0};
}

const struct reason *reason_find(const struct reasons *r, uint32_t number)
{
    const struct reason *found = r->ring[number % REASONS_MAX];

    return number && found && found->number == number ? found : NULL;
}

static bool is_same(const struct reason *a, const struct reason *b)
{
    return a->site == b->site && a->code == b->code &&
           memcmp(&a->status, &b->status, sizeof a->status) == 0 &&
           str_eq(a->text, utf8_head(b->text, REASON_TEXT_MAX)) && str_eq(a->host, b->host) &&
           str_eq(a->address, b->address);
}

static struct str keep(char **p, struct str s)
{
    struct str copy = str_of(*p, s.n);

    if (s.n)
        memcpy(*p, s.p, s.n);
    *p += s.n;
    return copy;
}

uint32_t reason_add(struct reasons *r, const struct reason *what, uint32_t before)
{
    const struct reason *same = reason_find(r, before);
    struct str text = utf8_head(what->text, REASON_TEXT_MAX);
    struct reason *kept;
    char *p;

    if (same && is_same(same, what))
        return before;
    kept = mem_alloc(sizeof *kept + text.n + what->host.n + what->address.n);
    if (!kept)
        return 0;
    p = (char *)(kept + 1);
    *kept = *what;
    kept->text = keep(&p, text);
    kept->host = keep(&p, what->host);
    kept->address = keep(&p, what->address);
    kept->when_ms = wall_ms();
    if (!++r->last)
        r->last = 1;
    kept->number = r->last;
    mem_free(r->ring[r->last % REASONS_MAX]);
    r->ring[r->last % REASONS_MAX] = kept;
    return r->last;
}
