/* core/control/queue_json.h: a queued message as `veredus queue list` and `show` have it
 * (SURFACE.md). */
#pragma once

#include <jansson.h>

#include "core/queue/queue.h"

enum {
    QUEUE_JSON_MAX = 16 * 1024, /* octets at which no more recipients are shown */
};

/* {id, from, size, arrived, state, recipients: [{address, state, route, site, attempts, next, last:
 * {time, host, code, enhanced, text}, why}], recipient_count, left}. As many recipients as fit. */
json_t *queue_json(const struct queue_detail *d);

/* {messages, …}: the counters, without sites. */
json_t *queue_json_stats(const struct queue_stats *s);

/* {site, queued, connections, limit, back_off, error, error_time, delivered}; back_off in seconds.
 */
json_t *queue_json_site(const struct queue_site *s);
