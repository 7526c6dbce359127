#include "master/rooms.h"

const struct role_room role_rooms[ROLE_KINDS] = {
    [ROLE_CORE] = {core_prepare, core_run},
    [ROLE_INBOUND] = {inbound_prepare, inbound_run},
    [ROLE_RESOLVER] = {resolver_prepare, resolver_run},
    [ROLE_OUTBOUND] = {outbound_prepare, outbound_run},
};
