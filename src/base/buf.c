#include "base/buf.h"

#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    FIRST_SIZE = 256
};

void buf_done(struct buf *b)
{
    mem_free(b->p);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->start = b->end = 0;
    b->bad = false;
}

void buf_release(struct buf *b)
{
    buf_done(b);
}

void buf_consume(struct buf *b, size_t n)
{
    b->start = n < buf_len(b) ? b->start + n : b->end;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void buf_truncate(struct buf *b, size_t n)
{
    if (n < buf_len(b))
        b->end = b->start + n;
}

static int buf_turn_bad(struct buf *b)
{
    b->bad = true;
    return -1;
}

static int buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : FIRST_SIZE;
    char *p;

    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    p = mem_resize(b->p, cap);
    if (!p)
        return -1;
    b->p = p;
    b->cap = cap;
    return 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t len = buf_len(b);

    if (b->bad || n > b->max || len > b->max - n) {
        buf_turn_bad(b);
        return NULL;
    }
    if (b->cap - b->end >= n && b->p)
        return b->p + b->end;
    if (b->start && (b->start >= len || b->end + n > b->max)) {
        memmove(b->p, b->p + b->start, len);
        b->start = 0;
        b->end = len;
    }
    if ((!b->p || b->cap - b->end < n) && buf_grow(b, b->end + n) < 0) {
        buf_turn_bad(b);
        return NULL;
    }
    return b->p + b->end;
}

void buf_advance(struct buf *b, size_t n)
{
    CHECK(n <= b->cap - b->end);
    b->end += n;
}

int buf_put_slowly(struct buf *b, struct str s)
{
    char *to = buf_reserve(b, s.n);

    if (!to)
        return -1;
    if (s.n)
        memcpy(to, s.p, s.n);
    b->end += s.n;
    return 0;
}

int buf_put_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return buf_put(b, str_of(digits + at, sizeof digits - at));
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    int n;
    char *to;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        return buf_turn_bad(b);
    /* vsnprintf() writes a terminator, which is not part of the buffer but needs a place. */
    to = buf_reserve(b, (size_t)n);
    if (!to)
        return -1;
    if (b->cap - b->end <= (size_t)n) {
        char small[512];
        char *copy = (size_t)n < sizeof small ? small : mem_alloc((size_t)n + 1);
        if (!copy)
            return buf_turn_bad(b);
        vsnprintf(copy, (size_t)n + 1, format, args);
        memcpy(to, copy, (size_t)n);
        if (copy != small)
            mem_free(copy);
    } else {
        vsnprintf(to, (size_t)n + 1, format, args);
    }
    b->end += (size_t)n;
    return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int result;

    va_start(args, format);
    result = buf_vprintf(b, format, args);
    va_end(args);
    return result;
}
