#include "core/trace/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/table.h"

#include "core/spool/format.h"

enum {
    INDEX_FORMAT = 1,
    INDEX_HEAD = 64,
    FENCE_BITS = 12,
    FENCE = 1 << FENCE_BITS, /* buckets of a few hundred entries */
    FENCE_ENTRY = 8,
    FENCE_OCTETS = FENCE * FENCE_ENTRY,
    ENTRIES_MAX = 1 << 26, /* of one segment */
    WRITE_AT_ONCE = 1 << 20,
};

static const char magic[8] = {'v', 'r', 'd', 'h', 'i', 's', 't', 'i'};

/* ---- hashes */

static uint32_t id_hash(const struct segment *s, uint64_t id)
{
    char octets[8];

    put_u64(octets, id);
    return (uint32_t)(siphash13(s->key, str_of(octets, sizeof octets)) >> 32);
}

static uint32_t address_hash(const struct segment *s, struct str address)
{
    char folded[TRACE_ADDRESS_MAX];
    size_t n = address.n < sizeof folded ? address.n : sizeof folded;

    for (size_t i = 0; i < n; i++)
        folded[i] = ascii_lower(address.p[i]);
    return (uint32_t)(siphash13(s->key, str_of(folded, n)) >> 32);
}

static unsigned bucket_of(uint32_t hash)
{
    return hash >> (32 - FENCE_BITS);
}

/* ---- lists of numbers that grow */

struct entries {
    uint64_t *v;
    size_t count, cap;
};

