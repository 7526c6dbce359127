#include "ipc/ledger.h"

#include "base/check.h"

enum {
    SLOT_BITS = 9, /* of a call: slot + 1, so that none is 0; above it a generation */
    SLOT_MASK = (1 << SLOT_BITS) - 1,
    GRANT_NOTICES = CHANNEL_REQUESTS / 4,
    GRANT_OCTETS = CHANNEL_OCTETS / 4,
};

_Static_assert((int)CHANNEL_REQUESTS < (int)SLOT_MASK, "a slot fits its bits");

void ledger_init(struct ledger *l)
{
    *l = (struct ledger){.free_requests = CHANNEL_REQUESTS,
        .free_octets = CHANNEL_OCTETS,
        .free_slot_count = CHANNEL_REQUESTS};
    for (unsigned i = 0; i < CHANNEL_REQUESTS; i++)
        l->free_slots[i] = (uint16_t)(CHANNEL_REQUESTS - 1 - i);
}

bool ledger_spend(struct ledger *l, size_t octets)
{
    if (l->free_requests == 0 || octets > l->free_octets)
        return false;
    l->free_requests--;
    l->free_octets -= (uint32_t)octets;
    return true;
}

void ledger_unspend(struct ledger *l, size_t octets)
{
    l->free_requests++;
    l->free_octets += (uint32_t)octets;
    CHECK(l->free_requests <= CHANNEL_REQUESTS && l->free_octets <= CHANNEL_OCTETS);
}

uint32_t ledger_ask(struct ledger *l, size_t octets, void *waiter)
{
    unsigned slot;
    uint32_t call;

    /* Credit for a request was taken, so a slot is free. */
    CHECK(l->free_slot_count > 0);
    slot = l->free_slots[--l->free_slot_count];
    call = (l->generation++ << SLOT_BITS) | (slot + 1);
    l->asked[slot] = (struct ledger_asked){waiter, call, (uint32_t)octets};
    return call;
}

/* The slot of a call in which it stands, or NULL. */
static struct ledger_asked *asked_find(struct ledger *l, uint32_t call)
{
    uint32_t slot = (call & SLOT_MASK) - 1;

    if (slot >= CHANNEL_REQUESTS || l->asked[slot].call != call)
        return NULL;
    return &l->asked[slot];
}

void ledger_forget(struct ledger *l, uint32_t call)
{
    struct ledger_asked *asked = asked_find(l, call);

    CHECK(asked);
    asked->waiter = NULL;
}

void ledger_notify(struct ledger *l, size_t octets)
{
    l->noticed++;
    l->noticed_octets += (uint32_t)octets;
}

int ledger_replied(struct ledger *l, uint32_t call, void **waiter, struct err *e)
{
    struct ledger_asked *asked = asked_find(l, call);

    if (!asked)
        return err_set(e, ERR_BUG, "channel", "a reply to call %u, which is not open", call);
    *waiter = asked->waiter;
    ledger_unspend(l, asked->octets);
    l->free_slots[l->free_slot_count++] = (uint16_t)(asked - l->asked);
    *asked = (struct ledger_asked){0};
    return 0;
}

int ledger_granted(struct ledger *l, uint32_t notices, uint32_t octets, struct err *e)
{
    if (notices > l->noticed || octets > l->noticed_octets)
        return err_set(e, ERR_BUG, "channel",
            "credit for %u notices of %u octets that were not sent", notices, octets);
    l->noticed -= notices;
    l->noticed_octets -= octets;
    l->free_requests += notices;
    l->free_octets += octets;
    return 0;
}

int ledger_arrived(struct ledger *l, uint32_t call, size_t octets, struct err *e)
{
    uint32_t slot = (call & SLOT_MASK) - 1;

    if (l->held_requests == CHANNEL_REQUESTS || octets > CHANNEL_OCTETS - l->held_octets)
        return err_set(e, ERR_BUG, "channel", "a frame of %zu octets without credit", octets);
    if (call && (slot >= CHANNEL_REQUESTS || l->open[slot].call))
        return err_set(e, ERR_BUG, "channel", "a request with the wrong number %u", call);
    l->held_requests++;
    l->held_octets += (uint32_t)octets;
    if (call) {
        l->open[slot] = (struct ledger_open){call, (uint32_t)octets};
    } else {
        l->held_notices++;
        l->held_notice_octets += (uint32_t)octets;
    }
    return 0;
}

void ledger_answer(struct ledger *l, uint32_t call)
{
    uint32_t slot = (call & SLOT_MASK) - 1;

    CHECK(call && slot < CHANNEL_REQUESTS && l->open[slot].call == call);
    l->held_requests--;
    l->held_octets -= l->open[slot].octets;
    l->open[slot] = (struct ledger_open){0};
}

void ledger_done(struct ledger *l, size_t octets)
{
    CHECK(l->held_notices > 0 && octets <= l->held_notice_octets);
    l->held_notices--;
    l->held_notice_octets -= (uint32_t)octets;
    l->owed_notices++;
    l->owed_octets += (uint32_t)octets;
}

bool ledger_grant(struct ledger *l, bool anyway, uint32_t *notices, uint32_t *octets)
{
    if (l->owed_notices == 0)
        return false;
    if (!anyway && l->owed_notices < GRANT_NOTICES && l->owed_octets < GRANT_OCTETS)
        return false;
    *notices = l->owed_notices;
    *octets = l->owed_octets;
    l->held_requests -= l->owed_notices;
    l->held_octets -= l->owed_octets;
    l->owed_notices = l->owed_octets = 0;
    return true;
}
