/* bench/acceptor.h: the receiving half of SMTP without a mail server behind it.
 *
 * One epoll loop. It finds line ends and the end of data, looks at the first letter of a command
 * and parses nothing else. A complete message is handed to the program (bench/bare.c,
 * bench/sink.c), which answers now or later; until then that session reads no further.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct acceptor;

/* What was seen since the start; may lie in a file that others map. */
struct acceptor_counts {
    uint64_t connections, transactions, recipients, messages, octets;
    uint64_t last_us; /* CLOCK_MONOTONIC, when the last message was complete */
};

struct session {
    struct acceptor *acceptor;
    int fd;
    bool in_content, waiting, readable, ended, closing, dead;
    bool in_chunk, last_chunk; /* of BDAT */
    size_t chunk;              /* its octets */
    size_t scanned;            /* octets of the content known to hold no end */
    struct str content;        /* while waiting: the message, without the final dot */
    struct buf in, out;
    struct buf chunks;      /* those before the last one */
    struct str *recipients; /* what stood between the angle brackets, if keep_recipients */
    size_t recipient_count;
    struct session *next; /* the program's, while waiting */
    struct session *next_dead;
};

struct acceptor {
    /* Called with a complete message; one acceptor_reply() must follow, later than this call. */
    void (*message)(struct session *s);
    /* Called once a turn of the loop, after all events (may be NULL). */
    void (*turn)(struct acceptor *a);
    /* Called when wake_fd is readable (if >= 0). */
    void (*woken)(struct acceptor *a);
    int wake_fd;
    size_t content_max;
    bool keep_recipients, chunking;
    struct acceptor_counts *counts; /* NULL: not counted */
    int epoll_fd;
    struct session *dead; /* freed at the end of the turn */
};

void acceptor_reply(struct session *s, struct str line);

/* Serves until SIGTERM or SIGINT. */
void acceptor_run(struct acceptor *a, const char *address);
