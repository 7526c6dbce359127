/* core/mailbox/schema.h: the tables and statements of an account's database. */
#pragma once

#include "core/sql/sql.h"

extern const struct sql_format mailbox_format;

enum mailbox_statement {
    BOX_VALUE_GET,
    BOX_VALUE_SET,
    BOX_CREATE,
    BOX_SKIP_RESERVED,
    BOX_GIVE_BACK,
    BOX_FIND,
    BOX_ADVANCE,
    BOX_ALL,
    BOX_COUNTS,
    BOX_DELIVERED_PUT,
    BOX_DELIVERED_GET,
    BOX_DELIVERED_PRUNE,
    BOX_BODY_PUT,
    BOX_META_PUT,
    BOX_MESSAGE_PUT,
    BOX_LIST,
    BOX_LIST_ALL,
    BOX_ONE,
    BOX_NEWEST,
    BOX_PLACE,
    BOX_KEYWORDS,
    BOX_STATEMENTS,
};

extern const char *const mailbox_statements[BOX_STATEMENTS];
