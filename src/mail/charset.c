#include "mail/charset.h"

#include <unicode/ucnv.h>
#include <unicode/udata.h>

#include "base/utf8.h"

#include "mail/chars.h"

enum {
    NAME_MAX_OCTETS = 64, /* a longer one is no charset (hostile.md 102) */
    UNITS = 512
};

static const struct {
    struct str name;
    const char *icu;
} aliases[] = {
    {STR_INIT("iso-8859-1"), "windows-1252"},
    {STR_INIT("iso8859-1"), "windows-1252"},
    {STR_INIT("iso_8859-1"), "windows-1252"},
    {STR_INIT("latin1"), "windows-1252"},
    {STR_INIT("iso-8859-9"), "windows-1254"},
    {STR_INIT("iso-8859-11"), "windows-874"},
    {STR_INIT("tis-620"), "windows-874"},
    {STR_INIT("gb2312"), "gb18030"},
    {STR_INIT("gb_2312-80"), "gb18030"},
    {STR_INIT("gbk"), "gb18030"},
    {STR_INIT("ks_c_5601-1987"), "windows-949"},
    {STR_INIT("euc-kr"), "windows-949"},
    {STR_INIT("shift_jis"), "windows-31j"},
    {STR_INIT("shift-jis"), "windows-31j"},
    {STR_INIT("sjis"), "windows-31j"},
    {STR_INIT("x-sjis"), "windows-31j"},
    {STR_INIT("iso-8859-8-i"), "iso-8859-8"},
    {STR_INIT("iso-8859-6-i"), "iso-8859-6"},
    {STR_INIT("unicode-1-1-utf-7"), "utf-7"},
    {STR_INIT("x-mac-roman"), "macintosh"},
};

static bool is_utf8_name(struct str charset)
{
    return str_eq_ascii(charset, STR("utf-8")) || str_eq_ascii(charset, STR("utf8"));
}

static bool is_ascii_name(struct str charset)
{
    return str_empty(charset) || str_eq_ascii(charset, STR("us-ascii")) ||
           str_eq_ascii(charset, STR("ascii")) || str_eq_ascii(charset, STR("ansi_x3.4-1968"));
}

static UConverter *open_converter(struct str charset)
{
    char name[NAME_MAX_OCTETS + 1];
    UErrorCode status = U_ZERO_ERROR;
    charset = str_trim(charset);
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (str_eq_ascii(aliases[i].name, charset))
            return ucnv_open(aliases[i].icu, &status);
    if (charset.n == 0 || charset.n > NAME_MAX_OCTETS || !ascii_only(charset))
        return NULL;
    for (size_t i = 0; i < charset.n; i++)
        if (!ascii_alnum(charset.p[i]) && !memchr("-_.:+()", charset.p[i], 7))
            return NULL;
    if (!str_copy_c(name, sizeof name, charset))
        return NULL;
    UConverter *converter = ucnv_open(name, &status);
    return U_SUCCESS(status) ? converter : NULL;
}

bool charset_known(struct str charset)
{
    if (is_utf8_name(charset) || is_ascii_name(charset))
        return true;
    UConverter *converter = open_converter(charset);
    ucnv_close(converter);
    return converter != NULL;
}

bool charset_prepare(void)
{
    static const char *const used[] = {"windows-1250", "windows-1251", "windows-1252",
        "windows-1253", "windows-1254", "windows-1255", "windows-1256", "windows-1257",
        "windows-1258", "windows-874", "windows-31j", "windows-949", "iso-8859-2", "iso-8859-3",
        "iso-8859-4", "iso-8859-5", "iso-8859-6", "iso-8859-7", "iso-8859-8", "iso-8859-10",
        "iso-8859-13", "iso-8859-14", "iso-8859-15", "iso-8859-16", "koi8-r", "koi8-u", "gb18030",
        "gbk", "big5", "big5-hkscs", "hz-gb-2312", "euc-jp", "euc-tw", "iso-2022-jp",
        "iso-2022-jp-2", "iso-2022-kr", "iso-2022-cn", "utf-7", "utf-16", "utf-16le", "utf-16be",
        "utf-32", "macintosh", "x-mac-cyrillic", "ibm437", "ibm850", "ibm852", "ibm866", "cp1125"};
    UErrorCode status = U_ZERO_ERROR;
    /* all of ICU's data is in its library: never look for files */
    udata_setFileAccess(UDATA_NO_FILES, &status);
    bool any = false;
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        UConverter *converter = open_converter(str_c(used[i]));
        any = any || converter;
        ucnv_close(converter);
    }
    /* the search for an unknown name builds what else there is to build */
    ucnv_close(open_converter(STR("x-unknown")));
    return any;
}

