/* core/trace/index.h: where in a full segment a message or an address is.
 *
 * NUMBER.index: a header, a fence (for each value of the hash's highest bits where its entries
 * begin, and their checksum), then all entries u64, sorted: the hash's upper 32 bits, the frame's
 * place. Hashes are keyed by the segment, so that nobody can crowd them. An index only spares
 * reading: what it points to is read and compared, and where there is none, or it is damaged, the
 * segment is scanned. It is written beside and renamed; nothing is synced, for checksums tell.
 * Blocks; from any thread.
 */
#pragma once

#include "core/trace/segment.h"

/* What is searched for: each of ids, and the address where it is not empty. */
struct index_keys {
    const uint64_t *id;
    uint32_t ids;
    struct str address;
};

/* Reads the whole segment. *damaged: places that were hopped over. -errno. */
int trace_index_build(const struct segment *s, const char *dir, uint64_t *damaged);

bool trace_index_is_there(const struct sys *sys, const char *dir, uint64_t number);

/* Places of frames that may be meant, rising, each once, behind `after`; by the index, else by a
 * scan. mem_free() is the caller's. -errno. */
int trace_index_find(const struct segment *s, const char *dir, const struct index_keys *keys,
    uint64_t after, uint32_t **place, size_t *count);

/* Is it really one of these? */
bool trace_index_keys_match(const struct index_keys *keys, const struct trace_event *ev);
