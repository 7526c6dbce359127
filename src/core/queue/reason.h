/* core/queue/reason.h: what was said when something did not work, for people and for reports.
 *
 * A bounded number is kept, the newest; a delivery or a site names one by its number, which may
 * have gone out of memory (the trace still has it). What is said again is kept once.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum {
    REASONS_MAX = 4096,
    REASON_TEXT_MAX = 512,
};

struct reason {
    uint32_t number;
    bool site;     /* no connection, rather than a reply about the message */
    uint16_t code; /* of the remote's reply; 0: none */
    struct err_status status;
    int64_t when_ms; /* wall clock, of the first time */
    struct str text, host, address;
};

struct reasons {
    struct reason *ring[REASONS_MAX];
    uint32_t last;
};

void reasons_done(struct reasons *r);
/* Copies it; number and when_ms are set. `before`: a number that may say the same. 0 without
 * memory. */
uint32_t reason_add(struct reasons *r, const struct reason *what, uint32_t before);
const struct reason *reason_find(const struct reasons *r, uint32_t number); /* NULL: forgotten */
