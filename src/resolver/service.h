/* resolver/service.h: questions of other processes, answered (ipc/dns.h says what is asked).
 *
 * Takes channels, merges identical questions that are under way, reads the packets
 * (wire/dns_packet.h), and answers each asker. A question is given up after DNS_QUESTION_MS; where
 * there are servers to ask and none has said anything for SERVICE_SILENT_MS, all that wait are
 * answered at once, and for SERVICE_REMEMBER_MS after that a question waits a second only
 * (SURFACE.md). At most SERVICE_LOOKUPS_MAX are under way; what a channel may ask is bounded by its
 * credit.
 */
#pragma once

#include "base/log.h"

#include "resolver/engine.h"

enum {
    SERVICE_LOOKUPS_MAX = 2048,
    SERVICE_SILENT_MS = 5 * 1000,
    SERVICE_REMEMBER_MS = 10 * 1000,
};

struct service;

/* Suspends. The event is the parent of what is logged. */
int service_open(struct service **s, const struct engine_settings *settings,
    const struct event *event, struct err *e);
/* A channel to one that asks: fd is ours. */
int service_attach(struct service *s, int fd, struct err *e);
void service_close(struct service **s); /* suspends */
