/* inbound/digester.h: digests of content that core asks for: its own notifications.
 *
 * core never parses MIME, and a notification quotes what strangers wrote. A few jobs at a time,
 * each a digest that is built while the octets come; one more takes the place of the oldest. A
 * digest larger than a frame is not given. Never suspends.
 */
#pragma once

#include "mail/digest.h"

#include "ipc/channel.h"
#include "ipc/inbound_core.h"

struct digester {
    struct digester_job {
        uint32_t number;
        struct digest_builder *builder; /* NULL: no job */
    } job[IC_DIGEST_JOBS];
};

void digester_init(struct digester *d);
/* All jobs end: core is another one. */
void digester_reset(struct digester *d);

/* Payloads of IC_DIGEST_PUT and IC_DIGEST_END. */
void digester_put(struct digester *d, struct str payload);
void digester_end(struct digester *d, struct channel_call from, struct str payload);
