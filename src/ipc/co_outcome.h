/* ipc/co_outcome.h: what became of a delivery, as outbound tells it to core.
 *
 * Part of ipc/core_outbound.h, which says when it is told and told again. An outcome fits a frame
 * whatever servers said: texts of replies have a ceiling each and together.
 */
#pragma once

#include "base/arena.h"

#include "ipc/codec.h"

enum {
    CO_RCPTS_MAX = 1000,      /* of a delivery */
    CO_TEXT_MAX = 1024,       /* of a reply as it is kept: the rest is cut */
    CO_HOST_MAX = 255,        /* octets of a host's name, address or path */
    CO_TEXTS_MAX = 32 * 1024, /* octets of all replies of an outcome, so that it fits a frame:
                                 outbound cuts them shorter where many differ */
};

enum co_verdict {
    CO_SENT,
    CO_RELAYED,  /* sent; the next hop lacks DSN, so it will not report */
    CO_DEFERRED, /* 4yz, or the connection failed with the delivery under way */
    CO_FAILED,   /* 5yz, or it cannot be sent in this form (5.6.3, 5.6.7, 5.3.4) */
    CO_UNKNOWN,  /* lost between the end of the message and the reply (RFC 1047): deferred */
    CO_UNTRIED,  /* one recipient too many for this transaction (RFC 5321 4.5.3.1.10), or the
                    connection ended before its turn: to be given again at once */
};

/* What was said, once for all recipients that share it. */
struct co_reply {
    uint16_t code; /* of the remote's reply; 0: we say so ourselves */
    struct err_status status;
    struct str text; /* one line */
};

struct co_result {
    uint32_t index; /* of the recipient; rising in an outcome */
    enum co_verdict verdict;
    uint32_t reply; /* index */
};

struct co_outcome {
    uint64_t id;
    uint16_t attempt;
    struct str host, address; /* that the connection was to: name; IP, or path */
    struct co_reply *reply;
    uint32_t replies;
    struct co_result *result; /* each recipient given once */
    uint32_t results;
};

/* An outcome alone: by which outbound keeps it. */
void co_outcome_encode(const struct co_outcome *v, struct buf *out);
int co_outcome_decode(struct arena *a, struct str p, struct co_outcome *v, struct err *e);
