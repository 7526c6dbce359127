/* inbound/smtp/session.h: one SMTP session (RFC 5321 3), for the files of this folder.
 *
 * A session is a fiber that reads a command, checks it by the table in dispatch.c, runs its handler
 * and says one reply. Its state is split by lifetime: the connection; the transaction, which ends
 * with one assignment and one arena; the command. A handler replies with smtp_say() exactly once
 * and never ends the session itself: it sets `over`, and session.c closes.
 *
 * Deadlines: each command has one for all of itself; the content of a message has a least rate
 * instead. While nothing is buffered and no command comes, the session parks without a stack.
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"

#include "wire/smtp_command.h"

#include "io/stream.h"

#include "ipc/note.h"

#include "inbound/events.h"
#include "inbound/smtp/content.h"
#include "inbound/smtp/service.h"

struct smtp_service {
    const struct config *config;
    struct address_maps *maps;
    struct core_link *core;
    const struct event *event;
    struct list sessions, ended;
    uint32_t count;
    struct cond changed; /* a session has ended */
    struct turn_hook reaper;
    struct scope linger; /* connections that are being closed */
    struct block *blocks;
    unsigned blocks_kept;
    struct arena arena;
    /* Whole replies; the second EHLO is for those who may not ask for reports. */
    struct str banner_smtp, banner_lmtp, hello, ehlo, ehlo_no_dsn, help;
    uint64_t stop_at;
    bool draining, closing;
};

enum smtp_phase {
    PHASE_NEW,       /* not greeted */
    PHASE_CONNECTED, /* greeted, no EHLO yet */
    PHASE_READY,     /* no transaction */
    PHASE_MAIL,      /* a transaction has begun */
    PHASE_CHUNKS,    /* and BDAT has brought some of its content */
};

struct transaction {
    uint64_t id;
    char id_text[IC_ID_CHARS + 1];
    uint32_t generation; /* of the core that gave the id */
    struct ic_envelope envelope;
    uint32_t capacity; /* of envelope.rcpt */
    uint32_t refused;  /* recipients */
    bool local;        /* a recipient is delivered here */
    struct content content;
    struct kv fields[2];
    struct event event;
};

struct session {
    /* the connection */
    struct smtp_service *service;
    const struct smtp_listener *listener;
    struct list link; /* in the service's sessions, then in its ended */
    struct scope scope;
    struct stream *stream;
    struct net_address peer;
    struct arena life;
    char client[64];     /* address of the peer, or "uid 1000" */
    enum ic_right right; /* as core said */
    bool may_send;       /* MAIL is allowed without authentication */
    struct core_slot slot;
    enum smtp_phase phase;
    struct str helo;
    bool esmtp, strict_helo;
    unsigned junk, errors;
    bool over;       /* to be closed */
    const char *why; /* why it ended; NULL: the client quit */
    uint64_t messages, recipients, refused, started, greet_until, deadline;
    struct kv fields[2];
    struct event event;

    /* the transaction */
    struct arena mail;
    struct transaction tx;

    /* the command */
    struct arena scratch;
    struct buf request, reply; /* of questions to core */
};

#define STATUS(class, subject, detail) ((struct err_status){class, subject, detail})

static inline bool session_is_lmtp(const struct session *s)
{
    return s->listener->protocol == PROTOCOL_LMTP;
}

/* ---- session.c */

/* The fiber. */
void session_main(void *arg);

/* A core that is new does not know this connection, nor what it may: admits it again. 0 at once
 * where the present one has it; may suspend. */
int session_readmit(struct session *s, struct err *e);

/* Ends the transaction and everything that belongs to it; an upload is aborted. */
void session_reset(struct session *s);

/* Says a last word and ends the session. why is a literal for the log. */
void session_end_with(
    struct session *s, uint16_t code, struct err_status status, const char *text, const char *why);

/* After a failed read or write: 421 where somebody may hear it. */
void session_fail(struct session *s, const struct err *e);

/* What the fiber does now, for who looks into why the process died. */
void session_note(const struct session *s, enum note_stage stage);

/* ---- hello.c */

/* Is this client offered DSN (RFC 3461)? It may ask for what it was offered, and for nothing else.
 */
bool smtp_offers_dsn(const struct session *s);

/* ---- reply.c */

/* The reply to a command: one line, counted where it is an error. */
void smtp_say(struct session *s, uint16_t code, struct err_status status, struct str text);
/* The same for a command out of order: counted as junk, not as an error. */
void smtp_say_junk(struct session *s, uint16_t code, struct err_status status, struct str text);
void smtp_say_err(struct session *s, uint16_t code, const struct err *e);

/* A whole reply, as it is. */
void smtp_say_raw(struct session *s, struct str reply);

/* The reply code for an error that core gave; e->status is completed. */
uint16_t smtp_code_of(struct err *e);

/* ---- commit.c */

/* The content is complete: to core with it. Says the reply and ends the transaction. */
void smtp_commit(struct session *s);

/* Says how the message is refused, at its end or before, and ends the transaction. */
void smtp_refuse_message(struct session *s);
void smtp_refuse_early(struct session *s);

/* ---- trace.c */

/* The header fields that we add (RFC 5321 4.4), in the transaction's arena; empty: no memory. */
struct str trace_prefix(struct session *s);

/* "ESMTP", "UTF8LMTP" (RFC 3848, RFC 6531 4.3) */
struct str trace_protocol(const struct session *s);
