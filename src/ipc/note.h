/* ipc/note.h: what the running fiber works on, for master to read when the process has died of it.
 *
 * The note lies in a page that the process shares with master and with nobody else (run/fiber.h,
 * struct fiber_note). A process that somebody else commands may write there what it likes: master
 * believes it as far as bans of clients and holding messages back go (master/blame.h), no further.
 * Work on the threads of a pool is not noted.
 */
#pragma once

#include "run/fiber.h"

enum note_stage {
    NOTE_NOTHING,
    NOTE_GREETING,
    NOTE_COMMAND,
    NOTE_CONTENT, /* of a message that comes in */
    NOTE_COMMIT,
    NOTE_DELIVERY,
    NOTE_RELAY, /* to a next hop */
    NOTE_STAGES,
};

enum {
    NOTE_PAGE_SIZE = 4096, /* of which the first octets are a struct fiber_note */
};

struct note {
    uint8_t client[16]; /* an IPv4 one mapped; zeros: none, or a local process */
    uint64_t message;   /* its id; 0: none */
    enum note_stage stage;
};

/* Of the running fiber from now on, over all its suspensions. A few stores. */
void note_set(const struct note *n);
/* The same for a fiber that works on a message and for no client. */
void note_message(uint64_t message, enum note_stage stage);
void note_clear(void);

/* What stands in a page; nothing where that makes no sense. */
struct note note_of(const struct fiber_note *page);

const char *note_stage_name(enum note_stage stage); /* a word for the log */
