/* resolver/servers.h: which servers are asked: the configured ones, else the system's. Pure. */
#pragma once

#include "resolver/engine.h"

/* The servers of a resolv.conf(5): its numeric "nameserver" lines, the first three as everybody
 * takes them. Slices of text. Fills settings->servers. */
void servers_of_resolv_conf(struct str text, struct engine_settings *settings);
