/* core/directory/schema.h: the tables and statements of control.db. */
#pragma once

#include "core/directory/directory.h"
#include "core/sql/sql.h"

extern const struct sql_format directory_format;

/* The column `listed` of a domain. */
static inline enum directory_recipients schema_recipients(int64_t listed)
{
    return listed == RECIPIENTS_ASKED ? RECIPIENTS_ASKED
           : listed                   ? RECIPIENTS_LISTED
                                      : RECIPIENTS_ANY;
}

enum directory_statement {
    DIR_COUNT_ADDRESSES,
    DIR_COUNT_ALIASES,
    DIR_LOAD_DOMAINS,
    DIR_LOAD_FIRSTS,
    DIR_LOAD_ACCOUNTS,
    DIR_LOAD_ALIASES,
    DIR_LOAD_RECIPIENTS,
    DIR_READ_ACCOUNT,
    DIR_READ_TARGETS,
    DIR_READ_RECIPIENT,
    DIR_NEXT_NUMBER,
    DIR_DOMAIN_INSERT,
    DIR_DOMAIN_ENABLE,
    DIR_DOMAIN_SEPARATOR,
    DIR_DOMAIN_RECIPIENTS,
    DIR_DOMAIN_DELETE,
    DIR_DOMAIN_FIRST,
    DIR_DOMAIN_USES,
    DIR_DOMAIN_SHOW,
    DIR_DOMAIN_LIST,
    DIR_RECIPIENT_INSERT,
    DIR_RECIPIENTS_DELETE,
    DIR_RECIPIENT_DELETE,
    DIR_RECIPIENT_LIST,
    DIR_ACCOUNT_INSERT,
    DIR_ACCOUNT_ENABLE,
    DIR_ACCOUNT_PASSWORD,
    DIR_ACCOUNT_QUOTA,
    DIR_ACCOUNT_DELETE,
    DIR_ACCOUNT_SHOW,
    DIR_ACCOUNT_LIST,
    DIR_ALIAS_DELETE,
    DIR_ALIAS_INSERT,
    DIR_ALIAS_ROWS,
    DIR_ALIAS_LIST,
    DIR_ALIASES_OF,
    DIR_STATEMENTS,
};

extern const char *const directory_statements[DIR_STATEMENTS];
