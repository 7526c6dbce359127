/* cmd/show.h: a message as a person reads it.
 *
 * The header fields that people look at, decoded; the text (of multipart/alternative the plain one,
 * else HTML without its tags); a line for each attachment. What mail holds is escaped for the
 * terminal.
 */
#pragma once

#include <jansson.h>

#include "base/str.h"

/* Both return an exit status. show_json() adds header, text and parts to row and prints it. */
int show_text(struct str raw);
int show_json(json_t *row, struct str raw);
