/* master/fake_rooms.h: rooms that do next to nothing, for master_test.c.
 *
 * An inbound answers each line of a connection with who it is, who core and who the resolver is
 * ("crash" kills it, "misbehave" tries the walls); core answers "reload", "stop", "status" and
 * "peers" on the control socket.
 * A file DATA/fail-ROLE makes that role's prepare() fail.
 */
#pragma once
