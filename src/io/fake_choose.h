/* io/fake_choose.h: exactly what of a fake disk's pending changes survives a power cut.
 *
 * fake_after_cut() leaves it to a seed; an enumeration says it change by change. A change is one
 * sector whose octets differ from what is durable, the size of one file, or one name.
 */
#pragma once

#include "io/fake_disk.h"

enum {
    FAKE_CHANGES = 1024,
};

struct fake_changes {
    uint32_t count, sectors; /* sectors come last */
    bool more;               /* than there is room for */
    struct fake_change {
        enum fake_change_kind {
            FAKE_SIZE,
            FAKE_NAME,
            FAKE_SECTOR,
        } kind;
        uint32_t inode, at; /* FAKE_NAME: at is the operation on names */
    } v[FAKE_CHANGES];
};

enum fake_tear {
    FAKE_WHOLE,
    FAKE_GARBAGE,     /* the last surviving sector is garbage */
    FAKE_PART_OLD,    /* its first octets are new, the rest is as it was */
    FAKE_PART_GARBAGE /* its first octets are new, the rest is garbage */
};

struct fake_choice {
    unsigned char survives[FAKE_CHANGES];
    enum fake_tear tear;
    uint32_t torn_at; /* FAKE_PART_*: so many octets */
    uint64_t seed;    /* of the garbage */
};

void fake_changes(struct fake_disk *f, struct fake_changes *c);
struct fake_disk *fake_choose(
    struct fake_disk *f, const struct fake_changes *c, const struct fake_choice *choice);
/* One change, for people: "segment-0001 sector 16". */
void fake_change_name(struct fake_disk *f, const struct fake_change *change, char *out, size_t n);
