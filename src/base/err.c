#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    log_flush();
    fprintf(stderr, "veredus: %s:%d: check failed: %s\n", file, line, what);
    abort();
}

static int err_fill(struct err *e, enum err_class class, struct err_status status,
    const char *origin, const char *format, va_list args) __attribute__((format(printf, 5, 0)));

static int err_fill(struct err *e, enum err_class class, struct err_status status,
    const char *origin, const char *format, va_list args)
{
    if (!e)
        return -1;
    e->class = class;
    e->status = status;
    e->os = 0;
    e->origin = origin;
    vsnprintf(e->text, sizeof e->text, format, args);
    return -1;
}

int err_set(struct err *e, enum err_class class, const char *origin, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    err_fill(e, class, (struct err_status){0}, origin, format, args);
    va_end(args);
    return -1;
}

int err_set_status(struct err *e, enum err_class class, struct err_status status,
    const char *origin, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    err_fill(e, class, status, origin, format, args);
    va_end(args);
    return -1;
}

int err_os(struct err *e, int error, const char *origin, const char *format, ...)
{
    struct err_status status = {4, 3, 0};
    va_list args;
    size_t n;

    if (!e)
        return -1;
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        status.detail = 1;
    va_start(args, format);
    err_fill(e, ERR_TEMPORARY, status, origin, format, args);
    va_end(args);
    e->os = error;
    n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", strerrordesc_np(error) ?: "unknown error");
    return -1;
}

int err_memory(struct err *e, const char *origin)
{
    return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, origin, "out of memory");
}

int err_prefix(struct err *e, const char *format, ...)
{
    char old[sizeof e->text];
    va_list args;
    size_t n;

    if (!e)
        return -1;
    memcpy(old, e->text, sizeof old);
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", old);
    return -1;
}

void err_clear(struct err *e)
{
    if (e)
        *e = (struct err){0};
}
