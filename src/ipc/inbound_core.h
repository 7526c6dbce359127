/* ipc/inbound_core.h: what inbound and core say to each other.
 *
 * A message travels as PUTs (parts that grow, at most 60 KiB each) and one COMMIT request; a small
 * one is a COMMIT alone. Some PUTs of a large one ask for an answer, so that little of it is on its
 * way at a time. PUT of an upload number that is new begins it, ABORT ends it; core
 * frees the uploads of a channel that closes. Core checks everything again: ids against the lease,
 * sizes, addresses, counts. Encoders append to a buf (base/buf.h: check buf_ok once); decoders give
 * slices into the payload and arrays in the arena.
 */
#pragma once

#include "base/arena.h"

#include "ipc/codec.h"

/* Ceilings in octets where nothing else is said: the grammar's own are lower or set by rows of the
 * configuration; what is beyond these is a broken peer. */
enum {
    IC_ADDRESS_MAX = 1024,      /* RFC 5321 4.5.3.1.3 has 256; room for UTF-8 and sloppy peers */
    IC_ORCPT_MAX = 1024,        /* RFC 3461 4.2 has 500 before xtext */
    IC_ENVID_MAX = 512,         /* RFC 3461 4.4 has 100 before xtext */
    IC_NAME_MAX = 4096,         /* client, helo, protocol */
    IC_PUT_MAX = 60 * 1024,     /* of one part */
    IC_RCPT_BATCH_MAX = 256,    /* recipients of one IC_RCPT, so that its answers fit a frame */
    IC_RECIPIENTS_MAX = 100000, /* of one message */
    IC_CUTS_MAX = 32,
    IC_DIGEST_JOBS = 8, /* of an inbound at a time; one more ends the oldest */
};

enum ic_type {
    IC_LEASE = 1, /* ask: nothing -> struct ic_lease */
    IC_ADMIT,     /* ask: struct ic_admit -> struct ic_admitted */
    IC_RELEASE,   /* notice: u32 slot of an admitted connection that has ended */
    IC_RCPT,      /* ask: struct ic_rcpt -> one struct ic_rcpt_answer a recipient, in order */
    IC_PUT,       /* notice: struct ic_put; or ask -> nothing, once it and all before it are in
                     memory to stay, or in their file */
    IC_ABORT,     /* notice: u32 upload */
    IC_COMMIT,    /* ask: struct ic_commit -> struct err, class ERR_NONE once it is durable */
    IC_STATE,     /* notice, core to inbound: u8 enum ic_state, when it changes and at attach */

    /* core to inbound, of content that no inbound has digested: core's own notifications */
    IC_DIGEST_PUT, /* notice: u32 job, then octets of the content; a new job number begins one */
    IC_DIGEST_END, /* ask: u32 job -> the digest; empty where there is none */
};

enum ic_state {
    IC_READY,
    IC_FULL,   /* disk reserve reached: 452 4.3.1 at MAIL */
    IC_BROKEN, /* storage failed: 451 4.3.0 at MAIL */
};

/* Message ids of this inbound: base | counter, counter of 24 bits from 0; then ask again. */
enum {
    IC_LEASE_BITS = 24
};

struct ic_lease {
    uint64_t base;
};

struct ic_admit {
    uint8_t address[16]; /* v4-mapped; all zeros for a unix socket */
    uint16_t listener;   /* index in the configuration */
};

/* What a connection may: core's word, by which it goes itself, whatever it is told later. */
enum ic_right {
    IC_STRANGER,
    IC_TRUSTED, /* by network (relay allow), AUTH or a local socket: may relay */
};

struct ic_admitted {
    bool ok;
    uint32_t slot; /* for IC_RELEASE, IC_RCPT and IC_COMMIT, if ok */
    enum ic_right right;
    struct err why; /* if not: status and text for the 421; else it does not travel */
};

struct ic_rcpt {
    uint32_t slot; /* the connection's */
    struct str reverse_path;
    struct str *address;
    uint32_t count;
};

enum ic_verdict {
    IC_LOCAL,   /* delivered here: a digest is wanted */
    IC_FORWARD, /* an alias whose targets are all elsewhere */
    IC_RELAY,
    IC_REFUSED, /* why says 5xx or 4xx */
};

struct ic_rcpt_answer {
    enum ic_verdict verdict;
    struct err why; /* travels with IC_REFUSED only */
};

