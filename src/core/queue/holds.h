/* core/queue/holds.h: the rules of `queue hold --to`: mail that is kept until an operator says
 * otherwise, also what comes later.
 *
 * A rule is a pattern (pattern.h) for the recipient, one for the sender, or both, which then both
 * must fit. Rules live in one small file,
 * written anew and synced before a change counts. holds_match() is asked for each recipient that
 * would be handed out and costs nothing where there is no rule.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include "io/sys.h"

struct holds;
struct pool;

enum {
    HOLDS_MAX = 1000,
};

struct hold_rule {
    struct str to, from; /* empty: any; not both */
    int64_t since_ms;
};

/* path is the file, which need not exist; its directory must. Blocks for one small read. */
int holds_open(struct holds **h, const struct sys *sys, const char *path, struct err *e);
void holds_close(struct holds **h);

/* Never suspends. NULL: no rule. from and to as the envelope has them, from may be empty. */
bool holds_match(const struct holds *h, struct str from, struct str to);
/* The rule that matches, for telling why; or NULL. Valid until the next change. */
const struct hold_rule *holds_find(const struct holds *h, struct str from, struct str to);
uint32_t holds_count(const struct holds *h);
const struct hold_rule *holds_get(const struct holds *h, uint32_t i);

/* Durable when 0 is returned: 1 where there was nothing to do. Suspend (the pool's thread writes);
 * one change at a time. */
int holds_add(struct holds *h, struct pool *pool, struct str to, struct str from, struct err *e);
int holds_remove(struct holds *h, struct pool *pool, struct str to, struct str from, struct err *e);