/* Where UTF-8 comes out: at most `left` octets, one U+FFFD for a run of bad ones. */
struct sink {
    struct buf *out;
    size_t left;
    bool full, replaced;
};

static void sink_put(struct sink *k, struct str s)
{
    if (s.n > k->left) {
        s = utf8_head(s, k->left);
        k->full = true;
    }
    buf_put(k->out, s);
    k->left -= s.n;
    k->replaced = false;
}

static void sink_point(struct sink *k, uint32_t point)
{
    char octets[4];
    if (point == 0xfffd && k->replaced)
        return;
    size_t n = utf8_encode(point, octets);
    if (n > k->left) {
        k->full = true;
        return;
    }
    sink_put(k, str_of(octets, n));
    k->replaced = point == 0xfffd;
}

static void from_utf8(struct sink *k, struct str text)
{
    if (utf8_valid(text)) {
        sink_put(k, text);
        return;
    }
    while (text.n > 0 && !k->full) {
        uint32_t point = utf8_next(&text);
        sink_point(k, point == UTF8_INVALID ? 0xfffd : point);
    }
}

static void put_units(struct sink *k, const UChar *units, const UChar *end)
{
    for (int32_t i = 0, n = (int32_t)(end - units); i < n && !k->full;) {
        UChar32 c;
        U16_NEXT(units, i, n, c);
        sink_point(k, U_IS_SURROGATE(c) || c == 0x1a ? 0xfffd : (uint32_t)c);
    }
}

static void from_converter(struct sink *k, UConverter *converter, struct str text)
{
    const char *p = text.p, *end = text.p + text.n;
    UErrorCode status = U_BUFFER_OVERFLOW_ERROR;
    while (status == U_BUFFER_OVERFLOW_ERROR && !k->full && buf_ok(k->out)) {
        /* room for one unit is kept, so that no surrogate pair is torn */
        UChar units[UNITS + 1];
        UChar *to = units;
        status = U_ZERO_ERROR;
        ucnv_toUnicode(converter, &to, units + UNITS, &p, end, NULL, true, &status);
        if (to > units && U16_IS_LEAD(to[-1]) && status == U_BUFFER_OVERFLOW_ERROR) {
            UErrorCode more = U_ZERO_ERROR;
            ucnv_toUnicode(converter, &to, units + UNITS + 1, &p, end, NULL, true, &more);
            status = more;
        }
        put_units(k, units, to);
    }
}

int charset_to_utf8(struct str charset, struct str text, size_t max, struct buf *out)
{
    struct sink k = {.out = out, .left = max};
    UConverter *converter = NULL;
    if (text.n == 0)
        return 0;
    if (is_utf8_name(charset)) {
        from_utf8(&k, text);
    } else if (is_ascii_name(charset) && utf8_valid(text)) {
        sink_put(&k, text);
    } else if (!is_ascii_name(charset) && (converter = open_converter(charset))) {
        from_converter(&k, converter, text);
    } else if (utf8_valid(text)) {
        sink_put(&k, text);
    } else if ((converter = open_converter(STR("windows-1252")))) {
        from_converter(&k, converter, text);
    }
    ucnv_close(converter);
    return buf_ok(out) ? 0 : -1;
}