static int add(struct entries *e, uint64_t value)
{
    if (e->count == e->cap) {
        size_t cap = e->cap ? 2 * e->cap : 1024;
        uint64_t *grown = cap > ENTRIES_MAX ? NULL : mem_resize(e->v, cap * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        e->v = grown;
        e->cap = cap;
    }
    e->v[e->count++] = value;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void sort(struct entries *e)
{
    if (e->count)
        qsort(e->v, e->count, sizeof *e->v, by_value);
}

/* ---- building */

static int add_event(
    const struct segment *s, struct entries *e, uint64_t place, const struct trace_event *ev)
{
    int rc = 0;

    if (ev->id)
        rc = add(e, (uint64_t)id_hash(s, ev->id) << 32 | place);
    if (rc == 0 && ev->to.n)
        rc = add(e, (uint64_t)address_hash(s, ev->to) << 32 | place);
    if (rc == 0 && ev->from.n)
        rc = add(e, (uint64_t)address_hash(s, ev->from) << 32 | place);
    return rc;
}

static int gather(const struct segment *s, struct entries *e, uint64_t *damaged)
{
    struct segment_scan scan;
    struct trace_event ev;
    int rc = segment_scan_begin(&scan, s, 0);

    while (rc >= 0 && (rc = segment_scan_next(&scan, &ev)) == 1 && scan.found <= UINT32_MAX)
        rc = add_event(s, e, scan.found, &ev);
    *damaged = scan.damaged;
    segment_scan_end(&scan);
    return rc < 0 ? rc : 0;
}

static void entries_to_octets(const struct entries *e)
{
    for (size_t i = 0; i < e->count; i++) {
        uint64_t v = e->v[i];
        put_u64((char *)&e->v[i], v);
    }
}

/* The entries are octets by now. */
static void put_fence(const struct entries *e, char *fence)
{
    size_t i = 0;

    for (unsigned b = 0; b < FENCE; b++) {
        size_t first = i;
        while (i < e->count && bucket_of(get_u32((const char *)&e->v[i] + 4)) == b)
            i++;
        put_u32(fence + b * FENCE_ENTRY, (uint32_t)first);
        put_u32(fence + b * FENCE_ENTRY + 4,
            crc32c(str_of((const char *)(e->v + first), (i - first) * sizeof *e->v)));
    }
}

static void put_head(char *head, const struct segment *s, const struct entries *e, uint64_t damaged)
{
    memset(head, 0, INDEX_HEAD);
    memcpy(head, magic, sizeof magic);
    put_u32(head + 8, INDEX_FORMAT);
    put_u32(head + 12, INDEX_HEAD);
    put_u64(head + 16, s->number);
    put_u64(head + 24, s->size);
    put_u64(head + 32, damaged);
    put_u32(head + 40, (uint32_t)e->count);
    put_u32(head + 56, crc32c(str_of(head + INDEX_HEAD, FENCE_OCTETS)));
    put_u32(head + 60, crc32c(str_of(head, 60)));
}

static int write_all(const struct sys *sys, int h, struct str octets, uint64_t at)
{
    while (octets.n) {
        struct str part = str_head(octets, WRITE_AT_ONCE);
        struct iovec v = {(void *)(uintptr_t)part.p, part.n};
        ssize_t n = sys->pwritev(sys, h, &v, 1, at);
        if (n <= 0)
            return n < 0 ? (int)n : -ENOSPC;
        octets = str_from(octets, (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}

static int write_index(
    const struct segment *s, const char *dir, const char *head, const struct entries *e)
{
    char path[TRACE_PATH_MAX], new[TRACE_PATH_MAX];
    const struct sys *sys = s->sys;
    int h, rc;

    segment_path(path, dir, s->number, SEGMENT_INDEX);
    segment_path(new, dir, s->number, SEGMENT_NEW);
    h = sys->open(sys, new, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (h < 0)
        return h;
    rc = write_all(sys, h, str_of(head, INDEX_HEAD + FENCE_OCTETS), 0);
    if (rc == 0)
        rc = write_all(
            sys, h, str_of((const char *)e->v, e->count * sizeof *e->v), INDEX_HEAD + FENCE_OCTETS);
    sys->close(sys, h);
    if (rc == 0)
        rc = sys->rename(sys, new, path);
    if (rc < 0)
        sys->unlink(sys, new);
    return rc;
}

int trace_index_build(const struct segment *s, const char *dir, uint64_t *damaged)
{
    char *head = mem_zalloc(INDEX_HEAD + FENCE_OCTETS);
    struct entries e = {0};
    int rc = head ? gather(s, &e, damaged) : -ENOMEM;

    if (rc == 0) {
        sort(&e);
        entries_to_octets(&e);
        put_fence(&e, head + INDEX_HEAD);
        put_head(head, s, &e, *damaged);
        rc = write_index(s, dir, head, &e);
    }
    mem_free(e.v);
    mem_free(head);
    return rc;
}

bool trace_index_is_there(const struct sys *sys, const char *dir, uint64_t number)
{
    char path[TRACE_PATH_MAX];
    struct sys_stat st;

    segment_path(path, dir, number, SEGMENT_INDEX);
    return sys->stat(sys, path, &st) == 0;
}

/* ---- looking up */

struct index {
    const struct segment *segment;
    int h;
    uint32_t count;
    char *head; /* header and fence */
};

static bool read_whole(const struct index *x, char *p, size_t n, uint64_t at)
{
    const struct sys *sys = x->segment->sys;
    size_t done = 0;

    while (done < n) {
        ssize_t rc = sys->pread(sys, x->h, p + done, n - done, at + done);
        if (rc <= 0)
            return false;
        done += (size_t)rc;
    }
    return true;
}

static bool head_is_good(struct index *x)
{
    const char *head = x->head;

    if (!read_whole(x, x->head, INDEX_HEAD + FENCE_OCTETS, 0) ||
        memcmp(head, magic, sizeof magic) != 0 || get_u32(head + 8) != INDEX_FORMAT ||
        get_u32(head + 60) != crc32c(str_of(head, 60)) ||
        get_u32(head + 56) != crc32c(str_of(head + INDEX_HEAD, FENCE_OCTETS)))
        return false;
    x->count = get_u32(head + 40);
    return get_u64(head + 16) == x->segment->number && get_u64(head + 24) == x->segment->size;
}

static void index_close(struct index *x)
{
    if (x->h >= 0)
        x->segment->sys->close(x->segment->sys, x->h);
    mem_free(x->head);
}

/* False where there is none that can be believed. */
static bool index_open(struct index *x, const struct segment *s, const char *dir)
{
    char path[TRACE_PATH_MAX];

    segment_path(path, dir, s->number, SEGMENT_INDEX);
    *x = (struct index){.segment = s, .h = s->sys->open(s->sys, path, O_RDONLY, 0)};
    if (x->h < 0)
        return false;
    x->head = mem_alloc(INDEX_HEAD + FENCE_OCTETS);
    if (x->head && head_is_good(x))
        return true;
    index_close(x);
    return false;
}

static int take_bucket(
    const char *octets, size_t n, uint32_t hash, uint64_t after, struct entries *found)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t place = get_u32(octets + 8 * i);
        if (get_u32(octets + 8 * i + 4) == hash && place > after && add(found, place) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* -EBADMSG where the index is damaged. */
static int look_up(const struct index *x, uint32_t hash, uint64_t after, struct entries *found)
{
    unsigned b = bucket_of(hash);
    const char *fence = x->head + INDEX_HEAD + b * FENCE_ENTRY;
    uint32_t first = get_u32(fence), end = b + 1 < FENCE ? get_u32(fence + FENCE_ENTRY) : x->count;
    size_t n = (size_t)end - first;
    char *octets;
    int rc = -EBADMSG;

    if (first > end || end > x->count || n > ENTRIES_MAX)
        return -EBADMSG;
    if (n == 0)
        return 0;
    octets = mem_alloc(n * 8);
    if (!octets)
        return -ENOMEM;
    if (read_whole(x, octets, n * 8, INDEX_HEAD + FENCE_OCTETS + 8 * (uint64_t)first) &&
        crc32c(str_of(octets, n * 8)) == get_u32(fence + 4))
        rc = take_bucket(octets, n, hash, after, found);
    mem_free(octets);
    return rc;
}

static int by_index(
    const struct index *x, const struct index_keys *keys, uint64_t after, struct entries *found)
{
    int rc = 0;

    for (uint32_t i = 0; i < keys->ids && rc == 0; i++)
        rc = look_up(x, id_hash(x->segment, keys->id[i]), after, found);
    if (keys->address.n && rc == 0)
        rc = look_up(x, address_hash(x->segment, keys->address), after, found);
    return rc;
}

bool trace_index_keys_match(const struct index_keys *keys, const struct trace_event *ev)
{
    for (uint32_t i = 0; i < keys->ids && ev->id; i++)
        if (keys->id[i] == ev->id)
            return true;
    return keys->address.n && event_names(ev, keys->address);
}

static int by_scan(
    const struct segment *s, const struct index_keys *keys, uint64_t after, struct entries *found)
{
    struct segment_scan scan;
    struct trace_event ev;
    int rc = segment_scan_begin(&scan, s, after);

    while (rc >= 0 && (rc = segment_scan_next(&scan, &ev)) == 1)
        if (scan.found > after && trace_index_keys_match(keys, &ev))
            rc = add(found, scan.found);
    segment_scan_end(&scan);
    return rc < 0 ? rc : 0;
}

/* Sorted, and each once. */
static void settle(struct entries *found, uint32_t **place, size_t *count)
{
    uint32_t *out = mem_array(found->count + 1, sizeof *out);
    size_t n = 0;

    sort(found);
    for (size_t i = 0; out && i < found->count; i++)
        if (n == 0 || out[n - 1] != (uint32_t)found->v[i])
            out[n++] = (uint32_t)found->v[i];
    *place = out;
    *count = n;
}

int trace_index_find(const struct segment *s, const char *dir, const struct index_keys *keys,
    uint64_t after, uint32_t **place, size_t *count)
{
    struct entries found = {0};
    struct index x;
    int rc = -EBADMSG;

    if (index_open(&x, s, dir)) {
        rc = by_index(&x, keys, after, &found);
        index_close(&x);
    }
    if (rc == -EBADMSG) {
        found.count = 0;
        rc = by_scan(s, keys, after, &found);
    }
    if (rc == 0) {
        settle(&found, place, count);
        rc = *place ? 0 : -ENOMEM;
    }
    mem_free(found.v);
    return rc;
}
