#include "base/crc32c.h"

/* x^32 is the lowest bit: the polynomial 0x1EDC6F41, reflected. */
#define POLYNOMIAL 0x82F63B78u

static uint32_t tables[8][256];

/* Runs before main(), hence before any thread. */
__attribute__((constructor)) static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][i] = crc;
    }
    for (int t = 1; t < 8; t++)
        for (int i = 0; i < 256; i++)
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 255];
}

static uint64_t load_le64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

uint32_t crc32c_extend_portable(uint32_t crc, struct str s)
{
    crc = ~crc;
    for (; s.n >= 8; s.p += 8, s.n -= 8) {
        uint64_t v = load_le64(s.p) ^ crc;
        crc = 0;
        for (int octet = 0; octet < 8; octet++)
            crc ^= tables[7 - octet][v >> (8 * octet) & 255];
    }
    for (size_t i = 0; i < s.n; i++)
        crc = crc >> 8 ^ tables[0][(crc ^ (unsigned char)s.p[i]) & 255];
    return ~crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2"))) static uint32_t crc32c_extend_sse42(uint32_t crc, struct str s)
{
    uint64_t wide = ~crc;

    for (; s.n >= 8; s.p += 8, s.n -= 8)
        wide = __builtin_ia32_crc32di(wide, load_le64(s.p));
    crc = (uint32_t)wide;
    for (size_t i = 0; i < s.n; i++)
        crc = __builtin_ia32_crc32qi(crc, (unsigned char)s.p[i]);
    return ~crc;
}

uint32_t crc32c_extend(uint32_t crc, struct str s)
{
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_extend_sse42(crc, s);
    return crc32c_extend_portable(crc, s);
}

#else

uint32_t crc32c_extend(uint32_t crc, struct str s)
{
    return crc32c_extend_portable(crc, s);
}

#endif

/* The product of two polynomials modulo ours; bit 31 is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (int bit = 31; bit >= 0; bit--) {
        if (a >> bit & 1)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_length)
{
    uint32_t shift = 1u << 31;  /* x^0 */
    uint32_t square = 1u << 23; /* x^8: one octet */

    for (; b_length; b_length >>= 1) {
        if (b_length & 1)
            shift = multiply(square, shift);
        square = multiply(square, square);
    }
    return multiply(shift, a) ^ b;
}
