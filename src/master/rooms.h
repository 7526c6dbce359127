/* master/rooms.h: what each role does (rooms.c; tests of master have rooms of their own). */
#pragma once

#include "ipc/role.h"

extern const struct role_room role_rooms[ROLE_KINDS];
