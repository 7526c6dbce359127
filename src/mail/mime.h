/* mail/mime.h: the structure of a message, found while it streams in.
 *
 * RFC 2045, 2046, 6532. Content is pushed in chunks of any size; the result never depends on where
 * they end. It is a tree of parts with offsets from the start of content. A part has a header
 * [header_start, body_start), which ends with its empty line, and a body [body_start, body_end),
 * without the line end that belongs to the delimiter behind it (RFC 2046 5.1.1). The child of a
 * message part is the embedded message, whose header starts where the body of its parent does.
 *
 * Nothing is a failure: a boundary that is missing, no end, no header. Where the first line of a
 * header block is no field, the part has no header and the body begins (but for mbox's "From "
 * line and lines that begin with white space, which are junk). Of fields that occur twice the first
 * counts. A delimiter is a line that begins with "--" and the boundary (RFC 2046 5.1.2); if several
 * match, the innermost that fits exactly, else the longest. Within a multipart that is opaque only
 * exact ones count, so that delimiters of parts nobody looks at are not taken for outer ones.
 * Depth, parts, parameters, header octets kept and memory have ceilings; what lies beyond is
 * opaque: a leaf whose octets are there.
 *
 * No body is kept: memory is the tree, one header block, and the head of a line. No recursion.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#include "mail/content_type.h"

struct mime_limits {
    unsigned depth;    /* of parts below the message; deeper multiparts are opaque */
    unsigned parts;    /* in all, with embedded messages */
    unsigned params;   /* of one field */
    size_t header_max; /* octets of one header block that are looked at */
    size_t memory_max; /* octets of the tree */
};

/* hostile.md: 64, 2,000, 100, 256 KiB; half a MiB */
#define MIME_LIMITS_DEFAULT ((struct mime_limits){64, 2000, 100, 256 << 10, 512 << 10})

enum mime_kind {
    MIME_LEAF,
    MIME_MULTIPART,
    MIME_MESSAGE, /* message/rfc822 or message/global: the only child is the embedded message */
};

/* What the header of a part says about it, all of it in the parser's arena; empty: not there. */
struct mime_fields {
    struct mime_value type; /* empty value: there is none, or it makes no sense */
    struct mime_value disposition;
    struct str encoding;                                 /* the token, as written */
    struct str id, description, language, location, md5; /* unfolded */
};

struct mime_part {
    struct mime_part *parent, *first, *last, *next;
    const struct mime_fields *fields; /* NULL: no such field */
    void *user;                       /* the handler's */
    uint64_t header_start, body_start, body_end;
    uint64_t body_lines; /* line ends within the body */
    uint32_t index; /* order of appearance: the root is 0, a parent comes before its children */
    uint16_t depth;
    uint8_t kind;     /* enum mime_kind */
    uint8_t encoding; /* enum mime_encoding */
    bool message;     /* the root, or an embedded message */
    bool opaque;      /* multipart or message by type, but nothing could be found in it */
};

/* What a user of the parser wants to hear; each may be NULL. */
struct mime_handler {
    void *arg;
    /* The header of a part is complete; block holds it (or its first header_max octets), with the
     * empty line. True if the body of this leaf is wanted. */
    bool (*header)(void *arg, struct mime_part *part, struct str block);
    void (*body)(void *arg, struct mime_part *part, struct str octets);
    void (*end)(void *arg, struct mime_part *part);
};

struct mime_frame;

enum {
    MIME_BOUNDARY_MAX = 16384 /* RFC 2046 allows 70; with a longer one than this a part is opaque */
};

/* Embedded by its user; only the functions below look into it. */
struct mime_parser {
    struct mime_limits limits;
    struct mime_handler handler;
    struct arena arena;
    struct mime_part *root, *current;
    struct mime_frame *frames;
    struct buf header, line;
    uint64_t offset, lines;  /* octets and line ends taken so far */
    size_t boundary_longest; /* of those that are open */
    uint32_t open, count;
    uint8_t state, rest, eol, held_count;
    char held[2];
    bool begin_part, inside_opaque, last_cr, want_body, stopped, failed;
};

void mime_init(
    struct mime_parser *p, const struct mime_limits *limits, const struct mime_handler *handler);
void mime_feed(struct mime_parser *p, struct str chunk);

/* The end of content. The root of the tree, which lives until mime_done(); NULL without memory. */
struct mime_part *mime_finish(struct mime_parser *p);
void mime_done(struct mime_parser *p);

/* The part that follows in order of appearance, NULL after the last one. */
struct mime_part *mime_next(const struct mime_part *part);

/* "text", "plain" where the field is missing or makes no sense; message/rfc822 in a digest (RFC
 * 2046 5.1.5). */
struct str mime_type(const struct mime_part *part, struct str *subtype);
bool mime_is(const struct mime_part *part, struct str type, struct str subtype);
