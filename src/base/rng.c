#include "base/rng.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"

static _Thread_local struct {
    unsigned char octets[256]; /* getrandom() gives up to 256 without being interrupted */
    size_t left;
} pool;

static void forget_pool(void)
{
    explicit_bzero(&pool, sizeof pool);
}

/* Only the forking thread lives on in the child, so its buffer is the only one there. */
__attribute__((constructor)) static void guard_fork(void)
{
    CHECK(pthread_atfork(NULL, NULL, forget_pool) == 0);
}

static void from_kernel(unsigned char *out, size_t n)
{
    while (n) {
        ssize_t got = getrandom(out, n, 0);
        CHECK(got > 0 || errno == EINTR);
        if (got > 0) {
            out += got;
            n -= (size_t)got;
        }
    }
}

void rng_bytes(void *out, size_t n)
{
    unsigned char *from;

    if (n > sizeof pool.octets / 2) {
        from_kernel(out, n);
        return;
    }
    if (n > pool.left) {
        from_kernel(pool.octets, sizeof pool.octets);
        pool.left = sizeof pool.octets;
    }
    pool.left -= n;
    from = pool.octets + pool.left;
    memcpy(out, from, n);
    explicit_bzero(from, n);
}

uint64_t rng_u64(void)
{
    uint64_t v;

    rng_bytes(&v, sizeof v);
    return v;
}

uint64_t rng_below(uint64_t n)
{
    /* 2^64 modulo n numbers at the bottom would come up once too often. */
    uint64_t uneven = (UINT64_MAX - n + 1) % n, v;

    do
        v = rng_u64();
    while (v < uneven);
    return v % n;
}
