/* io/fake_disk.h: a disk in memory that loses power, for tests.
 *
 * What was written and not synced may be lost, all of it or any sector; a name that was made and
 * whose directory was not synced may be lost. Calls can be made to fail by their count. Its clock
 * ticks with its operations. Safe to use from several threads.
 */
#pragma once

#include "io/sys.h"

enum fake_image {
    FAKE_NONE,   /* what was synced, and nothing else */
    FAKE_ALL,    /* everything that was written */
    FAKE_PREFIX, /* of each file's pending sectors the first ones, as many as the seed says */
    FAKE_SOME,   /* any of the pending sectors, by seed; names all, none, the first ones or any */
    FAKE_TORN,   /* as FAKE_SOME, and one pending sector is garbage */
    FAKE_IMAGES,
    FAKE_ONE = FAKE_IMAGES, /* of the pending sectors one alone, the seed-th */
    FAKE_BUT_ONE,           /* all of them but one */
    FAKE_ALL_IMAGES,
};

struct fake_disk;

struct fake_disk *fake_new(void);
void fake_free(struct fake_disk *f);
const struct sys *fake_sys(struct fake_disk *f);

/* What is on the disk after the power was lost now. */
struct fake_disk *fake_after_cut(struct fake_disk *f, enum fake_image how, uint64_t seed);

/* The disk as it is, with what is pending, for several images of one moment. */
struct fake_disk *fake_snapshot(struct fake_disk *f);
/* How many different seeds FAKE_ONE, FAKE_BUT_ONE and FAKE_PREFIX have. */
uint64_t fake_pending(struct fake_disk *f);
/* A number for what is on the disk: of its names and octets, pending or not. */
uint64_t fake_hash(struct fake_disk *f);

/* An image in a file, with octets of the caller's, to try it again: 0 or -errno; NULL where the
 * file is none, or `extra` has another size. */
int fake_save(struct fake_disk *f, const char *path, const void *extra, size_t n);
struct fake_disk *fake_load(const char *path, void *extra, size_t n);

/* fn(arg) is called before each operation that changes the disk or makes something durable, on the
 * thread that calls, and may take snapshots and images, nothing else. NULL: no more. */
void fake_watch(struct fake_disk *f, void (*fn)(void *arg), void *arg);

/* Operations so far that change the disk or make something durable; from the n-th on (0: never)
 * everything fails, as for a machine without power. */
uint64_t fake_operations(const struct fake_disk *f);
void fake_cut_at(struct fake_disk *f, uint64_t n);

enum fake_call {
    FAKE_WRITE,
    FAKE_SYNC, /* fdatasync, fsync */
    FAKE_READ,
    FAKE_CALLS,
};

/* The n-th call from now (1: the next) fails with `error`; all from then on where `lasting`. A
 * failed sync drops what was to be written, and the next one succeeds, unless keep. */
void fake_fail(struct fake_disk *f, enum fake_call call, uint64_t n, int error, bool lasting);
void fake_sync_keeps(struct fake_disk *f, bool keep);
uint64_t fake_calls(const struct fake_disk *f, enum fake_call call);
void fake_short_writes(struct fake_disk *f, bool on);
void fake_space(struct fake_disk *f, uint64_t octets); /* what the disk can hold; 0: anything */

/* The octets of a file, to damage them, as if they were durable; NULL where there is none. */
char *fake_file(struct fake_disk *f, const char *path, size_t *n);
void fake_set_size(struct fake_disk *f, const char *path, size_t n);
void fake_set_mode(struct fake_disk *f, const char *path, mode_t mode);
void fake_copy(struct fake_disk *f, const char *from, const char *to);
