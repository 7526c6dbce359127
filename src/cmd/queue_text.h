/* cmd/queue_text.h: a queued message for people: for each recipient in plain words why it waits,
 * until when, what was tried and what the remote said. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* With `all` also the recipients that are done. */
void queue_text_print(const json_t *message, bool all);

/* queue.stats: the numbers, and the sites with most mail waiting. */
void queue_text_stats(const json_t *stats);

/* The sites of "busiest" and the like, as a table; nothing where there is none. */
void queue_text_sites(const json_t *sites);
