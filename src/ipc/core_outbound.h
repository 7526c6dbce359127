/* ipc/core_outbound.h: what core and outbound say to each other.
 *
 * core opens connections to sites (CO_OPEN: an assignment, numbered by core, never used again) and
 * outbound pulls deliveries over them: CO_NEXT hands in the outcome of the delivery before and gets
 * the next one, or nothing; then outbound keeps the connection for a while (idle), until CO_WORK
 * says that there is more, or ends it with CO_CLOSED. A delivery carries its recipients and as much
 * of the message as fits into the frame; the rest is asked for in pieces. core never waits for
 * outbound and keeps no call open for an idle connection.
 *
 * Outcomes are kept by outbound until core says that they are in its log (CO_CONFIRM), and told
 * again to a new core: the first thing outbound says on a new channel is CO_ATTACH, with all that
 * the core before did not confirm and what is still on its way; core hands it nothing before.
 * Keyed by (id, recipient, attempt), told twice they change nothing.
 *
 * Encoders and decoders as in ipc/inbound_core.h; nothing here is believed by either side.
 */
#pragma once

#include "base/arena.h"

#include "ipc/co_outcome.h"
#include "ipc/inbound_core.h"

enum {
    CO_HOSTS_MAX = 100,        /* of an assignment */
    CO_READ_MAX = 60 * 1024,   /* octets of a piece */
    CO_INLINE_MAX = 48 * 1024, /* of content within a delivery */
    CO_OUTCOMES_MAX = 4096,    /* deliveries not confirmed; then outbound pulls nothing more */
    CO_TRIED_MAX = 16,         /* addresses named in a failure */
    CO_NAME_MAX = 1024,        /* octets of a site, of a HELO name */
    CO_TRIED_TEXT_MAX = 4096,  /* octets of struct co_closed's tried */
};

enum co_type {
    /* core to outbound */
    CO_OPEN = 1, /* notice: struct co_open */
    CO_WORK,     /* notice: u32 assignment: there is something to pull; also ends its idleness */
    CO_CLOSE,    /* notice: u32 assignment: end it when its transaction has ended */
    CO_CONFIRM,  /* notice: pairs of (u64 id, u16 attempt) whose outcome is durable */

    /* outbound to core */
    CO_ATTACH = 32, /* ask: struct co_attach, maybe in several frames -> nothing */
    CO_NEXT,        /* ask: struct co_next -> struct co_given */
    CO_READ,        /* ask: struct co_read -> the octets; fewer than asked for: it failed */
    CO_RCPTS,       /* ask: u32 assignment, u32 from -> recipients of the delivery behind those */
    CO_CLOSED,      /* notice: struct co_closed: this assignment has ended, its delivery's outcome
                       (if it had one) was told before by CO_NEXT or goes along here */
};

/* ---- assignments */

enum co_host_kind {
    CO_HOST_NAME,    /* A and AAAA of it, asked by outbound */
    CO_HOST_ADDRESS, /* numeric, without brackets */
    CO_HOST_UNIX,    /* a path */
};

struct co_host {
    enum co_host_kind kind;
    struct str name;
    uint16_t port;
};

struct co_open {
    uint32_t assignment;
    bool lmtp;
    bool by_mx; /* from a public MX: own and unspecified addresses are refused, loopback and private
                   ones unless mx-private = yes (hostile.md 129) */
    struct str site;      /* for logs */
    struct str helo_name; /* empty: hostname */
    struct co_host *host; /* in the order in which they are to be tried */
    uint32_t hosts;
};

/* ---- deliveries */

struct co_rcpt {
    uint32_t index;     /* the recipient's place in the stored envelope */
    struct str address; /* as it is to be given at RCPT */
    struct str orcpt;   /* "type;xtext", or empty */
    uint8_t notify;     /* set of enum ic_notify */
};

struct co_delivery {
    uint64_t id;
    uint16_t attempt; /* of this delivery: with the id it names its outcome */
    bool probe;       /* ends after RCPT: nothing is sent (a relay domain's recipients) */
    bool smtputf8, eight_bit;
    enum ic_ret ret;
    struct str envid;        /* xtext as given */
    struct str reverse_path; /* as it is to be given at MAIL */
    uint64_t content_size;
    struct str prefix;  /* header fields in front of the content, whole */
    struct str content; /* its first octets, maybe all */
    struct co_rcpt *rcpt;
    uint32_t rcpts, rcpts_total; /* here; in all (CO_RCPTS gives the rest) */
};

