/* mail/lex.h: what structured header fields have in common: white space, comments, quoted strings.
 *
 * RFC 5322 3.2. Each takes its production off the front of *s. Nothing fails: what does not end,
 * ends with the slice, and the function says so. Nesting is counted, never recursed into
 * (hostile.md 105).
 */
#pragma once

#include "base/buf.h"

#include "mail/chars.h"

static inline void lex_skip_space(struct str *s)
{
    while (s->n > 0 && mail_is(s->p[0], CHAR_WSP))
        *s = str_from(*s, 1);
}

/* s starts with "(" or a quote: inner is what stands between the ends, still escaped and folded.
 * False where the closing end is missing. */
bool lex_comment(struct str *s, struct str *inner);
bool lex_quoted(struct str *s, struct str *inner);

/* White space and comments. False where a comment does not end (then *s is empty). */
bool lex_skip_cfws(struct str *s);

/* The run of octets that have one of the classes. */
struct str lex_run(struct str *s, unsigned classes);

/* Appends the text of a quoted string's or comment's inner: without backslashes and folding. */
void lex_put_unescaped(struct str inner, struct buf *out);
