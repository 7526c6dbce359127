/* resolver/events.h: the names of what resolver logs. */
#pragma once

#define EV_RESOLVING   "resolving"   /* at start: servers, validating */
#define EV_DNS_SILENT  "dns_silent"  /* none of the servers answers */
#define EV_DNS_BACK    "dns_back"    /* one does again */
#define EV_DNS_FAILED  "dns_failed"  /* name, type, why; ten a minute at most, left_out counts */
#define EV_DNS_BOGUS   "dns_bogus"   /* the same where validation failed */
#define EV_CLIENT_GONE "client_gone" /* a process that asked has ended */
