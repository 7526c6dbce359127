#include "core/directory/directory_int.h"

static void refuse(struct place *p, struct err_status status, const char *text)
{
    p->kind = PLACE_REFUSED;
    err_set_status(&p->why, ERR_PERMANENT, status, "directory", "%s", text);
}

/* What an entry of a local domain means: an alias is followed first. */
static void place_of(const struct address *a, struct place *p)
{
    p->account = a->enabled ? a->account : 0;
    p->disabled = a->account && !a->enabled;
    if (a->targets) {
        p->kind = PLACE_ALIAS;
        p->targets = str_c(a->targets);
    } else if (a->account && !a->enabled) {
        refuse(p, (struct err_status){5, 2, 1}, "mailbox is disabled");
    } else if (a->account) {
        p->kind = PLACE_ACCOUNT;
    } else {
        refuse(p, (struct err_status){5, 1, 1}, "no such mailbox here");
    }
}

/* 1 if the key has an account or an alias (p is filled), 0 if not, -1 if that cannot be known now
 * (p is a refusal). */
static int look(struct directory *d, struct str key, struct place *p)
{
    struct address *a;
    int status = memory_look(d, key, &a, &p->why);

    if (status < 0) {
        p->kind = PLACE_REFUSED;
        p->cold = !fiber_running();
    }
    if (status <= 0 || (!a->account && !a->targets))
        return status < 0 ? -1 : 0;
    place_of(a, p);
    return 1;
}

/* user+detail@domain is user@domain: cut at the first separator, which is not the first octet. */
static int look_without_detail(
    struct directory *d, const struct domain *domain, const struct name *n, struct place *p)
{
    char key[ADDRESS_KEY_MAX];
    ptrdiff_t at = domain->separator ? str_find(n->local, domain->separator) : -1;
    size_t rest = n->key.n - n->local.n; /* "@domain" */

    if (at <= 0)
        return 0;
    memcpy(key, n->local.p, (size_t)at);
    memcpy(key + at, n->local.p + n->local.n, rest);
    return look(d, str_of(key, (size_t)at + rest), p);
}

/* RFC 5321 4.5.1: postmaster always; RFC 2142 4: abuse. Who asked for nothing else gets it in the
 * domain's oldest account. */
static bool place_role(
    struct directory *d, const struct domain *domain, const struct name *n, struct place *p)
{
    struct str to = STR_NONE;
    struct name other;

    if (!str_eq(n->local, STR("postmaster")) && !str_eq(n->local, STR("abuse")))
        return false;
    if (d->settings.postmaster.n && name_parse(d, d->settings.postmaster, &other, NULL) == 0 &&
        !str_eq(other.key, n->key))
        to = d->settings.postmaster;
    else if (domain->first)
        to = str_c(domain->first);
    else if (d->home)
        to = str_c(d->home->first);
    if (to.n == 0)
        return false;
    *p = (struct place){.kind = PLACE_ALIAS, .targets = to};
    return true;
}

static void locate_local(
    struct directory *d, const struct domain *domain, const struct name *n, struct place *p)
{
    struct str catch_all = str_from(n->key, n->local.n);

    if (look(d, n->key, p) != 0 || look_without_detail(d, domain, n, p) != 0)
        return;
    /* Reading may have suspended: the domain may be gone. */
    domain = memory_domain(d, n->domain);
    if ((domain && place_role(d, domain, n, p)) || look(d, catch_all, p) != 0)
        return;
    refuse(p, (struct err_status){5, 1, 1}, "no such mailbox here");
}

static void locate_relay(
    struct directory *d, const struct domain *domain, const struct name *n, struct place *p)
{
    bool listed = domain->taken == RECIPIENTS_LISTED, ask = domain->taken == RECIPIENTS_ASKED;
    struct address *a;
    int status;

    if (look(d, n->key, p) != 0)
        return;
    status = listed ? memory_look(d, n->key, &a, &p->why) : 0;
    p->kind = PLACE_RELAY;
    p->ask = ask;
    if (status < 0) {
        p->kind = PLACE_REFUSED;
        p->cold = !fiber_running();
    } else if (listed && (status == 0 || !a->recipient)) {
        refuse(p, (struct err_status){5, 1, 1}, "no such recipient in a domain that is relayed");
    }
}

void locate(struct directory *d, const struct name *n, struct place *p)
{
    struct domain *domain = memory_domain(d, n->domain);

    *p = (struct place){.kind = PLACE_FOREIGN};
    if (!domain)
        return;
    if (!domain->enabled)
        refuse(p, (struct err_status){5, 1, 2}, "domain is disabled");
    else if (domain->relay)
        locate_relay(d, domain, n, p);
    else
        locate_local(d, domain, n, p);
}
