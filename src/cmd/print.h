/* cmd/print.h: results for people and for programs. */
#pragma once

#include <jansson.h>

#include "cmd/cmd.h"

/* The document, a line end behind it: what --json prints. */
void print_json(const json_t *value);

struct print_column {
    const char *title, *member;
};

/* An array of objects as a table with a title line; members that are arrays are joined with ", ",
 * null is "-". Control octets are escaped, columns are padded to the widest value up to 60. */
void print_table(const json_t *rows, const struct print_column *columns, unsigned count);
/* A page of one; the title line stands over the first. */
void print_table_part(
    const json_t *rows, const struct print_column *columns, unsigned count, bool title);

/* An object as "member: value" lines. */
void print_object(const json_t *object);

/* One value as a person reads it, control octets escaped. */
struct buf;
void print_value(const json_t *value, struct buf *out);
