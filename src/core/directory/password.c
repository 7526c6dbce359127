#include "core/directory/password.h"

#include <sodium.h>

#include "base/mem.h"

_Static_assert(PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "room for libsodium's string");

struct work {
    char password[PASSWORD_MAX], hash[PASSWORD_HASH_SIZE];
    size_t n;
    bool right, failed;
};

static void hash_it(void *arg)
{
    struct work *w = arg;

    w->failed = sodium_init() < 0 ||
                crypto_pwhash_str(w->hash, w->password, w->n, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                    crypto_pwhash_MEMLIMIT_INTERACTIVE) < 0;
}

/* A hash that cannot be one is compared with a fresh one of nothing: it costs the same. */
static void verify_it(void *arg)
{
    struct work *w = arg;

    w->failed = sodium_init() < 0;
    if (w->failed)
        return;
    if (str_starts(str_c(w->hash), STR(crypto_pwhash_STRPREFIX)))
        w->right = crypto_pwhash_str_verify(w->hash, w->password, w->n) == 0;
    else
        hash_it(w);
}

static struct work *work_new(struct str password, struct err *e)
{
    struct work *w;

    if (password.n == 0 || password.n > PASSWORD_MAX) {
        err_set(e, ERR_PERMANENT, "password", "a password has 1 to %d octets", PASSWORD_MAX);
        return NULL;
    }
    w = MEM_NEW(struct work);
    if (!w) {
        err_memory(e, "password");
        return NULL;
    }
    memcpy(w->password, password.p, password.n);
    w->n = password.n;
    return w;
}

static int work_run(struct pool *pool, void (*fn)(void *), struct work *w, struct err *e)
{
    if (pool_run(pool, fn, w, e) < 0)
        return -1;
    return w->failed ? err_memory(e, "password") : 0;
}

static void work_free(struct work *w)
{
    sodium_memzero(w, sizeof *w);
    mem_free(w);
}

int password_hash(
    struct pool *pool, struct str password, char hash[PASSWORD_HASH_SIZE], struct err *e)
{
    struct work *w = work_new(password, e);
    int status;

    if (!w)
        return -1;
    status = work_run(pool, hash_it, w, e);
    if (status == 0)
        memcpy(hash, w->hash, sizeof w->hash);
    work_free(w);
    return status;
}

int password_verify(
    struct pool *pool, struct str password, struct str hash, bool *right, struct err *e)
{
    struct work *w = work_new(password, e);
    int status;

    if (!w)
        return -1;
    if (!str_copy_c(w->hash, sizeof w->hash, hash))
        w->hash[0] = '\0';
    status = work_run(pool, verify_it, w, e);
    if (status == 0)
        *right = w->right;
    work_free(w);
    return status;
}
