/* inbound/smtp/service.h: SMTP, submission and LMTP sessions of an inbound process.
 *
 * The service is what the sessions share: configuration, the way to core, the block pool. Each
 * connection that is accepted becomes a session (smtp/session.h), a fiber that is parked without a
 * stack while its client is idle.
 */
#pragma once

#include "base/log.h"

#include "run/fiber.h"

#include "io/net.h"

#include "ipc/config.h"

#include "inbound/core_link.h"

struct smtp_service;

/* What a listener gives to its sessions. */
struct smtp_listener {
    struct smtp_service *service;
    uint16_t number; /* index in config->listen, or ROLE_LISTEN_SUBMIT; core counts by it */
    struct str title;
    enum config_protocol protocol;
};

/* config, core and event outlive it. */
int smtp_service_open(struct smtp_service **s, const struct config *config, struct core_link *core,
    const struct event *event, struct err *e);

/* Makes a session of an accepted connection; takes fd. Of the form that io/net.h's listener calls:
 * arg is a struct smtp_listener that outlives the session. */
void smtp_accept(void *arg, int fd, const struct net_address *peer);

uint32_t smtp_service_sessions(const struct smtp_service *s);

/* Suspends until there is no session, or they have been told to end; -1 at the fiber's deadline. */
int smtp_service_wait(struct smtp_service *s, struct err *e);

/* Sessions without a transaction get 421 4.3.2 now, the others when their transaction has ended. */
void smtp_service_drain(struct smtp_service *s);

/* Who has not ended at that time (of run_now()) is ended. May be called again, also while
 * smtp_service_close() waits. */
void smtp_service_stop_at(struct smtp_service *s, uint64_t at);

/* Suspends until all sessions have ended; a cancellation ends them. */
void smtp_service_close(struct smtp_service **s);
