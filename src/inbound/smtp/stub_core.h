/* inbound/smtp/stub_core.h: a core for tests: a real channel, a small directory, messages in
 * memory.
 *
 * Mailboxes user@here.example, other@here.example, postmaster and boxN@here.example are local;
 * fwd@here.example is an alias to elsewhere; later@here.example fails for now; other addresses of
 * here.example do not exist; the rest may be relayed by those who are trusted. Everything that a
 * real core would check of a commit is asserted here.
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"

#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/inbound_core.h"

struct stub_message {
    struct list link;
    struct arena arena;
    struct ic_commit commit; /* its content is in `content` */
    struct buf frame, recipients, digest, content;
};

struct stub_upload {
    struct list link;
    uint32_t number;
    struct buf recipients, digest, content;
};

struct stub_core {
    const struct config *config;
    struct channel *channel;
    struct list messages; /* committed, the oldest first */
    struct list uploads;
    struct arena scratch;
    uint64_t lease;
    uint32_t admitted, released, asked_rcpt, commits, aborts, frames_of_rcpt;
    size_t largest_frame;
    bool refuse_connections, fail_commits, hold_commits;
    struct channel_call held;
    uint64_t fail_at; /* of mem_fail_at(): its own allocations do not count */
};

/* config: relay { allow } says who is trusted, and whoever is local. */
void stub_core_init(struct stub_core *c, const struct config *config);
void stub_core_done(struct stub_core *c);

/* Makes a channel; the other end is returned for core_link_attach(). */
int stub_core_start(struct stub_core *c);
/* Closes it, as a core that dies. */
void stub_core_stop(struct stub_core *c);

void stub_core_say_state(struct stub_core *c, enum ic_state state);

/* The oldest message, which the caller frees; NULL where there is none. */
struct stub_message *stub_core_take(struct stub_core *c);
void stub_message_free(struct stub_message *m);
