/* run/annotate.h: what AddressSanitizer and valgrind want to know about stacks.
 *
 * For this folder only. Everything here is empty without them; valgrind's part costs a few
 * instructions that do nothing, and is there where its header was at build time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define ANNOTATE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ANNOTATE_ASAN 1
#endif
#endif

#ifdef ANNOTATE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define NO_SANITIZE __attribute__((no_sanitize_address, noinline))
#else
#define NO_SANITIZE
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define ANNOTATE_VALGRIND 1
#endif

/* Around every switch. fake keeps what the sanitizer holds for the stack that is left; NULL says
 * that nobody will come back to it. */
static inline void annotate_leave(void **fake, const void *base, size_t size)
{
#ifdef ANNOTATE_ASAN
    __sanitizer_start_switch_fiber(fake, base, size);
#else
    (void)fake, (void)base, (void)size;
#endif
}

/* base and size get the stack that was left; they may be NULL. */
static inline void annotate_arrive(void *fake, const void **base, size_t *size)
{
#ifdef ANNOTATE_ASAN
    __sanitizer_finish_switch_fiber(fake, base, size);
#else
    (void)fake, (void)base, (void)size;
#endif
}

/* The last fiber left frames behind that never returned. */
static inline void annotate_stack_clear(void *base, size_t size)
{
#ifdef ANNOTATE_ASAN
    __asan_unpoison_memory_region(base, size);
#else
    (void)base, (void)size;
#endif
}

static inline unsigned annotate_stack_register(void *base, void *top)
{
#ifdef ANNOTATE_VALGRIND
    return (unsigned)VALGRIND_STACK_REGISTER(base, top);
#else
    (void)base, (void)top;
    return 0;
#endif
}

static inline void annotate_stack_deregister(unsigned id)
{
#ifdef ANNOTATE_VALGRIND
    VALGRIND_STACK_DEREGISTER(id);
#else
    (void)id;
#endif
}

static inline bool annotate_on_valgrind(void)
{
#ifdef ANNOTATE_VALGRIND
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}
