/* inbound/smtp/content.h: the content of a message on its way from the stream to core, for the
 * files of this folder.
 *
 * It is copied once, into a block, measured and scanned there, and PUT when the block is full: a
 * session never holds more of a message than a block. What is wrong with it is kept as a verdict
 * until the end of data, which is read in any case. What is stored, measured and digested is what
 * the maps of the configuration have made of it.
 */
#pragma once

#include "mail/digest.h"
#include "mail/header_map.h"
#include "mail/header_scan.h"

#include "wire/smtp_data.h"

#include "ipc/channel.h"
#include "ipc/inbound_core.h"

struct session;

enum {
    BLOCK_GAP = 4096,           /* before the content: room for the head of its frame */
    BLOCK_CONTENT = IC_PUT_MAX, /* octets of content before they are PUT */
    BLOCK_SIZE = BLOCK_GAP + CHANNEL_FRAME_MAX,
    BLOCKS_KEPT = 64,
};

/* Memory for content on its way to core, and for what is made of it. */
struct block {
    struct block *next;
    struct digest_builder digest;
    struct header_map map;
    char octets[BLOCK_SIZE];
};

/* How a message is refused; class ERR_NONE: it is not. */
struct smtp_verdict {
    uint16_t code;
    struct err why;
};

/* The content of a message while it arrives. */
struct content {
    struct smtp_data machine;
    struct block *block; /* NULL where there is no content in progress */
    size_t used;         /* octets of content in the block */
    uint64_t sent;       /* octets that were PUT */
    uint32_t upload;     /* 0: nothing was PUT */
    bool wait;           /* for the next PUT to be written: two of a message are on their way */
    uint32_t crc;
    struct header_scan header;
    struct digest_builder *digest; /* the block's, where a recipient is local */
    struct header_map *map;        /* the block's, where header fields are mapped; else NULL */
    struct smtp_verdict verdict;
};

/* Takes a block and begins; -1: there is no memory (or core is another), *v says how to refuse. */
int content_begin(struct session *s, bool dots, struct smtp_verdict *v);

/* Reads up to the end of data, or `size` octets of a chunk. What is wrong with the content is kept
 * in its verdict. -1: the session cannot go on. */
int content_read_data(struct session *s, struct err *e);
int content_read_chunk(struct session *s, uint64_t size, bool last, struct err *e);

/* Reads octets that are nobody's content (hostile.md 26). */
int content_swallow(struct session *s, uint64_t size, struct err *e);

/* Octets of the content so far, as it is to be stored. */
uint64_t content_size(const struct content *c);

/* The octets of content that are in the block. */
struct str content_rest(const struct content *c);

/* Gives core what is in the block. -1: the verdict says why not. */
int content_put(struct session *s);

void content_refuse(struct content *c, uint16_t code, const struct err *why);

/* Gives everything back; what was PUT is aborted. */
void content_drop(struct session *s);
