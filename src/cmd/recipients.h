/* cmd/recipients.h: the list of a relay domain's recipients, from a file to the server.
 *
 * A file has an address or a local part a line; blank lines and # comments are skipped. All of it
 * is read and checked before anything is sent; then it goes in parts, each durable by itself.
 * What was interrupted is finished by doing it again.
 */
#pragma once

#include "base/buf.h"

#include "cmd/client.h"

struct recipients {
    struct buf text;
    struct recipient *v; /* by key, each once */
    size_t count;
    struct buf keys;
};

void recipients_init(struct recipients *r);
void recipients_done(struct recipients *r);

/* An error names file and line. */
int recipients_read(struct recipients *r, const char *domain, const char *path, struct err *e);

/* Adds all of them to the domain's list. Suspends, as what follows. */
int recipients_add_all(
    const struct recipients *r, struct client *client, const char *domain, struct err *e);

/* Makes the domain's list this one: adds what it lacks, then removes what it has too much. */
int recipients_make_equal(
    const struct recipients *r, struct client *client, const char *domain, struct err *e);
