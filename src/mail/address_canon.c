#include <idn2.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "base/utf8.h"

#include "mail/address_int.h"
#include "mail/chars.h"

static size_t count_dots(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '.';
    return n;
}

/* UTS 46 maps other full stops to dots and may leave characters that are none of a host's: what
 * comes out must be a domain name of the same labels. */
static bool is_host_of(struct str ascii, struct str domain)
{
    enum domain_kind kind;
    return ascii.n <= ADDRESS_DOMAIN_MAX && ascii_only(ascii) &&
           count_dots(ascii) == count_dots(domain) && domain_parse(ascii, &kind, NULL) == 0;
}

bool idna_to_ascii(struct str domain, char ascii[ADDRESS_DOMAIN_MAX + 1])
{
    char text[ADDRESS_DOMAIN_MAX + 1];
    uint8_t *mapped = NULL;
    if (!str_copy_c(text, sizeof text, domain))
        return false;
    int rc = idn2_lookup_u8((const uint8_t *)text, &mapped, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc != IDN2_OK)
        return false;
    struct str got = str_c((const char *)mapped);
    bool ok = is_host_of(got, domain) && str_copy_c(ascii, ADDRESS_DOMAIN_MAX + 1, got);
    idn2_free(mapped);
    return ok;
}

static int put_folded(struct str s, struct buf *out)
{
    char *p = buf_reserve(out, s.n);
    if (!p)
        return -1;
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    buf_advance(out, s.n);
    return 0;
}

int domain_canonical(struct str domain, struct buf *out, struct err *e)
{
    char ascii[ADDRESS_DOMAIN_MAX + 1];
    uint8_t address[16];
    enum domain_kind kind;
    int rc;
    if (literal_parse(domain, &kind, address) == 0) {
        rc = literal_print(address, kind, out);
    } else if (ascii_only(domain)) {
        rc = put_folded(domain, out);
    } else if (idna_to_ascii(domain, ascii)) {
        rc = put_folded(str_c(ascii), out);
    } else {
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 6, 7}, "address",
            "not a valid international domain");
    }
    return rc < 0 ? err_memory(e, "address") : 0;
}

enum {
    CANON_UNITS = 4 * ADDRESS_LOCAL_MAX /* UTF-16; NFC grows UTF-8 at most threefold */
};

/* Simple case folding: one code point stays one, so that no sharp s meets a double s. */
static int32_t fold_units(const UChar *in, int32_t n, UChar out[CANON_UNITS])
{
    int32_t used = 0;
    for (int32_t i = 0; i < n && used + 2 <= CANON_UNITS;) {
        UChar32 c;
        U16_NEXT(in, i, n, c);
        U16_APPEND_UNSAFE(out, used, u_foldCase(c, U_FOLD_CASE_DEFAULT));
    }
    return used;
}

int local_canonical(struct str local, struct buf *out, struct err *e)
{
    if (ascii_only(local))
        return put_folded(local, out) < 0 ? err_memory(e, "address") : 0;
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
    UChar units[CANON_UNITS], other[CANON_UNITS];
    char text[4 * CANON_UNITS];
    int32_t n = 0, size = 0;
    u_strFromUTF8(
        units, CANON_UNITS, &n, local.p, (int32_t)str_head(local, CANON_UNITS).n, &status);
    n = unorm2_normalize(nfc, units, n, other, CANON_UNITS, &status);
    if (U_SUCCESS(status))
        n = fold_units(other, n, units);
    n = unorm2_normalize(nfc, units, n, other, CANON_UNITS, &status);
    u_strToUTF8(text, (int32_t)sizeof text, &size, other, n, &status);
    if (U_FAILURE(status) || local.n > CANON_UNITS)
        return err_set_status(
            e, ERR_PERMANENT, (struct err_status){5, 6, 7}, "address", "local part is not UTF-8");
    return buf_put(out, str_of(text, (size_t)size)) < 0 ? err_memory(e, "address") : 0;
}
