/* base/table.h: the one hash table: open addressing, keys of octets, SipHash-1-3 with a random key.
 *
 * It stores pointers to the caller's entries and never owns them; the entry itself says what its
 * key is (key_of), so a key is kept once. Strangers choose keys: the hash is keyed at start and the
 * table is born with a ceiling.
 */
#pragma once

#include "base/str.h"

struct table {
    struct str (*key_of)(const void *entry);
    void **slots;
    uint32_t *hashes;
    size_t count, cap, max, tombs;
};

/* Must be called once a process before the first table is filled (tests: any octets). */
void table_seed(const uint8_t key[16]);

void table_init(struct table *t, struct str (*key_of)(const void *entry), size_t max);
void table_done(struct table *t); /* frees the table, not the entries */

void *table_find(const struct table *t, struct str key);
/* 0; 1 if an entry with this key is there (nothing changed); -1 at the ceiling or without memory.
 */
int table_add(struct table *t, void *entry);
void *table_remove(struct table *t, struct str key); /* the entry, or NULL */

/* Visits all entries: for (size_t i = 0; (entry = table_next(t, &i));). Removing the one just
 * returned is allowed, adding is not. */
void *table_next(const struct table *t, size_t *i);

uint64_t siphash13(const uint8_t key[16], struct str data);
