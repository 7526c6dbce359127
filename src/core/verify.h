/* core/verify.h: does the next hop of a relay domain take mail for this address? Asked by a call
 * (MAIL and RCPT, then nothing is sent), and remembered.
 *
 * A yes is good for VERIFY_GOOD_MS; past VERIFY_REFRESH_MS it is still good, and asked again
 * beside. A no is good for VERIFY_BAD_MS. Where nobody could be asked that stands for
 * VERIFY_FAILED_MS, so that a next hop that is down is not called for every recipient. What is
 * remembered is bounded (the least recently used goes first; what is no address may take a quarter)
 * and is lost with the process. One call at a time an address, VERIFY_CALLS_MAX in all.
 */
#pragma once

#include "base/err.h"

struct verify;

enum {
    VERIFY_GOOD_MS = 7 * 24 * 3600 * 1000,
    VERIFY_REFRESH_MS = 24 * 3600 * 1000,
    VERIFY_BAD_MS = 3600 * 1000,
    VERIFY_FAILED_MS = 60 * 1000,
    VERIFY_WAIT_MS = 10 * 1000, /* for an answer; then it comes too late for this recipient */
    VERIFY_CALLS_MAX = 100,
    VERIFY_ENTRIES_MAX = 200000,
};

/* As queue_probe(): 0: yes; -1: why says what was said (permanent), or why nobody could be asked.
 * Suspends. */
typedef int verify_call(void *arg, struct str address, struct err *why);

struct verify_settings {
    verify_call *call;
    void *arg;
    uint32_t entries_max;
    uint64_t (*now)(void); /* NULL: run_now() */
};

int verify_open(struct verify **v, const struct verify_settings *settings, struct err *e);
/* Suspends until calls under way have ended; they are cancelled. */
void verify_close(struct verify **v);

enum verify_answer {
    VERIFY_YES,
    VERIFY_NO,      /* *why says how to refuse: 5xx of the next hop as 550 5.1.1 */
    VERIFY_UNKNOWN, /* *why: 450 4.4.3 */
    VERIFY_ASK,     /* not remembered: verify_begin() and verify_wait() */
};

/* What is remembered. key: of the address (mail/address.h). Never suspends. */
enum verify_answer verify_find(
    struct verify *v, struct str key, struct str address, struct err *why);

/* Sees to it that a call is under way; never suspends. */
void verify_begin(struct verify *v, struct str key, struct str address);
/* Suspends until there is an answer, or the fiber's deadline: then VERIFY_UNKNOWN. */
enum verify_answer verify_wait(
    struct verify *v, struct str key, struct str address, struct err *why);
