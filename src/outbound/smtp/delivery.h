/* outbound/smtp/delivery.h: the delivery that a courier has in hand. For this folder only; what is
 * done with it stands in smtp/courier.h. */
#pragma once

#include "base/log.h"

#include "ipc/core_outbound.h"

/* What a server said to one command, or what we say in its place (code 0). */
struct answer {
    uint16_t code;
    struct err_status status; /* completed from the code where it had none */
    bool explicit_status;
    struct str text; /* one line without controls; until the next answer */
};

enum rcpt_state {
    RCPT_OPEN,
    RCPT_ACCEPTED,
    RCPT_DONE, /* it has its result */
};

struct delivery {
    struct co_delivery given;
    char id_text[IC_ID_CHARS + 1];
    struct co_rcpt *rcpt; /* all of them */
    uint32_t rcpts;
    enum rcpt_state *state;
    struct co_outcome outcome; /* result[i] is rcpt[i]'s */
    size_t texts;              /* octets of its replies */
    uint32_t accepted;         /* in this transaction */
    bool eight_bit, smtputf8;  /* said at MAIL */
    bool answered;             /* the server has said anything to this transaction */
    bool wholly_sent;          /* the end of the message has left */
    bool again;                /* to be sent over a fresh connection */
    struct kv fields[2];
    struct event event;
};
