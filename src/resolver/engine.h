/* resolver/engine.h: libunbound, set up for a mail server.
 *
 * Validates where there is a trust anchor, caches within bounds (about 64 MiB in all), opens no
 * file and starts no thread or process after engine_open(). Everything here runs outside fibers,
 * but for engine_open() and engine_close(), which see to that themselves.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include "mail/dns.h"

enum {
    ENGINE_SERVERS_MAX = 16,
};

struct engine_settings {
    struct str servers[ENGINE_SERVERS_MAX]; /* ADDRESS or ADDRESS@PORT; none: from the root on */
    uint32_t server_count;
    struct str trust_anchor; /* a file; empty: nothing is validated */
    bool special_use;        /* test., invalid. and private reverse zones are never asked */
};

struct engine_result {
    int rcode;         /* RFC 1035 4.1.1; where it is not 0 there is no packet */
    struct str packet; /* valid during the call */
    bool secure;
    const char *bogus; /* why validation failed, or NULL */
};

struct engine;
typedef void engine_done(void *arg, const struct engine_result *r);

int engine_open(struct engine **g, const struct engine_settings *settings, struct err *e);
/* done is called exactly once, perhaps before this returns (what is cached); only -1 means that it
 * never will be. name is sound (wire/dns_packet.h). */
int engine_ask(struct engine *g, enum dns_type type, struct str name, engine_done *done, void *arg);
/* What is open is never told. Suspends. */
void engine_close(struct engine **g);
