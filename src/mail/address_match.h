/* mail/address_match.h: patterns of addresses, and which of them fits an address best.
 *
 * USER@DOMAIN, then DOMAIN, then *.DOMAIN (any depth below DOMAIN; the longest first), then "*".
 * A domain's pattern may have an "@" in front. Compared by keys (mail/address.h): local parts
 * folded, domains as A-labels. A find costs a hash look-up a label of the domain, however many
 * patterns there are. Values are the caller's.
 */
#pragma once

#include "base/err.h"
#include "base/table.h"

enum match_kind {
    MATCH_NONE,
    MATCH_ANY,    /* * */
    MATCH_BELOW,  /* *.DOMAIN */
    MATCH_DOMAIN, /* DOMAIN */
    MATCH_USER,   /* USER@DOMAIN */
};

struct address_match {
    struct table patterns;
};

void address_match_init(struct address_match *m, size_t max);
void address_match_done(struct address_match *m);

/* 0; 1 if an equal pattern is there (nothing changed); -1: no pattern, or no memory. */
int address_match_add(
    struct address_match *m, struct str pattern, const void *value, struct err *e);

/* key: what mailbox_key() gives, or empty, which "*" alone fits. NULL where none fits. */
const void *address_match_find(
    const struct address_match *m, struct str key, enum match_kind *kind);
