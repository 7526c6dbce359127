/* core/message.h: one message between its commit frame and the spool.
 *
 * One block with everything that the spool writes: the frame's copy, the parts that were uploaded
 * before, the envelope as it is stored. It belongs to who made it until spool_commit(), then to the
 * spool.
 */
#pragma once

#include "core/envelope.h"
#include "core/spool/spool.h"
#include "core/upload.h"

struct message {
    struct spool_message spool;
    struct arena arena;
    struct buf frame;      /* the commit's payload */
    struct upload *upload; /* NULL where nothing was PUT */
    struct ic_commit commit;
    struct envelope envelope;
    struct buf stored; /* the envelope encoded */
    struct str content[2];
    struct message *next_spare;
    struct buf digest; /* joined, where a part of it was PUT */
};

struct message *message_new(struct str frame);
void message_free(struct message *m);

/* Some blocks are kept for later; this gives them back. */
void messages_done(void);

/* Decodes the frame and joins what was uploaded (m->upload); checks sizes and counts. */
int message_decode(struct message *m, struct err *e);

/* Encodes the envelope and fills what the spool is given. `large` is taken over. */
int message_seal(struct message *m, struct spool_large *large, struct err *e);
