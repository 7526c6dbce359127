#include "core/directory/schema.h"

/* "key" is the form in which addresses compare (mail/address.h), "address" the one that was given.
 * "listed" is enum directory_recipients.
 * The catch-all of a domain is the alias with the key "@domain". Times are milliseconds. */
static const char tables[] =
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value BIGINT NOT NULL);"
    "INSERT INTO settings (name, value) VALUES ('domain', 0), ('account', 0);"
    "CREATE TABLE domains ("
    "  name TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, relay INTEGER NOT NULL,"
    "  listed INTEGER NOT NULL, enabled INTEGER NOT NULL, separator TEXT NOT NULL,"
    "  created BIGINT NOT NULL);"
    "CREATE TABLE accounts ("
    "  id BIGINT PRIMARY KEY, key TEXT NOT NULL UNIQUE, address TEXT NOT NULL,"
    "  domain TEXT NOT NULL, enabled INTEGER NOT NULL, password TEXT NOT NULL,"
    "  quota BIGINT NOT NULL, created BIGINT NOT NULL);"
    "CREATE INDEX accounts_domain ON accounts (domain, id);"
    "CREATE TABLE aliases ("
    "  key TEXT NOT NULL, target_key TEXT NOT NULL, position INTEGER NOT NULL,"
    "  address TEXT NOT NULL, target TEXT NOT NULL, domain TEXT NOT NULL,"
    "  PRIMARY KEY (key, target_key));"
    "CREATE INDEX aliases_target ON aliases (target_key);"
    "CREATE INDEX aliases_domain ON aliases (domain, key);"
    "CREATE TABLE recipients (key TEXT PRIMARY KEY, domain TEXT NOT NULL);"
    "CREATE INDEX recipients_domain ON recipients (domain);";

/* FULL: a change is on the disk when it is answered (DURABILITY.md 1, Clients). */
const struct sql_format directory_format = {
    .application = 0x76647264, /* "vdrd" */
    .version = 1,
    .pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192;",
    .schema = tables,
};

const char *const directory_statements[DIR_STATEMENTS] = {
    [DIR_COUNT_ADDRESSES] =
        "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM recipients)",
    [DIR_COUNT_ALIASES] = "SELECT count(DISTINCT key) FROM aliases",
    [DIR_LOAD_DOMAINS] =
        "SELECT name, number, relay, listed, enabled, separator FROM domains ORDER BY number",
    [DIR_LOAD_FIRSTS] = "SELECT a.domain, a.address FROM accounts a JOIN"
                        " (SELECT min(id) AS id FROM accounts WHERE enabled = 1 GROUP BY domain) f"
                        " ON f.id = a.id",
    [DIR_LOAD_ACCOUNTS] = "SELECT key, id, enabled FROM accounts",
    [DIR_LOAD_ALIASES] = "SELECT key, target FROM aliases ORDER BY key, position",
    [DIR_LOAD_RECIPIENTS] = "SELECT key FROM recipients",
    [DIR_READ_ACCOUNT] = "SELECT id, enabled FROM accounts WHERE key = ?1",
    [DIR_READ_TARGETS] = "SELECT target FROM aliases WHERE key = ?1 ORDER BY position",
    [DIR_READ_RECIPIENT] = "SELECT 1 FROM recipients WHERE key = ?1",
    [DIR_NEXT_NUMBER] = "UPDATE settings SET value = value + 1 WHERE name = ?1 RETURNING value",
    [DIR_DOMAIN_INSERT] =
        "INSERT INTO domains (name, number, relay, listed, enabled, separator, created)"
        " VALUES (?1, ?2, ?3, ?4, ?7, ?5, ?6)",
    [DIR_DOMAIN_ENABLE] = "UPDATE domains SET enabled = ?2 WHERE name = ?1",
    [DIR_DOMAIN_SEPARATOR] = "UPDATE domains SET separator = ?2 WHERE name = ?1",
    [DIR_DOMAIN_RECIPIENTS] = "UPDATE domains SET listed = ?2 WHERE name = ?1",
    [DIR_DOMAIN_DELETE] = "DELETE FROM domains WHERE name = ?1",
    [DIR_DOMAIN_FIRST] = "SELECT address FROM accounts WHERE domain = ?1 AND enabled = 1"
                         " ORDER BY id LIMIT 1",
    [DIR_DOMAIN_USES] = "SELECT (SELECT count(*) FROM accounts WHERE domain = ?1),"
                        " (SELECT count(DISTINCT key) FROM aliases WHERE domain = ?1)",
    [DIR_DOMAIN_SHOW] = "SELECT name, relay, listed, enabled, separator, created,"
                        " (SELECT count(*) FROM accounts a WHERE a.domain = d.name),"
                        " (SELECT count(DISTINCT key) FROM aliases a WHERE a.domain = d.name),"
                        " (SELECT count(*) FROM recipients r WHERE r.domain = d.name)"
                        " FROM domains d WHERE name = ?1",
    [DIR_DOMAIN_LIST] = "SELECT name, relay, listed, enabled, separator, created,"
                        " (SELECT count(*) FROM accounts a WHERE a.domain = d.name),"
                        " (SELECT count(DISTINCT key) FROM aliases a WHERE a.domain = d.name),"
                        " (SELECT count(*) FROM recipients r WHERE r.domain = d.name)"
                        " FROM domains d WHERE name > ?1 ORDER BY name LIMIT ?2",
    [DIR_RECIPIENT_INSERT] =
        "INSERT INTO recipients (key, domain) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [DIR_RECIPIENTS_DELETE] = "DELETE FROM recipients WHERE domain = ?1",
    [DIR_RECIPIENT_DELETE] = "DELETE FROM recipients WHERE key = ?1",
    [DIR_RECIPIENT_LIST] = "SELECT key FROM recipients WHERE domain = ?2 AND key > ?1"
                           " ORDER BY key LIMIT ?3",
    [DIR_ACCOUNT_INSERT] =
        "INSERT INTO accounts (id, key, address, domain, enabled, password, quota, created)"
        " VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)",
    [DIR_ACCOUNT_ENABLE] = "UPDATE accounts SET enabled = ?2 WHERE key = ?1",
    [DIR_ACCOUNT_PASSWORD] = "UPDATE accounts SET password = ?2 WHERE key = ?1",
    [DIR_ACCOUNT_QUOTA] = "UPDATE accounts SET quota = ?2 WHERE key = ?1",
    [DIR_ACCOUNT_DELETE] = "DELETE FROM accounts WHERE key = ?1",
    [DIR_ACCOUNT_SHOW] = "SELECT id, address, domain, enabled, quota, created, password"
                         " FROM accounts WHERE key = ?1",
    [DIR_ACCOUNT_LIST] = "SELECT id, address, domain, enabled, quota, created, '' FROM accounts"
                         " WHERE key > ?1 AND (?2 = '' OR domain = ?2) ORDER BY key LIMIT ?3",
    [DIR_ALIAS_DELETE] = "DELETE FROM aliases WHERE key = ?1",
    [DIR_ALIAS_INSERT] = "INSERT INTO aliases (key, target_key, position, address, target, domain)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [DIR_ALIAS_ROWS] = "SELECT target FROM aliases WHERE key = ?1 ORDER BY position",
    [DIR_ALIAS_LIST] = "SELECT key, min(address) FROM aliases WHERE key > ?1 AND (?2 = '' OR"
                       " domain = ?2) GROUP BY key ORDER BY key LIMIT ?3",
    [DIR_ALIASES_OF] = "SELECT address FROM aliases WHERE target_key = ?1 ORDER BY key LIMIT ?2",
};
