/* wire/smtp_data.h: where the content of a message ends, and what of it is content.
 *
 * One machine for DATA (RFC 5321 4.1.1.4, 4.5.2: end at CRLF "." CRLF and nowhere else, one leading
 * dot taken off) and for BDAT (RFC 3030: as many octets as were declared, dots untouched). It is
 * fed with whatever has arrived and gives back slices of that input, so content is never copied
 * here; what it gives does not depend on how the input was cut.
 *
 * CR and LF are content only as CRLF (RFC 5321 2.3.8). Elsewhere they are a fault of the message;
 * or, with `normalize`, a bare LF becomes CRLF and a bare CR becomes a space (so it can never make
 * a line). A bare LF ends a line for dots to be taken off, but "." alone is an end of data only
 * between two CRLF: content that was smuggled stays content (hostile.md 1 to 4).
 *
 * A message with a fault is read to its end; what came out of it is to be thrown away.
 */
#pragma once

#include "base/str.h"

/* What is wrong with the content, a set; smtp_data.faults. */
enum smtp_data_fault {
    SMTP_DATA_BARE = 1,  /* a CR or LF outside CRLF, not normalized */
    SMTP_DATA_LONG = 2,  /* a line above line_max octets without its CRLF */
    SMTP_DATA_LARGE = 4, /* content above size_max octets */
};

enum smtp_data_step {
    SMTP_DATA_MORE, /* the input is used up */
    SMTP_DATA_RUN,  /* *run is content */
    SMTP_DATA_END,  /* end of data; the rest of the input comes after it */
};

enum smtp_data_state {
    SMTP_DATA_START,    /* behind CRLF or at the very start */
    SMTP_DATA_DOT,      /* there, a dot is held */
    SMTP_DATA_DOT_CR,   /* there, a dot and CR are held */
    SMTP_DATA_SOFT,     /* behind a bare LF */
    SMTP_DATA_SOFT_DOT, /* there, a dot is held */
    SMTP_DATA_TEXT,
    SMTP_DATA_CR, /* a CR is held */
    SMTP_DATA_ENDED,
};

struct smtp_data {
    bool dots; /* DATA, not BDAT */
    bool normalize;
    size_t line_max;   /* 0: none */
    uint64_t size_max; /* 0: none */
    uint64_t size;     /* octets of content so far */
    unsigned faults;   /* set of enum smtp_data_fault */
    enum smtp_data_state state;
    size_t line; /* octets of content in the present line */
};

struct smtp_data_limits {
    bool normalize;
    size_t line_max; /* at least 64, or 0 */
    uint64_t size_max;
};

void smtp_data_init(struct smtp_data *d, bool dots, const struct smtp_data_limits *limits);

/* Takes octets off *in. run is valid as long as the input. With a fault no more runs come. */
enum smtp_data_step smtp_data_next(struct smtp_data *d, struct str *in, struct str *run);

/* BDAT LAST: no more octets come. Gives the end that is still missing (a last line without CRLF
 * gets one, a CR that was held counts as bare); may be empty. */
struct str smtp_data_finish(struct smtp_data *d);

/* The other side: dots doubled at the start of lines, for DATA. Gives the next slice of what is to
 * be sent for *in, empty when *in is used up. *line_start carries over from slice to slice; true at
 * first. Content must end in CRLF, and "." CRLF is to be sent after it. */
struct str smtp_stuff_next(bool *line_start, struct str *in);
