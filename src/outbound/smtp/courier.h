/* outbound/smtp/courier.h: one assignment, its connection and its deliveries, for this folder.
 *
 * A courier is a fiber that reads like RFC 5321 3.3 from the client's side: dial.c finds a host
 * that answers, hello.c greets it, envelope.c offers sender and recipients, body.c sends the
 * message, outcome.c says what became of each recipient. State is split by lifetime: the
 * assignment, the connection, the delivery.
 *
 * Nothing that a server says can do more than fail its own delivery or connection. Each reply is
 * taken for the command whose turn it is, or the connection ends; octets beside a reply end it too.
 * Functions that return int return -1 when the connection is of no use any more: c->broke says why.
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"

#include "wire/smtp_offer.h"

#include "io/stream.h"

#include "outbound/events.h"
#include "outbound/smtp/delivery.h"
#include "outbound/smtp/service.h"

struct courier_service {
    const struct config *config;
    struct to_core *core;
    struct dns_client *dns;
    const struct own_addresses *own;
    const struct event *event;
    struct table couriers; /* by assignment */
    struct list all, ended;
    uint32_t count;
    struct cond changed; /* a courier has ended */
    struct turn_hook reaper;
    struct scope linger; /* connections that are being closed */
    uint64_t stop_at;
    bool draining, closing;
};

enum courier_phase {
    COURIER_DIALING,
    COURIER_ASKING,  /* core for the next delivery */
    COURIER_SENDING, /* a delivery is in hand */
    COURIER_IDLE,    /* parked */
};

/* Whose answer is waited for, and how long: RFC 5321 4.5.3.2. */
enum stage {
    STAGE_GREETING,
    STAGE_HELLO,
    STAGE_RSET,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,
    STAGE_FINAL,
};

struct courier {
    /* the assignment */
    struct courier_service *service;
    struct list link; /* in the service's all, then in its ended */
    struct scope scope, parked;
    struct arena life;
    struct co_open open;
    char key[4];
    uint32_t generation; /* of the core that gave it */
    enum courier_phase phase;
    bool work, closing; /* core said so */
    bool redialled;     /* for the delivery in hand */
    struct kv life_fields[1];
    struct event life_event;

    /* how it ends */
    enum co_end end;
    struct answer why; /* in the arena of the assignment */
    struct buf tried;
    uint32_t tried_count, addresses;
    uint32_t host_at, address_at; /* the first that was not tried */
    bool temporary;               /* something that was tried may work later */

    /* the connection */
    struct stream *stream; /* NULL: none */
    struct arena connected;
    struct str host, address;
    struct smtp_offer offer;
    bool greeted;         /* core is still to be told to whom */
    bool rset_due;        /* a transaction was left open */
    bool within;          /* the server takes content: no command can be said */
    struct answer broke;  /* why the connection is of no use any more; text in broke_text */
    bool is_broken, lost; /* lost: the server ended it */
    char broke_text[CO_TEXT_MAX];
    uint64_t messages, since;
    struct kv fields[2];
    struct event event;

    /* the delivery */
    struct arena mail, mail_next; /* of the one in hand; of the one that is asked for */
    struct buf given;             /* the frame that it came in */
    struct delivery now;
    bool in_hand; /* it is not told */

    /* an answer */
    struct buf text;
};

#define STATUS(class, subject, detail) ((struct err_status){class, subject, detail})

/* ---- courier.c */

/* Takes an assignment; called outside any fiber. */
void courier_begin(struct courier_service *s, const struct co_open *open);
void courier_free(struct courier *c);
/* Wakes it where it waits for nothing but core: to pull, or to end. */
void courier_wake(struct courier *c);

/* ---- dial.c */

/* 0: connected and greeted. -1: no host took it; c->end and c->why are set. */
int courier_dial(struct courier *c);
/* The same with the addresses behind the one that has just failed. */
int courier_dial_on(struct courier *c);
/* Closes the connection, with QUIT where a command can be said. why is a literal for the log. */
void courier_hang_up(struct courier *c, const char *why);

/* ---- hello.c */

/* The greeting, and EHLO with what it offers. 1: the server will not have us (*a says why). */
int courier_hello(struct courier *c, struct answer *a);

/* ---- reply.c */

/* The answer to the command whose turn it is. -1: none came that could be understood. */
int courier_answer(struct courier *c, enum stage stage, struct answer *a);
/* The same for EHLO: its lines go to the offer as well. */
int courier_answer_offer(struct courier *c, struct answer *a);
/* The connection is of no use any more, in our words or the server's. Always -1. */
int courier_broken(struct courier *c, struct err_status status, const char *text);
int courier_broken_err(struct courier *c, const struct err *e, const char *what);
int courier_broken_answer(struct courier *c, const struct answer *a);
/* The same for an answer that no server gives to this command, and that is logged. */
int courier_strange(struct courier *c, const struct answer *a);
/* Sends what is written. */
int courier_flush(struct courier *c);

/* ---- recipients.c */

/* Results of recipients that need not be offered to this server. -1: no memory. */
int courier_refuse_some(struct courier *c);
bool courier_none_left(const struct courier *c);

/* ---- command.c */

struct body;

/* Write a command; nothing is sent yet. body: NULL where no message follows. */
int courier_say(struct courier *c, struct str word);
int courier_say_mail(struct courier *c, const struct body *b);
int courier_say_rcpt(struct courier *c, uint32_t i);

/* ---- envelope.c */

/* The delivery in hand, from MAIL to the end of data. Afterwards each recipient has its result, or
 * now.again is set. */
void courier_deliver(struct courier *c);
/* Something came that nobody asked for: a refusal before the end, or the server is out of step. */
int courier_unasked(struct courier *c);

/* ---- body.c */

/* Looks at the content: is there anything to convert for this server? 1: it cannot be sent in a
 * form that the server takes; *a says why. -1: the content could not be read (*a). */
int body_prepare(struct courier *c, struct body **b, struct answer *a);
void body_done(struct body **b); /* suspends */
bool body_eight_bit(const struct body *b);
/* By one BDAT with all of it (RFC 3030); else by DATA. */
bool body_chunk(const struct body *b);
/* Writes the message: for BDAT its command and octets, for DATA what follows 354 up to the last
 * dot. On success all has left. */
int body_send(struct courier *c, struct body *b);

/* ---- outcome.c */

/* Begins the outcome of the delivery in hand; -1 without memory. */
int outcome_begin(struct courier *c);
/* The result of one recipient; of all that have none; of all that were accepted. */
void outcome_set(struct courier *c, uint32_t i, enum co_verdict verdict, const struct answer *a);
void outcome_set_open(struct courier *c, enum co_verdict verdict, const struct answer *a);
/* By the code of the answer: sent, deferred or failed. */
enum co_verdict outcome_verdict(const struct courier *c, const struct answer *a);
/* Keeps it until core has confirmed it. */
void outcome_keep(struct courier *c);
