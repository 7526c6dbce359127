/* wire/smtp_command_int.h: what the files of the SMTP command grammar share. */
#pragma once

#include "wire/smtp_command.h"

/* Fills *r and returns -1. */
int smtp_refuse(struct smtp_refusal *r, uint16_t code, struct err_status status, const char *text);

/* 501 5.5.4 */
int smtp_refuse_args(struct smtp_refusal *r, const char *text);

/* RFC 5321 4.1.2 Reverse-path and Forward-path, at the start of *rest, which becomes what follows.
 * sender: the null path is allowed, "postmaster" is not, and what is wrong is X.1.7. */
int smtp_path_scan(struct str *rest, bool sender, struct smtp_path *path, struct smtp_refusal *r);
