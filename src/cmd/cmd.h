/* cmd/cmd.h: the command line: one const table of commands, one way to take options, one way to
 * print.
 *
 * A command is a row: words, synopsis, options, arguments, function. The same table prints --help,
 * and manual pages and shell completion are made from it. Options and arguments mix freely, `--`
 * ends options; -c FILE, --json and --help are understood everywhere (SURFACE.md, Commands). A
 * command returns its exit status: 0 done, 1 failed, refused or not found, 2 usage; those that
 * stand for sendmail(8) use sysexits.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

enum {
    CMD_OPTIONS_MAX = 16,
    CMD_ARGUMENTS_MAX = 4096,
};

struct cmd;

struct cmd_option {
    const char *name;  /* without the dashes */
    const char *value; /* what it takes, for the help text; NULL for a switch */
    const char *help;
};

struct cmd_row {
    const char *words; /* "account add" */
    const char *arguments;
    const char *help;
    int (*run)(struct cmd *c);
    unsigned least, most; /* arguments */
    struct cmd_option options[CMD_OPTIONS_MAX];
};

struct cmd {
    const struct cmd_row *row;
    const char *program;
    const char *config_path;
    bool json;
    const char **args;
    unsigned count;
    const char *values[CMD_OPTIONS_MAX]; /* of row->options; a switch that was given is "" */
};

extern const struct cmd_row cmd_rows[];
extern const size_t cmd_row_count;

/* The value of an option, NULL where it was not given. */
const char *cmd_value(const struct cmd *c, const char *name);
bool cmd_has(const struct cmd *c, const char *name);

/* One line on standard error: "veredus: text"; returns EXIT_FAILED. */
int cmd_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cmd_fail_err(const struct err *e);

/* The configuration of -c, or one line a problem on standard error and NULL. */
struct config;
struct config *cmd_config(const struct cmd *c);

/* Reads a whole file of at most max octets. The buffer is the caller's to end. */
struct buf;
int cmd_read_file(const char *path, size_t max, struct buf *out, struct err *e);

int cmd_serve(struct cmd *c);
int cmd_check(struct cmd *c);
int cmd_demo(struct cmd *c);
int cmd_setup(struct cmd *c);
int cmd_status(struct cmd *c);
int cmd_reload(struct cmd *c);
int cmd_stop(struct cmd *c);
int cmd_domain_add(struct cmd *c);
int cmd_domain_list(struct cmd *c);
int cmd_domain_show(struct cmd *c);
int cmd_domain_set(struct cmd *c);
int cmd_domain_disable(struct cmd *c);
int cmd_domain_enable(struct cmd *c);
int cmd_domain_remove(struct cmd *c);
int cmd_domain_dns(struct cmd *c);
int cmd_account_add(struct cmd *c);
int cmd_account_list(struct cmd *c);
int cmd_account_show(struct cmd *c);
int cmd_account_passwd(struct cmd *c);
int cmd_account_disable(struct cmd *c);
int cmd_account_enable(struct cmd *c);
int cmd_account_remove(struct cmd *c);
int cmd_alias_add(struct cmd *c);
int cmd_alias_list(struct cmd *c);
int cmd_alias_remove(struct cmd *c);
int cmd_alias_import(struct cmd *c);
int cmd_queue_list(struct cmd *c);
int cmd_queue_show(struct cmd *c);
int cmd_queue_retry(struct cmd *c);
int cmd_queue_hold(struct cmd *c);
int cmd_queue_release(struct cmd *c);
int cmd_queue_remove(struct cmd *c);
int cmd_queue_stats(struct cmd *c);
int cmd_mailq(struct cmd *c); /* its exit status is as of the others */
int cmd_spool_verify(struct cmd *c);
int cmd_spool_repair(struct cmd *c);
int cmd_spool_adopt(struct cmd *c);
int cmd_quarantine_list(struct cmd *c);
int cmd_quarantine_show(struct cmd *c);
int cmd_quarantine_release(struct cmd *c);
int cmd_quarantine_remove(struct cmd *c);
int cmd_trace(struct cmd *c);
int cmd_mail_list(struct cmd *c);
int cmd_mail_show(struct cmd *c);
int cmd_send(int argc, char **argv); /* sendmail(8): its options are not ours */
