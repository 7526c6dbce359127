#include "wire/smtp_scan.h"

#include <endian.h>

#if defined(__SSE2__) && !defined(SMTP_SCAN_PORTABLE)
#include <emmintrin.h>
#endif

enum {
    BLOCK = 64
};

/* Bit i says whether octet i of the block is that character. */
struct masks {
    uint64_t cr, lf, dot;
};

#if defined(__SSE2__) && !defined(SMTP_SCAN_PORTABLE)

static uint64_t quarter(__m128i octets, char c, unsigned at)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(octets, _mm_set1_epi8(c))) << at;
}

static struct masks masks_of(const char *p)
{
    struct masks m = {0};

    for (unsigned i = 0; i < BLOCK; i += 16) {
        __m128i octets;
        memcpy(&octets, p + i, sizeof octets);
        m.cr |= quarter(octets, '\r', i);
        m.lf |= quarter(octets, '\n', i);
        m.dot |= quarter(octets, '.', i);
    }
    return m;
}

#else

#define EACH_OCTET 0x0101010101010101U

/* Eight octets in a word: one bit for each that is c. */
static uint64_t eighth(uint64_t octets, char c, unsigned at)
{
    uint64_t differ = octets ^ (EACH_OCTET * (unsigned char)c);
    /* The top bit of each octet that differs, without carries between octets. */
    uint64_t top = ((differ & ~(EACH_OCTET << 7)) + (EACH_OCTET * 0x7f)) | differ;
    uint64_t equal = ~top >> 7 & EACH_OCTET;

    return (equal * 0x0102040810204080U >> 56) << at;
}

static struct masks masks_of(const char *p)
{
    struct masks m = {0};

    for (unsigned i = 0; i < BLOCK; i += 8) {
        uint64_t octets;
        memcpy(&octets, p + i, sizeof octets);
        octets = le64toh(octets);
        m.cr |= eighth(octets, '\r', i);
        m.lf |= eighth(octets, '\n', i);
        m.dot |= eighth(octets, '.', i);
    }
    return m;
}

#endif

/* The block at base; the last one is filled up with zeros, which are nothing special. */
static const char *block_at(struct str s, size_t base, char last[BLOCK])
{
    if (s.n - base >= BLOCK)
        return s.p + base;
    memset(last, 0, BLOCK);
    memcpy(last, s.p + base, s.n - base);
    return last;
}

static size_t lowest(uint64_t mask)
{
    return mask ? (size_t)__builtin_ctzll(mask) : BLOCK;
}

/* Line lengths after the block at `base`, of which lf are the line ends; begin is where the present
 * line began, before the slice for one that came with it. */
static void measure(struct smtp_scan *scan, uint64_t lf, ptrdiff_t base, ptrdiff_t *begin)
{
    ptrdiff_t first;

    if (!lf)
        return;
    /* Of the lines that end in this block only the first can be longer than it. */
    first = base + (ptrdiff_t)lowest(lf) - 1;
    if (scan->line_max && first - *begin > (ptrdiff_t)scan->line_max)
        scan->too_long = true;
    *begin = base + BLOCK - __builtin_clzll(lf);
}

static size_t finish(struct smtp_scan *scan, size_t n, ptrdiff_t begin)
{
    if (n == 0)
        return 0;
    scan->line = (size_t)((ptrdiff_t)n - begin);
    scan->line_start = scan->line == 0;
    if (scan->line_max && scan->line > scan->line_max)
        scan->too_long = true;
    return n;
}

size_t smtp_scan(struct smtp_scan *scan, struct str s)
{
    char last[BLOCK];
    uint64_t cr_before = 0, lf_before = scan->line_start;
    ptrdiff_t begin = -(ptrdiff_t)scan->line;

    for (size_t base = 0; base < s.n; base += BLOCK) {
        struct masks m = masks_of(block_at(s, base, last));
        uint64_t behind_cr = m.cr << 1 | cr_before;
        uint64_t behind_lf = m.lf << 1 | lf_before;
        uint64_t lone_lf = m.lf & ~behind_cr;
        uint64_t behind_lone_cr = behind_cr & ~m.lf;
        uint64_t dot = scan->dots ? m.dot & behind_lf : 0;

        if (lone_lf | behind_lone_cr | dot) {
            size_t stop = lowest(lone_lf | dot), cr = lowest(behind_lone_cr);
            if (cr <= stop && base + cr == 0)
                return 0;
            stop = cr <= stop ? base + cr - 1 : base + stop;
            if (stop > base)
                measure(scan, m.lf & ((UINT64_C(1) << (stop - base)) - 1), (ptrdiff_t)base, &begin);
            return finish(scan, stop, begin);
        }
        measure(scan, m.lf, (ptrdiff_t)base, &begin);
        cr_before = m.cr >> (BLOCK - 1);
        lf_before = m.lf >> (BLOCK - 1);
    }
    return finish(scan, s.n - cr_before, begin);
}
