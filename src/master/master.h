/* master/master.h: the first process: starts the others, watches and restarts them, reloads, ends.
 *
 * It binds the listeners and makes the channels by which the others talk, and reads configuration;
 * it parses nothing that comes over a network and touches no mail. Life, signals, exit status:
 * SURFACE.md, Life.
 */
#pragma once

#include <stdbool.h>

/* `veredus serve`: returns when the server has ended: 0, or -1 where it could not start or was cut
 * short; what is wrong stands on standard error, a line each. */
int master_serve(const char *config_path);

/* Is this process one that master started (by its title, argv[0])? Then it is this instead of
 * main(): returns the exit status. */
bool master_is_role(const char *title);
int master_role_main(int argc, char **argv);
