/* outbound/smtp/service.h: the couriers of an outbound process: SMTP and LMTP connections out.
 *
 * Each assignment of core is a courier (smtp/courier.h), a fiber that connects, pulls deliveries
 * and sends them one after the other, and that is parked without a stack while its connection
 * idles.
 */
#pragma once

#include "base/log.h"

#include "ipc/config.h"
#include "ipc/dns.h"

#include "outbound/own.h"
#include "outbound/to_core.h"

struct courier_service;

/* All that is handed in outlives it. It handles what core says from now on. */
int courier_service_open(struct courier_service **s, const struct config *config,
    struct to_core *core, struct dns_client *dns, const struct own_addresses *own,
    const struct event *event, struct err *e);

uint32_t courier_service_count(const struct courier_service *s);

/* Nothing new is begun: couriers without a delivery end now, the others after it. */
void courier_service_drain(struct courier_service *s);

/* Who has not ended at that time (of run_now()) is ended. May be called again, also while
 * courier_service_close() waits. */
void courier_service_stop_at(struct courier_service *s, uint64_t at);

/* Suspends until all couriers have ended (courier_service_drain() comes before), and what they
 * brought about is confirmed or cannot be; a cancellation ends them. */
void courier_service_close(struct courier_service **s);
