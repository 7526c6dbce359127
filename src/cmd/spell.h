/* cmd/spell.h: the members of a result as people read them; octets of strangers are escaped. */
#pragma once

#include <jansson.h>

#include "base/buf.h"

/* The text of a member, empty where it is null or absent. */
struct str spell_str(const json_t *object, const char *member);
uint64_t spell_u64(const json_t *object, const char *member);

/* The member escaped for the terminal. */
void spell_put(struct buf *out, const json_t *object, const char *member);

/* "2026-11-22 07:33:11" of an RFC 3339 time, "-" where there is none. */
void spell_time(struct buf *out, const json_t *object, const char *member);
/* "in 59 min", "3 days ago", "now", relative to the clock; nothing where there is none. */
void spell_distance(struct buf *out, const json_t *object, const char *member);
/* "1 message", "3 messages" */
void spell_count(struct buf *out, uint64_t n, const char *one, const char *many);
