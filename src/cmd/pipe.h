/* cmd/pipe.h: sendmail -bs, SMTP on standard input and output: the server's own session, passed
 * through. */
#pragma once

#include "base/err.h"

#include "io/net.h"

/* Copies both ways until the server closes. Blocks. */
int pipe_session(const struct net_address *to, struct err *e);
