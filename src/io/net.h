/* io/net.h: network addresses, and listening sockets as they are handed from process to process. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include "run/fiber.h"

struct net_address {
    socklen_t len;
    bool v6_only; /* for net_listen(): [::] is not to take IPv4 as well (0.0.0.0 is listened on) */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* HOST:PORT, [V6]:PORT or unix:/PATH; numeric only. */
int net_parse(struct str text, struct net_address *a, struct err *e);
/* 192.0.2.1:25, [2001:db8::1]:25, unix:/path: the form net_parse() takes. */
void net_format(const struct net_address *a, struct buf *out);
/* The IP alone: 192.0.2.1, 2001:db8::1 (a v4-mapped one as v4); "local" for unix sockets. */
void net_format_ip(const struct net_address *a, struct buf *out);
uint16_t net_port(const struct net_address *a); /* 0 for unix sockets */
/* The 16 octets of an IP address, a v4 one mapped. False (and nothing written) for others. */
bool net_octets(const struct net_address *a, uint8_t octets[16]);
/* The address of 16 octets, a mapped one as v4. */
void net_from_octets(const uint8_t octets[16], uint16_t port, struct net_address *a);

/* Where an address leads to, for those that a stranger names. One that only wraps a v4 address
 * (mapped, compatible, NAT64, 6to4, Teredo) is what that is. */
enum net_class {
    NET_PUBLIC,
    NET_LOOPBACK,    /* a unix socket too */
    NET_UNSPECIFIED, /* 0.0.0.0/8, ::, which connect to ourselves */
    NET_LINK_LOCAL,  /* 169.254.0.0/16 with the metadata service of clouds, fe80::/10 */
    NET_PRIVATE,     /* RFC 1918, RFC 4193, RFC 6598 (100.64.0.0/10), fec0::/10, 64:ff9b:1::/48 */
    NET_MULTICAST,
    NET_RESERVED, /* documentation, benchmarks, and what nobody was given */
};
enum net_class net_classify(const struct net_address *a);
const char *net_class_name(enum net_class class); /* "a loopback address" */

/* A network in CIDR form ("127.0.0.0/8", "::1", "2001:db8::/32"). Address bits behind the prefix
 * are an error. A v6 network, ::/0 too, never contains a v4 address, mapped or not. */
struct net_block {
    uint8_t octets[16]; /* v4 as v4-mapped */
    uint8_t bits;       /* 0 to 128 */
};
int net_block_parse(struct str text, struct net_block *b, struct err *e);
bool net_block_contains(const struct net_block *b, const struct net_address *a);

/* Binds and listens, non-blocking and closed on exec. On failure nothing stays open. The first bind
 * is made without SO_REUSEPORT, to prove that nobody else has the port ("address in use" names it);
 * then with it, one socket a process: fds[count]. Port 0 takes a free one, the same for all. unix
 * sockets get one descriptor (the others are -1), mode, and a stale file is replaced only if nobody
 * answers on it. */
int net_listen(const struct net_address *a, unsigned mode, int backlog, int *fds, unsigned count,
    struct err *e);

/* Accepts on fd in the loop: fn(arg, fd, peer) is called for each connection outside any fiber and
 * owns the descriptor (non-blocking, closed on exec). Owns the listening descriptor, but for a
 * failure to open. Without descriptors (EMFILE) a reserved one is spent to accept one connection
 * and shut it down, and accepting pauses for a moment instead of spinning; the descriptor of the
 * refused one is the next reserve, so that nothing has to be opened inside the walls. Open it
 * before lock-down: the first reserve is a duplicate of fd. listener_close() may be called by fn.
 */
struct listener;
typedef void listener_fn(void *arg, int fd, const struct net_address *peer);
int listener_open(struct listener **l, int fd, listener_fn *fn, void *arg, struct err *e);
void listener_close(struct listener **l);
