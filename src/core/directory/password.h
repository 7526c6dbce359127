/* core/directory/password.h: passwords as Argon2id strings (RFC 9106), by libsodium.
 *
 * 64 MiB and some tens of milliseconds each, so it is done in a pool of its own that bounds how
 * many are worked on at a time. Both suspend; the password is wiped from what they copied.
 */
#pragma once

#include "base/err.h"

#include "run/fiber.h"

enum {
    PASSWORD_HASH_SIZE = 128,
    PASSWORD_MAX = 1024, /* octets */
};

/* hash gets a terminated string. */
int password_hash(
    struct pool *pool, struct str password, char hash[PASSWORD_HASH_SIZE], struct err *e);

/* *right: is it the password of this hash? A hash that is none is never right, and takes as long.
 */
int password_verify(
    struct pool *pool, struct str password, struct str hash, bool *right, struct err *e);
