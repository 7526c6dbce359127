/* bench/common.h: what the programs of bench/ share: addresses, clocks, options, CPU times, a
 * ledger.
 *
 * These are tools on the tester's side: one thread, one epoll loop, and every failure of their own
 * ends them with one line on standard error.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/str.h"

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t clock_us(void); /* monotonic */

/* "127.0.0.1:2525"; IPv4 only, since that is what the tests use. */
struct sockaddr_in address_parse(const char *text);

/* Non-blocking, close-on-exec. tcp_connect() returns -1 where even the start fails; `from` may be
 * NULL, or the address to come from. */
int tcp_listen(const struct sockaddr_in *address);
int tcp_connect(const struct sockaddr_in *to, const struct sockaddr_in *from);

/* The value of an option: a number with an optional K, M or G. */
uint64_t number_parse(const char *option, const char *text);

/* CPU time used so far by a process and all of its descendants, dead ones included as far as their
 * parent has waited for them. 0 where it is gone. */
uint64_t cpu_us_of_tree(pid_t pid);

/* Sorts the samples and returns the one below which `percent` of them lie; 0 of none. */
uint32_t percentile(uint32_t *samples, size_t count, unsigned percent);

/* Lines in a file, durable after ledger_sync(). */
struct ledger {
    int fd;
    struct buf lines;
};

void ledger_open(struct ledger *l, const char *path);
void ledger_add(struct ledger *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ledger_sync(struct ledger *l);
