#include "base/table.h"

/* SipHash (Aumasson, Bernstein 2012) with one round a word and three at the end. */

static uint64_t load(const void *p, size_t n)
{
    unsigned char octets[8] = {0};
    uint64_t v = 0;

    memcpy(octets, p, n);
    for (int i = 7; i >= 0; i--)
        v = v << 8 | octets[i];
    return v;
}

static uint64_t rotate(uint64_t v, int by)
{
    return v << by | v >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

uint64_t siphash13(const uint8_t key[16], struct str data)
{
    uint64_t k0 = load(key, 8), k1 = load(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
        k1 ^ 0x7465646279746573};
    uint64_t word;
    size_t i = 0;

    for (; data.n - i >= 8; i += 8) {
        word = load(data.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)data.n << 56;
    if (i < data.n)
        word |= load(data.p + i, data.n - i);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int n = 0; n < 3; n++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
