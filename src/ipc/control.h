/* ipc/control.h: what the command line and a running server say to each other over RUNTIME/control.
 *
 * One request, one reply, over a channel (ipc/channel.h). A request is a flat JSON object with the
 * member "op" and its arguments; a reply is one octet, enum control_outcome, and then the result: a
 * JSON document (CONTROL_DONE), raw octets ("mail.raw"), or one line of text that says what is
 * wrong. Nothing in a reply is larger than a frame: lists come in pages, each asked for with
 * "after", and a page ends with "next" (the next "after") until there is no more. The same
 * operations run without a server, on the data directory, in the process of the command line
 * (core/control/).
 */
#pragma once

enum control_type {
    CONTROL_REQUEST = 1, /* ask */
};

enum control_outcome {
    CONTROL_DONE,
    CONTROL_REFUSED, /* exit status 1: not found, not allowed, wrong value */
    CONTROL_LATER,   /* exit status 1: failed for now */
};

enum {
    CONTROL_PAGE = 48 * 1024, /* octets of JSON in a page, about; of raw octets, at most */
    CONTROL_REQUEST_MAX = 60 * 1024,
};
