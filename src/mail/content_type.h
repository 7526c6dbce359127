/* mail/content_type.h: Content-Type, Content-Disposition and their parameters as they are written.
 *
 * RFC 2045 5.1, RFC 2183 2, tolerant where mailers are sloppy: a missing semicolon between folded
 * parameters, specials and (in file names) spaces without quotes, quotes that do not end. Values
 * are unquoted but not decoded: RFC 2231 and 2047 come in mail/rfc2231.h. Slices point into the
 * arena. Of parameters with one name the first counts; beyond max_params the rest is left out.
 */
#pragma once

#include "base/arena.h"

struct mime_param {
    struct str name, value;
};

struct mime_value {
    struct str value, subtype; /* "text" "plain"; "attachment" and empty */
    struct mime_param *params;
    unsigned count;
};

/* True where the field is type "/" subtype. Otherwise value and subtype are empty, and the
 * parameters are those that could be read: RFC 2045 5.2 then has text/plain. */
bool content_type_parse(
    struct arena *a, struct str field, unsigned max_params, struct mime_value *out);

/* A token and parameters: Content-Disposition. */
bool content_disposition_parse(
    struct arena *a, struct str field, unsigned max_params, struct mime_value *out);

/* The value of the first parameter of exactly that name; false where there is none. */
bool mime_param_find(const struct mime_value *v, struct str name, struct str *value);

enum mime_encoding {
    MIME_7BIT, /* also where the field is absent or makes no sense */
    MIME_8BIT,
    MIME_BINARY,
    MIME_QUOTED_PRINTABLE,
    MIME_BASE64,
    MIME_UUENCODE, /* x-uuencode and its other names: not MIME, but mail has it */
    MIME_UNKNOWN,  /* RFC 2045 6.4: the octets are opaque */
};

/* RFC 2045 6: the mechanism of a Content-Transfer-Encoding field, and its token. */
enum mime_encoding mime_encoding_parse(struct str field, struct str *token);
