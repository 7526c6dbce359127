/* core/control/mail_json.h: a message in a mailbox as `veredus mail list` shows it (SURFACE.md). */
#pragma once

#include <jansson.h>

#include "core/mailbox/mailbox.h"

enum mail_json_detail {
    MAIL_JSON_SHORT, /* long values are cut, so that a page of them fits into a frame */
    MAIL_JSON_WHOLE,
};

/* {uid, mailbox, id, from, to[], subject, date, received, size, flags[]} */
json_t *mail_json(const struct mail_row *row, enum mail_json_detail detail);
