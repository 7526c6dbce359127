/* base/check.h: assertions that stay on in every build.
 *
 * CHECK() is for our own invariants only. What a peer sends, what the disk holds and what DNS says
 * can never trip one: those are errors (base/err.h).
 */
#pragma once

_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")
