/* cmd/password.h: where a command takes a password from (SURFACE.md, account add). */
#pragma once

#include "base/buf.h"

#include "cmd/cmd.h"

/* --password PW, --password - (standard input), --password-file FILE; with none of them asked on a
 * terminal (twice), else generated: *generated is then true and it is to be printed. */
int password_take(const struct cmd *c, struct buf *password, bool *generated, struct err *e);
void password_generate(struct buf *password);