enum ic_part {
    IC_ENVELOPE_RECIPIENTS, /* more encoded recipients */
    IC_CONTENT,
    IC_DIGEST,
};

struct ic_put {
    uint32_t upload;
    enum ic_part part;
    struct str octets;
};

enum ic_notify { /* RFC 3461 4.1, a set */
    IC_NOTIFY_DEFAULT = 0,
    IC_NOTIFY_NEVER = 1,
    IC_NOTIFY_SUCCESS = 2,
    IC_NOTIFY_FAILURE = 4,
    IC_NOTIFY_DELAY = 8,
};

enum ic_ret {
    IC_RET_DEFAULT,
    IC_RET_FULL,
    IC_RET_HDRS,
};

struct ic_recipient {
    struct str address; /* as given at RCPT, without the angle brackets */
    struct str orcpt;   /* "rfc822;xtext" as given, or empty */
    uint8_t notify;     /* set of enum ic_notify */
};

struct ic_envelope {
    uint64_t id;
    struct str reverse_path; /* empty: the null reverse-path */
    bool smtputf8, eight_bit;
    enum ic_ret ret;
    struct str envid; /* xtext as given */
    struct ic_recipient *rcpt;
    uint32_t count;
};

struct ic_commit {
    uint32_t upload; /* 0 where nothing was PUT; inline parts are appended to what was PUT */
    struct ic_envelope envelope;
    uint32_t slot;                     /* the connection's */
    struct str client, helo, protocol; /* for the trace: address, argument, "ESMTPS" */
    struct str prefix;                 /* header fields that we add in front */
    struct str content;                /* inline; CRLF line ends */
    struct str digest;                 /* inline; empty where nobody is local */
    uint64_t content_size;             /* in all, for a check */
    uint32_t content_crc;              /* CRC-32C of all content */
    /* Pairs of (offset, length) in the content, rising and apart: foreign Return-Path and
     * Delivered-To fields, which local copies leave out (RFC 5321 4.4). */
    uint64_t *cut;
    uint32_t cuts; /* pairs */
};

/* Encoders mark the buf bad where a value is beyond a ceiling. Text (addresses, names) with control
 * octets is refused by the decoders: it would end up in header fields, replies and logs. */
void ic_lease_encode(const struct ic_lease *v, struct buf *out);
int ic_lease_decode(struct str p, struct ic_lease *v, struct err *e);
void ic_admit_encode(const struct ic_admit *v, struct buf *out);
int ic_admit_decode(struct str p, struct ic_admit *v, struct err *e);
void ic_admitted_encode(const struct ic_admitted *v, struct buf *out);
int ic_admitted_decode(struct str p, struct ic_admitted *v, struct err *e);
void ic_rcpt_encode(const struct ic_rcpt *v, struct buf *out);
int ic_rcpt_decode(struct arena *a, struct str p, struct ic_rcpt *v, struct err *e);
void ic_rcpt_answer_encode(const struct ic_rcpt_answer *v, struct buf *out);
int ic_rcpt_answers_decode(
    struct arena *a, struct str p, struct ic_rcpt_answer **v, uint32_t *count, struct err *e);
void ic_put_encode(const struct ic_put *v, struct buf *out);
void ic_put_encode_head(const struct ic_put *v, struct buf *out); /* the octets must follow */
int ic_put_decode(struct str p, struct ic_put *v, struct err *e);
/* A run of recipients: runs that follow each other are one. */
void ic_recipients_encode(const struct ic_recipient *v, uint32_t count, struct buf *out);
int ic_recipients_decode(
    struct arena *a, struct str p, struct ic_recipient **v, uint32_t *count, struct err *e);
void ic_commit_encode(const struct ic_commit *v, struct buf *out);
/* The same in two, for who has v->content in place already: head, the content, tail. */
void ic_commit_encode_head(const struct ic_commit *v, struct buf *out);
void ic_commit_encode_tail(const struct ic_commit *v, struct buf *out);
int ic_commit_decode(struct arena *a, struct str p, struct ic_commit *v, struct err *e);

/* The 13 characters of 0-9a-z by which people know a message, and back. */
enum {
    IC_ID_CHARS = 13
};
void ic_id_format(uint64_t id, char out[IC_ID_CHARS + 1]);
bool ic_id_parse(struct str text, uint64_t *id);
