/* core/control/op.h: what the operations share. */
#pragma once

#include "core/control/control.h"

/* A result: JSON, or raw octets put into reply. Neither: null. */
struct op_result {
    json_t *json;
    struct buf *raw; /* where raw octets go; *used tells that they did */
    bool used_raw;
};

typedef int op_fn(
    struct control *c, const json_t *request, struct op_result *result, struct err *e);

/* Members of a request. Absent optional ones give the empty slice, 0, false. Wrong types are
 * errors. */
int op_str(const json_t *request, const char *member, struct str *value, struct err *e);
int op_str_optional(const json_t *request, const char *member, struct str *value, struct err *e);
int op_u64_optional(const json_t *request, const char *member, uint64_t *value, struct err *e);
bool op_flag(const json_t *request, const char *member);
/* An array of strings of at most max, or absent (count 0). In the arena. */
int op_strs(struct arena *a, const json_t *request, const char *member, struct str **values,
    uint32_t *count, uint32_t max, struct err *e);

json_t *op_json_str(struct str s);     /* octets that are no UTF-8 become U+FFFD; empty is "" */
json_t *op_json_or_null(struct str s); /* empty is null */
json_t *op_json_time(int64_t ms);      /* RFC 3339; 0 is null */
json_t *op_json_code(uint16_t code);   /* 0 is null */
json_t *op_json_enhanced(struct err_status status); /* "5.1.1"; null where there is none */
/* The sites with most mail waiting first. */
json_t *op_json_sites(struct core *core, uint32_t limit);

/* {"items": items, "next": next or null}; takes items over. */
json_t *op_page(json_t *items, struct str next);

op_fn op_domain_add, op_domain_list, op_domain_show, op_domain_set, op_domain_disable,
    op_domain_enable, op_domain_remove;
op_fn op_recipients_add, op_recipients_remove, op_recipients_list;
op_fn op_account_add, op_account_list, op_account_show, op_account_passwd, op_account_disable,
    op_account_enable, op_account_remove;
op_fn op_alias_add, op_alias_list, op_alias_remove, op_alias_import;
op_fn op_mail_list, op_mail_find, op_mail_raw;
op_fn op_status, op_reload, op_stop;
op_fn op_queue_idle, op_queue_list, op_queue_show, op_queue_rules, op_queue_stats;
op_fn op_queue_retry, op_queue_hold, op_queue_release, op_queue_remove;
op_fn op_spool_verify, op_spool_repair, op_spool_quarantine, op_spool_quarantine_show,
    op_spool_quarantine_release, op_spool_quarantine_remove;
op_fn op_trace_find, op_trace_events;
