/* outbound/smtp/rig.h: for tests: couriers over a stub of core, servers that are scripts, a stub of
 * the resolver.
 *
 * The stub of core gives the deliveries that were queued, in order, and notes what it is told;
 * everything that a real core could check is asserted. Servers 1 to RIG_SERVERS listen on loopback
 * addresses of their own; what they say is the caller's.
 */
#pragma once

#include "base/list.h"

#include "io/stream.h"

#include "outbound/smtp/service.h"

enum {
    RIG_SERVERS = 4,
    RIG_RCPTS_MAX = CO_RCPTS_MAX,
};

struct rig_delivery {
    struct list link;
    struct co_delivery given;
    struct str content; /* all of it */
    size_t inline_max;  /* octets that go along */
    uint32_t rcpts_inline;
    bool unreadable; /* CO_READ fails */
};

struct rig_outcome {
    struct list link;
    struct arena arena;
    struct co_outcome outcome;
    bool late;
};

struct rig_closed {
    struct list link;
    struct arena arena;
    struct buf frame;
    struct co_closed closed;
};

struct rig_name { /* what the resolver knows */
    struct list link;
    struct str name;
    enum dns_type type;
    struct dns_answer answer;
};

struct rig {
    struct arena arena;
    struct config *config;
    struct event event;

    struct channel *core, *resolver; /* the stubs' ends */
    struct list deliveries, outcomes, closed, names;
    struct rig_delivery *given; /* the last one that was handed out */
    bool confirms, mute;        /* confirm outcomes; do not answer CO_NEXT */
    struct channel_call asked;
    uint32_t attaches, flying, confirmed, greeted;
    struct co_next last_next; /* numbers alone */
    uint64_t fail_at;         /* of mem_fail_at(): the stubs' own allocations do not count */

    struct to_core to_core;
    struct dns_client dns;
    struct own_addresses own;
    struct courier_service *service;

    int listener[RIG_SERVERS];
    struct net_address at[RIG_SERVERS];
    struct stream *server; /* the connection that is spoken over */
};

/* options: configuration beside hostname and data. Call it in a fiber. */
void rig_open(struct rig *r, const char *options);
void rig_close(struct rig *r);

void rig_core_away(struct rig *r);
void rig_core_back(struct rig *r);
void rig_turns(struct rig *r, unsigned turns);

void rig_say_open(struct rig *r, const struct co_open *open);
void rig_say_work(struct rig *r, uint32_t assignment);
void rig_say_close(struct rig *r, uint32_t assignment);
void rig_answer_next(struct rig *r); /* that was left open by `mute` */

/* Nobody listens there any more. */
void rig_deafen(struct rig *r, unsigned server);
/* Takes the next connection to a server. False: none came within the time. */
bool rig_accept(struct rig *r, unsigned server);
void rig_hang_up(struct rig *r);
void rig_send(struct rig *r, struct str octets, bool one_by_one);
/* A line without its CRLF, in the arena; p is NULL at the end of the connection or where none comes
 * in time. */
struct str rig_line(struct rig *r);
struct str rig_octets(struct rig *r, size_t n);
/* Has the client ended the connection, without another octet? */
bool rig_ended(struct rig *r);

/* The oldest, which the caller frees; waits for it. NULL: none came in time. */
struct rig_outcome *rig_outcome(struct rig *r);
struct rig_closed *rig_closed(struct rig *r);
void rig_outcome_free(struct rig_outcome *o);
void rig_closed_free(struct rig_closed *c);
