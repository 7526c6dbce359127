/* outbound/own.h: where mail of a stranger's domain must not be sent: to ourselves, to our network.
 *
 * The addresses of the machine's interfaces are asked for before the walls stand (own_prepare())
 * and are those of that moment; those that listeners and `own-addresses` name come with the
 * configuration. hostile.md 129.
 */
#pragma once

#include "ipc/config.h"

struct own_addresses {
    uint8_t (*octets)[16];
    uint32_t count, cap;
};

void own_done(struct own_addresses *o);

/* Adds those of the interfaces; loopback ones are told by their class. */
int own_add_interfaces(struct own_addresses *o, struct err *e);

/* Adds those that the configuration names. */
int own_add_config(struct own_addresses *o, const struct config *config, struct err *e);

/* May mail go to this address, which an MX record led to? -1: permanent, 5.4.6 or 5.4.4. */
int own_check_target(const struct own_addresses *o, const struct config *config,
    const struct net_address *target, struct err *e);