enum co_given_kind {
    CO_DELIVERY,
    CO_NOTHING, /* wait for CO_WORK, idle at most */
    CO_END,     /* close the connection */
};

struct co_given {
    enum co_given_kind kind;
    struct co_delivery delivery; /* CO_DELIVERY */
};

struct co_read {
    uint32_t assignment;
    uint64_t at; /* octets of the content */
    uint32_t n;
};

/* ---- outcomes (ipc/co_outcome.h) */

struct co_next {
    uint32_t assignment;
    bool greeted; /* the first of a connection: host and address say to whom */
    struct str host, address;
    uint32_t messages_max, rcpts_max; /* what the remote said in LIMITS (RFC 9422); 0: nothing */
    bool has_outcome;
    struct co_outcome outcome;
};

/* Why an assignment ended. */
enum co_end {
    CO_ENDED_DONE,    /* told to, idle, drained, or the remote took enough messages */
    CO_ENDED_FAILED,  /* no host could be reached, or none took mail: the site failed for now */
    CO_ENDED_REFUSED, /* permanently: no such host, or all hosts are ones that mail never goes to */
    CO_ENDED_LOST,    /* an established connection broke, or the remote said 421 */
};

struct co_closed {
    uint32_t assignment;
    enum co_end end;
    struct co_reply why;      /* unless DONE */
    struct str host, address; /* the last one that was tried */
    struct str tried;         /* for people: what was tried and what each said, one line */
    bool has_outcome;
    struct co_outcome outcome;
};

struct co_flying {
    uint64_t id;
    uint16_t attempt;
};

struct co_attach {
    bool last;                  /* no more frames follow */
    struct co_outcome *outcome; /* not confirmed */
    uint32_t outcomes;
    struct co_flying *flying; /* being sent at this moment; their outcome follows by CO_ATTACH with
                                 `late`, since their assignments are no longer known */
    uint32_t flyings;
    bool late;
};

/* Encoders mark the buf bad where a value is beyond a ceiling. Decoders refuse control octets in
 * all texts but prefix and content: outbound escapes what a remote said. Slices point into p. */
void co_open_encode(const struct co_open *v, struct buf *out);
int co_open_decode(struct arena *a, struct str p, struct co_open *v, struct err *e);
void co_next_encode(const struct co_next *v, struct buf *out);
int co_next_decode(struct arena *a, struct str p, struct co_next *v, struct err *e);
void co_given_encode(const struct co_given *v, struct buf *out);
int co_given_decode(struct arena *a, struct str p, struct co_given *v, struct err *e);
/* A run of recipients: runs that follow each other are one. */
void co_rcpts_encode(const struct co_rcpt *v, uint32_t count, struct buf *out);
int co_rcpts_decode(
    struct arena *a, struct str p, struct co_rcpt **v, uint32_t *count, struct err *e);
/* What CO_RCPTS asks for: those from the given place in the delivery on, as many as fit. */
void co_rcpts_ask_encode(uint32_t assignment, uint32_t from, struct buf *out);
int co_rcpts_ask_decode(struct str p, uint32_t *assignment, uint32_t *from, struct err *e);
/* The number in CO_WORK and CO_CLOSE. */
void co_assignment_encode(uint32_t assignment, struct buf *out);
int co_assignment_decode(struct str p, uint32_t *assignment, struct err *e);
void co_read_encode(const struct co_read *v, struct buf *out);
int co_read_decode(struct str p, struct co_read *v, struct err *e);
void co_closed_encode(const struct co_closed *v, struct buf *out);
int co_closed_decode(struct arena *a, struct str p, struct co_closed *v, struct err *e);
void co_attach_encode(const struct co_attach *v, struct buf *out);
int co_attach_decode(struct arena *a, struct str p, struct co_attach *v, struct err *e);
/* A run, as above; none is none. */
void co_confirm_encode(const struct co_flying *v, uint32_t count, struct buf *out);
int co_confirm_decode(
    struct arena *a, struct str p, struct co_flying **v, uint32_t *count, struct err *e);
