#include "ipc/config_sound.h"

#include <arpa/inet.h>

#include "mail/address.h"

#include "io/net.h"

static int wrong(struct err *e, const char *why)
{
    return err_set(e, ERR_PERMANENT, "config", "%s", why);
}

int sound_host_name(struct str s, struct err *e)
{
    enum domain_kind kind;

    if (domain_parse(s, &kind, NULL) < 0 || kind != DOMAIN_NAME)
        return wrong(e, "not a host name");
    return 0;
}

int sound_path(struct str s, struct err *e)
{
    return str_starts(s, STR("/")) ? 0 : wrong(e, "not an absolute path");
}

int sound_user(struct str s, struct err *e)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_alnum(s.p[i]) && s.p[i] != '_' && (i == 0 || (s.p[i] != '-' && s.p[i] != '.')))
            return wrong(e, "not a user name");
    return 0;
}

int sound_listen_address(struct str s, struct err *e)
{
    struct net_address address;

    if (net_parse(s, &address, NULL) < 0)
        return wrong(e, "not HOST:PORT, [V6]:PORT or unix:/PATH (numeric)");
    return 0;
}

static bool ip_address(struct str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    return str_copy_c(text, sizeof text, s) &&
           (inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1);
}

static bool port_number(struct str s)
{
    uint64_t port;

    return str_to_u64(s, 65535, &port) && port > 0;
}

int sound_dns_server(struct str s, struct err *e)
{
    struct str address;
    bool with_port = str_cut(&s, '@', &address);

    if (!ip_address(address) || (with_port && !port_number(s)))
        return wrong(e, "not ADDRESS or ADDRESS@PORT (numeric)");
    return 0;
}

/* HOST, [ADDRESS], and a port. */
static bool host_and_port(struct str s, bool port_required)
{
    ptrdiff_t bracket = str_find_last(s, ']'), colon = str_find_last(s, ':');
    struct str host = s;

    if (colon > bracket) {
        if (!port_number(str_from(s, (size_t)colon + 1)))
            return false;
        host = str_head(s, (size_t)colon);
    } else if (port_required) {
        return false;
    }
    if (str_starts(host, STR("[")) && str_ends(host, STR("]"))) {
        host = str_sub(host, 1, host.n - 2);
        return ip_address(host) || sound_host_name(host, NULL) == 0;
    }
    return sound_host_name(host, NULL) == 0;
}

int sound_via(struct str s, struct err *e)
{
    if (str_eq(s, STR("null")) || str_eq(s, STR("hold")))
        return 0;
    if (str_starts(s, STR("lmtp:unix:/")))
        return 0;
    if (str_starts(s, STR("lmtp:[")) && host_and_port(str_from(s, 5), true))
        return 0;
    if (str_starts(s, STR("smtp:")) && host_and_port(str_from(s, 5), false))
        return 0;
    return wrong(e, "none of smtp:[HOST]:PORT, smtp:NAME, lmtp:[HOST]:PORT, lmtp:unix:/PATH, null, "
                    "hold");
}

int sound_mailbox(struct str s, struct err *e)
{
    struct mailbox m;

    return mailbox_parse(s, &m, NULL) < 0 ? wrong(e, "not a mail address") : 0;
}

int sound_title(struct str s, struct err *e)
{
    bool good = s.n > 0 && s.n <= 64;

    for (size_t i = 0; good && i < s.n; i++)
        good = ascii_alnum(s.p[i]) || s.p[i] == '-' || s.p[i] == '_' || s.p[i] == '.';
    return good ? 0 : wrong(e, "a title is 1 to 64 letters, digits, '-', '_' or '.'");
}

int sound_route_title(struct str s, struct err *e)
{
    static const char why[] = "not DOMAIN, *.DOMAIN, USER@DOMAIN or *, with or without from";
    struct mailbox m;

    if (str_starts(s, STR("from ")))
        s = str_from(s, 5);
    if (str_eq(s, STR("*")))
        return 0;
    if (str_find(s, '@') >= 0)
        return mailbox_parse(s, &m, NULL) < 0 ? wrong(e, why) : 0;
    if (str_starts(s, STR("*.")))
        s = str_from(s, 2);
    return sound_host_name(s, NULL) < 0 ? wrong(e, why) : 0;
}

int sound_map_title(struct str s, struct err *e)
{
    if (str_starts(s, STR("@*.")))
        return sound_host_name(str_from(s, 3), NULL) < 0 ? wrong(e, "not @*.DOMAIN") : 0;
    return sound_map_address(s, e);
}

int sound_map_address(struct str s, struct err *e)
{
    static const char why[] = "neither USER@DOMAIN nor @DOMAIN";
    struct mailbox m;

    if (str_starts(s, STR("@")))
        return sound_host_name(str_from(s, 1), NULL) < 0 ? wrong(e, why) : 0;
    if (mailbox_parse(s, &m, NULL) < 0 || str_empty(m.domain))
        return wrong(e, why);
    /* It is also put where nobody asked for SMTPUTF8 (RFC 6531). */
    for (size_t i = 0; i < m.local.n; i++)
        if ((unsigned char)m.local.p[i] > 127)
            return wrong(e, "the part before the @ is not ASCII");
    return 0;
}
