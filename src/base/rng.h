/* base/rng.h: random octets from the kernel, for keys, ids and jitter alike.
 *
 * Buffered a thread, so that a number costs no system call; a child of fork() does not inherit the
 * buffer. Octets given out are wiped from it. Never fails: a kernel that has no random numbers is
 * none that we can run on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void rng_bytes(void *out, size_t n);
uint64_t rng_u64(void);

/* Evenly among 0 … n-1; n is not 0. */
uint64_t rng_below(uint64_t n);
