/* mail/header_map.h: addresses in header fields become other ones while content streams through.
 *
 * From, Sender and Reply-To are mapped as senders, To and Cc as recipients. Only the addr-spec of a
 * mailbox is exchanged: display names, comments, groups, folding and everything else stay as they
 * are, and so does what is no sound address (mail/address_list.h). Where the header ends is as
 * mail/header_scan.h says, wherever runs end. A field is held until it is complete; one longer than
 * HEADER_MAP_FIELD_MAX passes unchanged.
 */
#pragma once

#include "base/buf.h"

enum {
    HEADER_MAP_FIELD_MAX = 64 * 1024,
};

/* True: appends to out what the address becomes. */
typedef bool header_map_fn(void *arg, bool sender, struct str address, struct buf *out);
/* Takes the next octets of the mapped content; they are the caller's until the call returns. */
typedef void header_map_put_fn(void *arg, struct str octets);

struct header_map {
    header_map_fn *map;
    header_map_put_fn *put;
    void *arg;
    struct buf held; /* the start of a line, or a field */
    uint8_t state;
    bool first, sender, is_held;
    bool ended;  /* the header: what comes now is to be passed on as it is */
    bool failed; /* there was no memory; what was put is not the whole */
};

void header_map_init(struct header_map *m, header_map_fn *map, header_map_put_fn *put, void *arg);
void header_map_done(struct header_map *m);

/* May be called past the end of the header, too. */
void header_map_feed(struct header_map *m, struct str run);
/* Content has ended. */
void header_map_finish(struct header_map *m);
