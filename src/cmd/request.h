/* cmd/request.h: building the flat JSON requests of ipc/control.h. */
#pragma once

#include "cmd/client.h"

/* {"op": op}; members are added with request_str() and friends. NULL members are left out; running
 * out of memory, and what is no UTF-8, shows when the request is sent. */
json_t *request_new(const char *op);
void request_str(json_t *request, const char *member, const char *value);
void request_strs(json_t *request, const char *member, const char **values, unsigned count);

/* The common shape: op with the first argument as `member`, through client_do(). */
int request_simple(struct cmd *c, enum client_need need, const char *op, const char *member);

/* `show`: the same, and the object that comes is printed. */
int request_show(struct cmd *c, enum client_need need, const char *op, const char *member);
