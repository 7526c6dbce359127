#include "outbound/own.h"

#include <errno.h>
#include <ifaddrs.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    OWN_MAX = 4096,
};

void own_done(struct own_addresses *o)
{
    mem_free(o->octets);
    *o = (struct own_addresses){0};
}

static bool contains(const struct own_addresses *o, const uint8_t octets[16])
{
    for (uint32_t i = 0; i < o->count; i++)
        if (memcmp(o->octets[i], octets, 16) == 0)
            return true;
    return false;
}

static int add(struct own_addresses *o, const uint8_t octets[16], struct err *e)
{
    if (contains(o, octets) || o->count == OWN_MAX)
        return 0;
    if (o->count == o->cap) {
        uint32_t cap = o->cap ? 2 * o->cap : 16;
        uint8_t(*more)[16] = mem_resize(o->octets, cap * sizeof *more);
        if (!more)
            return err_memory(e, "own");
        o->octets = more;
        o->cap = cap;
    }
    memcpy(o->octets[o->count++], octets, 16);
    return 0;
}

static int add_address(struct own_addresses *o, const struct net_address *a, struct err *e)
{
    uint8_t octets[16];

    if (!net_octets(a, octets) || net_classify(a) == NET_UNSPECIFIED)
        return 0;
    return add(o, octets, e);
}

int own_add_interfaces(struct own_addresses *o, struct err *e)
{
    struct ifaddrs *all;
    int rc = 0;

    if (getifaddrs(&all) < 0)
        return err_os(e, errno, "own", "ask for the addresses of this machine");
    for (struct ifaddrs *i = all; i && rc == 0; i = i->ifa_next) {
        struct net_address a = {0};
        if (!i->ifa_addr)
            continue;
        if (i->ifa_addr->sa_family == AF_INET)
            memcpy(&a.in, i->ifa_addr, sizeof a.in);
        else if (i->ifa_addr->sa_family == AF_INET6)
            memcpy(&a.in6, i->ifa_addr, sizeof a.in6);
        else
            continue;
        if (net_classify(&a) != NET_LOOPBACK)
            rc = add_address(o, &a, e);
    }
    freeifaddrs(all);
    return rc;
}

int own_add_config(struct own_addresses *o, const struct config *config, struct err *e)
{
    for (uint32_t i = 0; i < config->own_addresses.count; i++)
        if (add(o, config->own_addresses.v[i].octets, e) < 0)
            return -1;
    for (uint32_t i = 0; i < config->listens; i++) {
        const struct config_strings *list = &config->listen[i].address;
        for (uint32_t k = 0; k < list->count; k++) {
            struct net_address a;
            if (net_parse(list->v[k], &a, NULL) == 0 && add_address(o, &a, e) < 0)
                return -1;
        }
    }
    return 0;
}

static int refuse(struct err *e, const char *what)
{
    /* RFC 3463 3.5: routing loop detected */
    return err_set_status(
        e, ERR_PERMANENT, (struct err_status){5, 4, 6}, "own", "mail is not sent to %s", what);
}

int own_check_target(const struct own_addresses *o, const struct config *config,
    const struct net_address *target, struct err *e)
{
    enum net_class class = net_classify(target);
    uint8_t octets[16];

    if (net_octets(target, octets) && contains(o, octets))
        return refuse(e, "this server itself");
    switch (class) {
    case NET_PUBLIC:
        return 0;
    case NET_LOOPBACK:
    case NET_LINK_LOCAL:
    case NET_PRIVATE:
    case NET_RESERVED:
        return config->mx_private ? 0 : refuse(e, net_class_name(class));
    case NET_UNSPECIFIED:
    case NET_MULTICAST:
        return refuse(e, net_class_name(class));
    }
    UNREACHABLE();
}
