/* mail/digest.h: what a message means, worked out once while it streams in and kept beside it.
 *
 * A digest is a compact octet string with a version: the tree of parts with offsets into content,
 * as BODYSTRUCTURE and BODY[...] need them, ENVELOPE of the message and of embedded ones, keys to
 * sort (RFC 5256, 5957) and to thread by, file names, a preview (RFC 8970). Core stores and serves
 * it and never parses MIME. It never says who sender or recipient are: those are the envelope's.
 *
 * Two users: an inbound builds (digest_begin ... digest_finish), everybody reads (digest_open and
 * the accessors, which give slices into the octets and copy nothing). digest_open() checks all of
 * it, so the accessors cannot fail on one that it took.
 *
 * Text that is shown raw in IMAP (dates, subjects, names, parameters) is unfolded and otherwise as
 * in the message: encoded words stay encoded, octets above 127 stay. File names, base subject,
 * display names for sorting and the preview are decoded UTF-8.
 */
#pragma once

#include "base/err.h"

#include "mail/mime.h"
#include "mail/preview.h"

enum {
    DIGEST_VERSION = 1,
    DIGEST_ADDRESSES_MAX = 1000, /* of one list; the rest is left out */
    DIGEST_REFERENCES_MAX = 100, /* the last ones */
    DIGEST_KEY_MAX = 255,        /* octets of a sort key made of an address */
    DIGEST_TEXT_MAX = 16384,     /* of a date, a subject, an id in an envelope */
    DIGEST_MAX = 3 << 20,        /* no digest is longer */
};

/* ---- building */

enum {
    DIGEST_WINDOW = 1024, /* octets of text that are decoded at once for the preview */
    DIGEST_WINDOWS_MAX = 256
};

/* Embedded by its user; only the functions below look into it. */
struct digest_builder {
    struct mime_parser parser;
    struct arena arena; /* encoded envelopes, keys */
    struct buf scratch;
    struct str sort, thread;
    const struct mime_part *text_part; /* the one whose text is previewed now */
    struct transfer *transfer;
    struct html_text *html;
    struct buf window; /* its text, decoded but for the charset */
    unsigned windows;
    struct preview preview;
    bool preview_done, failed;
};

void digest_begin(struct digest_builder *b, const struct mime_limits *limits);
void digest_feed(struct digest_builder *b, struct str chunk);

/* Appends the digest. -1 only without memory or where out has no room. */
int digest_finish(struct digest_builder *b, struct buf *out, struct err *e);
void digest_done(struct digest_builder *b);

/* ---- reading */

struct digest {
    unsigned version;
    uint64_t size; /* octets of content */
    uint32_t part_count;
    struct str parts, sort, thread;
    struct str preview;
};

/* -1 with ERR_PERMANENT where the octets are no digest of a version that is known. */
int digest_open(struct str octets, struct digest *d, struct err *e);

struct digest_part {
    uint32_t index, parent; /* of the root, parent is its own index, 0 */
    enum mime_kind kind;
    enum mime_encoding encoding;
    bool message, opaque, attachment;
    uint64_t header_start, body_start, body_end, body_lines;
    struct str type, subtype; /* as written; the default where there is none */
    struct str params;        /* for digest_next_param() */
    struct str disposition, disposition_params;
    struct str encoding_text, id, description, language, location, md5; /* empty: NIL */
    struct str file_name;                                               /* decoded */
    struct str envelope; /* of a message: for digest_envelope() */
};

struct digest_parts {
    struct str rest;
    uint32_t index;
};

static inline struct digest_parts digest_parts(const struct digest *d)
{
    return (struct digest_parts){.rest = d->parts};
}

/* Parts in order of appearance: a parent comes before its children. */
bool digest_next_part(struct digest_parts *it, struct digest_part *part);
bool digest_next_param(struct str *params, struct mime_param *param);

/* RFC 9051 2.3.5; empty: NIL. Sender and Reply-To are those of the message, or From. */
struct digest_envelope {
    struct str date, subject;
    struct str from, sender, reply_to, to, cc, bcc; /* for digest_next_address() */
    struct str in_reply_to, message_id;
};

void digest_envelope(struct str encoded, struct digest_envelope *env);

enum digest_address_kind {
    DIGEST_MAILBOX,
    DIGEST_GROUP_START, /* name is that of the group */
    DIGEST_GROUP_END,
};

struct digest_address {
    enum digest_address_kind kind;
    struct str name, route, local, domain;
};

bool digest_next_address(struct str *list, struct digest_address *a);

struct digest_sort {
    bool has_date, reply;
    int64_t date_ms;
    int zone_min;
    struct str subject;                  /* base subject */
    struct str from, to, cc;             /* local part of the first mailbox */
    struct str display_from, display_to; /* RFC 5957: name, else address */
};

void digest_sort(const struct digest *d, struct digest_sort *s);

/* Ids without angle brackets. references: those of References, else the first of In-Reply-To,
 * oldest first, for digest_next_reference(). */
struct digest_thread {
    struct str message_id, in_reply_to, references;
};

void digest_thread(const struct digest *d, struct digest_thread *t);
bool digest_next_reference(struct str *references, struct str *id);
