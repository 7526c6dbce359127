/* core/directory/relay_list.h: which recipients of a relay domain are taken.
 *
 * The domain itself is directory.h's. Its list is changed in parts, each durable by itself; it may
 * be filled before it counts. All calls suspend.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct directory;
struct directory_page;

enum directory_recipients {
    RECIPIENTS_ANY,
    RECIPIENTS_LISTED, /* those of its list */
    RECIPIENTS_ASKED,  /* those that its next hop takes */
};

int directory_domain_recipients(
    struct directory *d, struct str name, enum directory_recipients recipients, struct err *e);
/* Parts of a relay domain's list: all of them or none. What is there already, or is not, is no
 * error. */
int directory_recipients_add(
    struct directory *d, struct str domain, const struct str *list, uint32_t count, struct err *e);
int directory_recipients_remove(
    struct directory *d, struct str domain, const struct str *list, uint32_t count, struct err *e);

/* The keys of a relay domain's list. */
int directory_recipients_list(struct directory *d, struct arena *a,
    const struct directory_page *page, struct str **key, uint32_t *count, struct err *e);
