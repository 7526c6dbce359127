/* bench/client.h: one sending SMTP session of the load generator.
 *
 * A client sends messages until the run has enough of them or it has sent its share, then says QUIT
 * and connects anew if the run still wants messages. The loop (bench/load.c) owns clients and
 * events; a client owns its socket. Content is the same in all messages but for an id of fixed
 * length, so that all have the same size and the checker can make them again.
 */
#pragma once

#include "common.h"

enum {
    LOAD_RECIPIENTS_MAX = 1000,
};

enum pipelining {
    PIPELINE_NONE,  /* a command at a time */
    PIPELINE_GROUP, /* MAIL, RCPT and DATA together */
    PIPELINE_FULL,  /* and the next envelope behind the final dot */
};

struct load {
    /* what to do */
    struct sockaddr_in to;
    size_t sources; /* addresses to come from, 127.77.0.1 onwards; 0: the system's choice */
    size_t connections, per_connection, messages, size, recipients_each;
    enum pipelining pipelining;
    const char *sender, *prefix;
    struct str *recipients; /* taken in turn */
    size_t recipient_count;
    bool retry;            /* another message for each that was not accepted; reconnect for ever */
    struct ledger *ledger; /* or NULL */

    /* what was done */
    int epoll_fd;
    size_t claimed, accepted, refused, lost, connects, last_id;
    unsigned last_refusal;
    uint32_t *latency_us; /* of the accepted ones */
    struct str body;      /* of every message, behind the line with the id */
    struct client *to_release;
};

/* What the replies to come answer, in order. */
struct reply_queue {
    unsigned char kinds[LOAD_RECIPIENTS_MAX + 8];
    unsigned first, count;
};

struct client {
    struct load *load;
    size_t number;
    int fd; /* -1: not connected */
    uint64_t connect_at, dot_at;
    size_t sent_here; /* messages begun over this connection */
    size_t messages_out, rcpts_out, rcpts_accepted;
    size_t id, next_id;
    unsigned bad_code; /* the first refusal of this transaction */
    bool next_is_out, content_waits, in_ledger, listed;
    struct reply_queue due;
    struct buf in, out, tail; /* to send: out, then the body, then tail */
    struct str body_left;
    struct client *next_to_release;
};

void client_init(struct client *c, struct load *load, size_t number);
void client_done(struct client *c);

/* Connects if it is time and the run has work for it. */
void client_start(struct client *c, uint64_t now);
void client_serve(struct client *c, uint32_t events);

/* Sends the final dots of messages whose SENT lines are durable by now. */
void client_release_all(struct load *load);

/* Octets of a message before load->body, the same for all. */
size_t client_head_size(const struct load *load);
