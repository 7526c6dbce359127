#include "cmd/cmd.h"

/* clang-format off */
const struct cmd_row cmd_rows[] = {
    {"serve", "", "run in the foreground", cmd_serve, 0, 0, {{0}}},
    {"check", "", "name every problem of the configuration", cmd_check, 0, 0, {
        {"sample", NULL, "print an annotated sample configuration instead"},
        {"manual", NULL, "print the manual page veredus.conf(5) instead"}}},
    {"demo", "", "run a throw-away server on loopback and send it a first mail", cmd_demo, 0, 0, {
        {"once", NULL, "end after the first mail has been read back"}}},
    {"setup", "DOMAIN", "write a first configuration, a domain and an account", cmd_setup, 1, 1, {
        {"hostname", "NAME", "the name of this host (default: mail.DOMAIN)"},
        {"data", "DIR", "the data directory (default: /var/lib/veredus)"},
        {"account", "LOCAL-PART", "the first account (default: postmaster)"},
        {"password", "PW", "its password"},
        {"password-file", "FILE", "read the password from a file, - for standard input"}}},
    {"status", "", "what the running server does", cmd_status, 0, 0, {{0}}},
    {"reload", "", "make the running server read its configuration again", cmd_reload, 0, 0, {{0}}},
    {"stop", "", "end the running server after its transactions", cmd_stop, 0, 0, {{0}}},
    {"domain add", "DOMAIN", "take mail for a domain", cmd_domain_add, 1, 1, {
        {"relay", NULL, "pass its mail on; it is not local"},
        {"recipients", "FILE|verify",
            "with --relay: the addresses that exist, one a line; or ask the next hop"},
        {"separator", "CHARACTERS",
            "what begins the detail of user+detail (default +, none: \"\")"}}},
    {"domain list", "", "list the domains", cmd_domain_list, 0, 0, {{0}}},
    {"domain show", "DOMAIN", "show one domain", cmd_domain_show, 1, 1, {{0}}},
    {"domain set", "DOMAIN", "change a domain", cmd_domain_set, 1, 1, {
        {"separator", "CHARACTERS", "what begins the detail of user+detail"},
        {"recipients", "FILE|verify|any", "of a relay domain: its whole list, or how else"}}},
    {"domain disable", "DOMAIN", "refuse its mail without deleting anything",
        cmd_domain_disable, 1, 1, {{0}}},
    {"domain enable", "DOMAIN", "undo disable", cmd_domain_enable, 1, 1, {{0}}},
    {"domain remove", "DOMAIN", "forget a domain that has no accounts",
        cmd_domain_remove, 1, 1, {{0}}},
    {"domain dns", "DOMAIN", "print the DNS records it should publish",
        cmd_domain_dns, 1, 1, {{0}}},
    {"account add", "ADDRESS", "create a mailbox", cmd_account_add, 1, 1, {
        {"password", "PW", "its password, - to read it from standard input"},
        {"password-file", "FILE", "read the password from a file"},
        {"quota", "SIZE", "most octets it may hold (0: no limit)"}}},
    {"account list", "[DOMAIN]", "list the accounts", cmd_account_list, 0, 1, {{0}}},
    {"account show", "ADDRESS", "show one account", cmd_account_show, 1, 1, {{0}}},
    {"account passwd", "ADDRESS", "set a new password", cmd_account_passwd, 1, 1, {
        {"password", "PW", "the password, - to read it from standard input"},
        {"password-file", "FILE", "read the password from a file"}}},
    {"account disable", "ADDRESS", "refuse its mail and log-ins without deleting anything",
        cmd_account_disable, 1, 1, {{0}}},
    {"account enable", "ADDRESS", "undo disable", cmd_account_enable, 1, 1, {{0}}},
    {"account remove", "ADDRESS", "delete an account and its mail",
        cmd_account_remove, 1, 1, {{0}}},
    {"alias add", "ADDRESS TARGET...", "let an address (or @DOMAIN, all others) stand for targets",
        cmd_alias_add, 2, CMD_ARGUMENTS_MAX, {{0}}},
    {"alias list", "[DOMAIN]", "list the aliases", cmd_alias_list, 0, 1, {{0}}},
    {"alias remove", "ADDRESS [TARGET...]", "remove an alias, or some of its targets",
        cmd_alias_remove, 1, CMD_ARGUMENTS_MAX, {{0}}},
    {"alias import", "FILE", "read a file like /etc/aliases", cmd_alias_import, 1, 1, {
        {"domain", "DOMAIN", "the domain of names without one (default: origin)"}}},
    {"queue list", "[ID...]", "list what is still to be delivered, oldest first",
        cmd_queue_list, 0, CMD_ARGUMENTS_MAX, {
        {"to", "PATTERN", "only with such a recipient: an address, a domain, * for anything"},
        {"from", "PATTERN", "only from such a sender; \"<>\" is the null sender"},
        {"site", "PATTERN", "only what waits for such a host or site"},
        {"older", "TIME", "only what is older, such as 4h"},
        {"status", "STATE", "only queued, active, deferred or held"}}},
    {"queue show", "ID", "why a message waits, until when, and what was tried",
        cmd_queue_show, 1, 1, {{0}}},
    {"queue retry", "[ID...]", "try now what waits for its time", cmd_queue_retry,
        0, CMD_ARGUMENTS_MAX, {
        {"to", "PATTERN", "only with such a recipient: an address, a domain, * for anything"},
        {"from", "PATTERN", "only from such a sender; \"<>\" is the null sender"},
        {"site", "PATTERN", "only what waits for such a host or site"},
        {"older", "TIME", "only what is older, such as 4h"},
        {"status", "STATE", "only queued, active, deferred or held"}}},
    {"queue hold", "[ID...]",
        "keep messages; with --to or --from alone also those that come; alone: list these rules",
        cmd_queue_hold, 0, CMD_ARGUMENTS_MAX, {
        {"to", "PATTERN", "only with such a recipient: an address, a domain, * for anything"},
        {"from", "PATTERN", "only from such a sender; \"<>\" is the null sender"},
        {"site", "PATTERN", "only what waits for such a host or site"},
        {"older", "TIME", "only what is older, such as 4h"},
        {"status", "STATE", "only queued, active, deferred or held"}}},
    {"queue release", "[ID...]", "undo hold, also a rule that is named as it was made",
        cmd_queue_release, 0, CMD_ARGUMENTS_MAX, {
        {"to", "PATTERN", "only with such a recipient: an address, a domain, * for anything"},
        {"from", "PATTERN", "only from such a sender; \"<>\" is the null sender"},
        {"site", "PATTERN", "only what waits for such a host or site"},
        {"older", "TIME", "only what is older, such as 4h"},
        {"status", "STATE", "only queued, active, deferred or held"}}},
    {"queue remove", "[ID...]", "remove messages for good; nobody is told",
        cmd_queue_remove, 0, CMD_ARGUMENTS_MAX, {
        {"to", "PATTERN", "only with such a recipient: an address, a domain, * for anything"},
        {"from", "PATTERN", "only from such a sender; \"<>\" is the null sender"},
        {"site", "PATTERN", "only what waits for such a host or site"},
        {"older", "TIME", "only what is older, such as 4h"},
        {"status", "STATE", "only queued, active, deferred or held"}}},
    {"queue stats", "", "how much waits, and for which sites", cmd_queue_stats, 0, 0, {{0}}},
    {"spool verify", "", "read all accepted mail and compare its checksums; 1 if some is damaged",
        cmd_spool_verify, 0, 0, {{0}}},
    {"spool repair", "", "set damaged mail aside, and say what it was",
        cmd_spool_repair, 0, 0, {{0}}},
    {"spool adopt", "", "use a data directory that is a copy, instead of its original",
        cmd_spool_adopt, 0, 0, {{0}}},
    {"spool quarantine list", "", "list what was set aside, and why",
        cmd_quarantine_list, 0, 0, {{0}}},
    {"spool quarantine show", "NAME", "show one of them", cmd_quarantine_show, 1, 1, {{0}}},
    {"spool quarantine release", "ID...", "let messages that are intact go their way",
        cmd_quarantine_release, 1, CMD_ARGUMENTS_MAX, {{0}}},
    {"spool quarantine remove", "NAME...", "remove them for good",
        cmd_quarantine_remove, 1, CMD_ARGUMENTS_MAX, {{0}}},
    {"trace", "ID|ADDRESS", "what happened to this mail, step by step", cmd_trace, 1, 1, {
        {"since", "TIME", "only from this time on: 2026-11-22T04:00:00Z, or 4h for that long ago"},
        {"limit", "NUMBER", "of an address: the newest messages, at most (100)"}}},
    {"mail list", "ADDRESS [MAILBOX]", "list the mail in a mailbox, oldest first",
        cmd_mail_list, 1, 2, {
        {"all", NULL, "all mailboxes"}}},
    {"mail show", "ADDRESS [MAILBOX] [UID]", "show one mail (default: the newest, in INBOX)",
        cmd_mail_show, 1, 3, {
        {"raw", NULL, "its octets as stored"}}},
};
/* clang-format on */

const size_t cmd_row_count = sizeof cmd_rows / sizeof *cmd_rows;
