/* mail/mime_int.h: shared by the files of the MIME parser. */
#pragma once

#include "mail/mime.h"

/* Fills the fields of a part from its header block; params beyond max are left out. NULL where
 * there are none, or where the arena is full. */
const struct mime_fields *mime_fields_parse(struct arena *a, struct str block, unsigned max_params);

/* What a line is to an open multipart. */
enum mime_line {
    MIME_TEXT,
    MIME_DELIMITER,
    MIME_CLOSE,
};

struct mime_frame {
    struct mime_part *part;
    struct str boundary;
    bool closed; /* its close-delimiter has been seen: what follows is epilogue */
};

/* head is the line without its line end, or as much of it as is looked at. *which is the frame.
 * exact_only: something behind the boundary but white space makes it text. */
enum mime_line mime_match(const struct mime_frame *frames, uint32_t open, struct str head,
    bool exact_only, uint32_t *which);
