/* core/control/mail_json.h: a message in a mailbox as `veredus mail list` shows it (SURFACE.md). */
#pragma once

#include <jansson.h>

#include "core/mailbox/mailbox.h"

/* {uid, mailbox, id, from, to[], subject, date, received, size, flags[]}; long values are cut where
 * the whole would be too much for an answer. */
json_t *mail_json(const struct mail_row *row);
size_t mail_json_size(const json_t *json); /* octets of it in an answer */
