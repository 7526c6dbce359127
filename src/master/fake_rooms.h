/* master/fake_rooms.h: rooms that do next to nothing, for master_test.c.
 *
 * An inbound answers each line of a connection with who it is, who core and who the resolver is
 * ("crash" kills it as from outside, "die 192.0.2.1:25 77" by a fault at the work for that client
 * and message, "misbehave" tries the walls); core answers "reload", "stop", "status", "peers" and
 * "verdicts" on the control socket. A file DATA/fail-ROLE makes that role's prepare() fail.
 */
#pragma once
