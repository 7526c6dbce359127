#include "wire/smtp_offer.h"

#include <stddef.h>

#include "base/mem.h"
#include "base/utf8.h"

struct extension {
    struct str keyword;
    size_t flag; /* where its bool lies */
};

#define EXTENSION(keyword, member)                                                                 \
    {                                                                                              \
        STR_INIT(keyword), offsetof(struct smtp_offer, member)                                     \
    }

static const struct extension extensions[] = {
    EXTENSION("PIPELINING", pipelining),              /* RFC 2920 */
    EXTENSION("CHUNKING", chunking),                  /* RFC 3030 2 */
    EXTENSION("8BITMIME", eight_bit),                 /* RFC 6152 2 */
    EXTENSION("SMTPUTF8", smtputf8),                  /* RFC 6531 3.1 */
    EXTENSION("DSN", dsn),                            /* RFC 3461 3 */
    EXTENSION("ENHANCEDSTATUSCODES", enhanced_codes), /* RFC 2034 3 */
    EXTENSION("STARTTLS", starttls),                  /* RFC 3207 2 */
    EXTENSION("SIZE", size),                          /* RFC 1870 3 */
};

static bool *flag_of(struct smtp_offer *o, const struct extension *x)
{
    return (bool *)(void *)((char *)o + x->flag);
}

/* RFC 1870 4: 0 means that no fixed limit is in force; of more than 20 digits, or no number, it
 * says nothing. */
static void take_size(struct smtp_offer *o, struct str value)
{
    uint64_t size;

    o->size = str_empty(value) || str_to_u64(value, UINT64_MAX, &size);
    o->size_max = o->size && !str_empty(value) ? size : 0;
}

/* RFC 9422 4.1 to 4.3: NAME=NUMBER, a number of at most 6 digits that is not 0. */
static void take_limits(struct smtp_offer *o, struct str rest)
{
    const struct {
        struct str name;
        uint32_t *to;
    } rows[] = {
        {STR("MAILMAX"), &o->mail_max},
        {STR("RCPTMAX"), &o->rcpt_max},
        {STR("RCPTDOMAINMAX"), &o->rcpt_domain_max},
    };
    struct str word, name;

    while (!str_empty(rest)) {
        uint64_t value;
        str_cut(&rest, ' ', &word);
        if (!str_cut(&word, '=', &name) || !str_to_u64(word, 999999, &value) || value == 0)
            continue;
        for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
            if (str_eq_ascii(name, rows[i].name))
                *rows[i].to = (uint32_t)value;
    }
}

void smtp_offer_line(struct smtp_offer *o, struct str text)
{
    struct str rest = str_trim(text), keyword;

    str_cut(&rest, ' ', &keyword);
    rest = str_trim(rest);
    if (str_eq_ascii(keyword, STR("LIMITS"))) {
        take_limits(o, rest);
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(extensions); i++)
        if (str_eq_ascii(keyword, extensions[i].keyword))
            *flag_of(o, &extensions[i]) = true;
    if (str_eq_ascii(keyword, STR("SIZE")))
        take_size(o, rest);
}

void smtp_offer_print(const struct smtp_offer *o, struct buf *out)
{
    struct smtp_offer copy = *o;
    bool first = true;

    for (size_t i = 0; i < ARRAY_COUNT(extensions); i++) {
        if (!*flag_of(&copy, &extensions[i]))
            continue;
        if (!first)
            buf_put_c(out, ' ');
        first = false;
        buf_put(out, extensions[i].keyword);
    }
}

int smtp_orcpt_ascii(struct str orcpt, struct buf *out)
{
    while (!str_empty(orcpt)) {
        uint32_t point = utf8_next(&orcpt);
        if (point == UTF8_INVALID)
            point = 0xfffd;
        if (point < 128)
            buf_put_c(out, (char)point);
        else
            buf_printf(out, "\\x{%X}", (unsigned)point);
    }
    return buf_ok(out) ? 0 : -1;
}
