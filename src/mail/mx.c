#include "mail/mx.h"

#include "base/check.h"

#include "mail/address.h"

bool mx_is_literal(struct str domain)
{
    return str_starts(domain, STR("["));
}

int mx_literal(struct arena *a, struct str domain, struct mx_plan *plan, struct err *e)
{
    struct mx_host *host = ARENA_NEW(a, struct mx_host);

    if (!host)
        return err_memory(e, "mx");
    if (!domain_address(domain, host->address))
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 1, 3}, "mx",
            "%.*s is no address literal that is known", STR_ARG(domain));
    *plan = (struct mx_plan){.literal = true, .count = 1, .hosts = host};
    return 0;
}

/* What has an address by grammar: letters, digits, dashes (RFC 1123 2.1), and the underscore that
 * some use all the same. The DNS gave it in lower case and without its final dot. */
static bool host_name_sound(struct str name)
{
    struct str label;
    bool more = true;

    if (name.n > DNS_NAME_MAX)
        return false;
    while (more) {
        more = str_cut(&name, '.', &label);
        if (label.n == 0 || label.n > 63)
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (!ascii_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
                return false;
    }
    /* 192.0.2.1 is an address, and no top-level domain is all digits (RFC 3696 2). */
    return !str_to_u64(label, UINT64_MAX, &(uint64_t){0});
}

/* RFC 7505 3; "localhost" says the same less well. */
static bool null_mx(struct str host)
{
    return str_eq(host, STR(".")) || str_eq_ascii(host, STR("localhost"));
}

static bool is_self(const struct mx_self *self, struct str host)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (str_eq_ascii(self->names[i], host))
            return true;
    return false;
}

static void shuffle(struct mx_host *v, uint32_t n, mx_random *pick, void *pick_arg)
{
    for (; n > 1; n--) {
        uint64_t other = pick(pick_arg, n);
        struct mx_host last = v[n - 1];
        v[n - 1] = v[other];
        v[other] = last;
    }
}

/* RFC 5321 5.1: lower numbers first, equal ones at random. */
static void order(struct mx_plan *plan, mx_random *pick, void *pick_arg)
{
    struct mx_host *v = plan->hosts;
    uint32_t end;

    for (uint32_t i = 1; i < plan->count; i++) {
        struct mx_host one = v[i];
        uint32_t at = i;
        for (; at > 0 && v[at - 1].preference > one.preference; at--)
            v[at] = v[at - 1];
        v[at] = one;
    }
    for (uint32_t start = 0; start < plan->count; start = end) {
        for (end = start + 1; end < plan->count && v[end].preference == v[start].preference;)
            end++;
        shuffle(v + start, end - start, pick, pick_arg);
    }
}

/* The host with this name, or NULL. */
static struct mx_host *find_host(struct mx_plan *plan, struct str name)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (str_eq_ascii(plan->hosts[i].name, name))
            return &plan->hosts[i];
    return NULL;
}

/* The hosts that can be tried, each once and with its best preference. Says how many records were
 * the null MX. */
static uint32_t collect(struct mx_plan *plan, const struct dns_answer *answer)
{
    uint32_t nulls = 0;

    for (uint32_t i = 0; i < answer->count && plan->count < MX_HOSTS_MAX; i++) {
        const struct dns_mx *mx = &answer->records[i].mx;
        struct mx_host *known = find_host(plan, mx->host);
        if (null_mx(mx->host))
            nulls++;
        else if (known && known->preference > mx->preference)
            known->preference = mx->preference;
        else if (!known && host_name_sound(mx->host))
            plan->hosts[plan->count++] =
                (struct mx_host){.name = mx->host, .preference = mx->preference};
    }
    return nulls;
}

/* RFC 5321 5.1: where we are in the list ourselves, only better hosts may be tried. False where
 * nothing is left. */
static bool drop_self(struct mx_plan *plan, const struct mx_self *self)
{
    uint32_t best = UINT32_MAX, kept = 0;

    for (uint32_t i = 0; i < plan->count; i++)
        if (is_self(self, plan->hosts[i].name) && plan->hosts[i].preference < best)
            best = plan->hosts[i].preference;
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->hosts[i].preference < best)
            plan->hosts[kept++] = plan->hosts[i];
    plan->count = kept;
    return kept > 0;
}

/* The statuses for an answer without records; 0 where the domain itself is the host. */
static int without_records(struct str domain, const struct dns_answer *answer, struct err *e)
{
    switch (answer->status) {
    case DNS_FOUND:
    case DNS_NO_DATA:
        return 0;
    case DNS_NO_NAME:
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 1, 2}, "mx",
            "there is no domain %.*s", STR_ARG(domain));
    case DNS_TEMPORARY:
    case DNS_BOGUS:
        return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 4, 3}, "mx",
            "the hosts of %.*s cannot be found now: %.*s", STR_ARG(domain), STR_ARG(answer->why));
    }
    UNREACHABLE();
}

int mx_plan(struct arena *a, struct str domain, const struct dns_answer *answer,
    const struct mx_self *self, mx_random *pick, void *pick_arg, struct mx_plan *plan,
    struct err *e)
{
    struct mx_plan made = {.secure = answer->secure, .ttl_s = answer->ttl_s};
    uint32_t nulls = 0;

    if (without_records(domain, answer, e) < 0)
        return -1;
    made.hosts = arena_array(a, answer->count + 1, sizeof *made.hosts);
    if (!made.hosts)
        return err_memory(e, "mx");
    if (answer->status == DNS_NO_DATA) {
        made.implicit = true;
        made.hosts[made.count++] = (struct mx_host){.name = domain};
    } else {
        nulls = collect(&made, answer);
    }
    if (made.count == 0 && nulls > 0)
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 1, 10}, "mx",
            "the domain %.*s takes no mail", STR_ARG(domain));
    if (made.count == 0)
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 4, 4}, "mx",
            "no MX record of %.*s names a host", STR_ARG(domain));
    if (!drop_self(&made, self))
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 4, 6}, "mx",
            "mail for %.*s loops back to this server", STR_ARG(domain));
    order(&made, pick, pick_arg);
    *plan = made;
    return 0;
}
