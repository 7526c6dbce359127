/* Recipients that a server need not be asked about: it said in EHLO what it would answer. */
#include "base/utf8.h"

#include "outbound/smtp/courier.h"

static struct str domain_of(struct str address)
{
    ptrdiff_t at = str_find_last(address, '@');

    return at < 0 ? STR_NONE : str_from(address, (size_t)at + 1);
}

/* Is the domain of recipient i one more than RCPTDOMAINMAX lets into a transaction? RFC 9422 4.3 */
static bool domain_too_many(
    const struct courier *c, uint32_t i, struct str *domains, uint32_t *count)
{
    struct str domain = domain_of(c->now.rcpt[i].address);

    for (uint32_t k = 0; k < *count; k++)
        if (str_eq_ascii(domains[k], domain))
            return false;
    if (*count == c->offer.rcpt_domain_max)
        return true;
    domains[(*count)++] = domain;
    return false;
}

/* More than the server said that it takes (RFC 9422) are for another transaction. */
static int apply_limits(struct courier *c)
{
    static const struct answer later = {
        .status = {4, 5, 3}, .text = STR_INIT("more recipients than the server takes at once")};
    struct delivery *d = &c->now;
    struct str *domains = NULL;
    uint32_t offered = 0, count = 0;

    if (c->offer.rcpt_domain_max && !(domains = arena_array(&c->mail, d->rcpts, sizeof *domains)))
        return -1;
    for (uint32_t i = 0; i < d->rcpts; i++) {
        if (d->state[i] == RCPT_DONE)
            continue;
        if ((c->offer.rcpt_max && offered == c->offer.rcpt_max) ||
            (domains && domain_too_many(c, i, domains, &count)))
            outcome_set(c, i, CO_UNTRIED, &later);
        else
            offered++;
    }
    return 0;
}

/* RFC 6531 3.2: addresses in UTF-8 go to servers with SMTPUTF8 only, and are never changed. */
static void refuse_utf8(struct courier *c)
{
    static const struct answer no = {.status = {5, 6, 7},
        .text =
            STR_INIT("the address has characters that the next host does not take (no SMTPUTF8)")};
    struct delivery *d = &c->now;

    if (c->offer.smtputf8)
        return;
    for (uint32_t i = 0; i < d->rcpts; i++)
        if (d->state[i] != RCPT_DONE &&
            (!ascii_only(d->given.reverse_path) || !ascii_only(d->rcpt[i].address)))
            outcome_set(c, i, CO_FAILED, &no);
}

/* RFC 1870 6.1: what is larger than the server takes is not sent to it. */
static void refuse_size(struct courier *c)
{
    static const struct answer no = {
        .status = {5, 3, 4}, .text = STR_INIT("the message is larger than the next host takes")};
    const struct co_delivery *d = &c->now.given;

    if (c->offer.size_max && !d->probe && d->prefix.n + d->content_size > c->offer.size_max)
        outcome_set_open(c, CO_FAILED, &no);
}

bool courier_none_left(const struct courier *c)
{
    for (uint32_t i = 0; i < c->now.rcpts; i++)
        if (c->now.state[i] != RCPT_DONE)
            return false;
    return true;
}

int courier_refuse_some(struct courier *c)
{
    refuse_size(c);
    refuse_utf8(c);
    return apply_limits(c);
}
