#include "mail/srs.h"

#include <sodium.h>

#include "base/check.h"

enum {
    HASH_CHARS = 6, /* 30 bits: who guesses has to do it over SMTP */
    DAYS = 1024,    /* two characters */
    DAY_MS = 86400000,
    TAG_CHARS = 5 /* "SRS0=" */
};

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static bool is_separator(char c)
{
    return c == '=' || c == '+' || c == '-';
}

/* ---- hash and day */

/* Over the digit of the tag and what follows the hash, at most ADDRESS_LOCAL_MAX octets: a hash of
 * SRS0 proves nothing of an SRS1 address. */
static void make_hash(struct str key, char digit, struct str text, char out[HASH_CHARS])
{
    crypto_auth_hmacsha256_state h;
    unsigned char mac[crypto_auth_hmacsha256_BYTES], folded[1 + ADDRESS_LOCAL_MAX];
    uint32_t bits;
    CHECK(text.n <= ADDRESS_LOCAL_MAX);
    folded[0] = (unsigned char)digit;
    for (size_t i = 0; i < text.n; i++)
        folded[1 + i] = (unsigned char)ascii_lower(text.p[i]);
    crypto_auth_hmacsha256_init(&h, (const unsigned char *)key.p, key.n);
    crypto_auth_hmacsha256_update(&h, folded, 1 + text.n);
    crypto_auth_hmacsha256_final(&h, mac);
    bits = (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3];
    for (int i = 0; i < HASH_CHARS; i++)
        out[i] = base32[bits >> (27 - 5 * i) & 31];
}

static bool hash_valid(const struct srs *s, char digit, struct str hash, struct str text)
{
    char wanted[HASH_CHARS];
    bool valid = false;
    if (hash.n != HASH_CHARS)
        return false;
    for (unsigned k = 0; k < s->key_count; k++) {
        unsigned differ = 0;
        make_hash(s->keys[k], digit, text, wanted);
        for (int i = 0; i < HASH_CHARS; i++)
            differ |= (unsigned char)(ascii_upper(hash.p[i]) ^ wanted[i]);
        valid |= differ == 0;
    }
    return valid;
}

static unsigned day_of(int64_t now_ms)
{
    int64_t day = now_ms / DAY_MS % DAYS;
    return (unsigned)(day < 0 ? day + DAYS : day);
}

static bool parse_day(struct str s, unsigned *day)
{
    unsigned value = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = memchr(base32, ascii_upper(s.p[i]), 32);
        if (!at)
            return false;
        value = value << 5 | (unsigned)(at - base32);
    }
    *day = value;
    return s.n == 2;
}

/* ---- forward */

/* "SRS0=" or what is like it, whatever its case; rest is what follows the separator. */
static bool has_tag(struct str local, char digit, struct str *rest)
{
    if (!str_starts_ascii(local, STR("SRS")) || local.n <= TAG_CHARS || local.p[3] != digit ||
        !is_separator(local.p[4]))
        return false;
    *rest = str_from(local, TAG_CHARS);
    return true;
}

/* 1: written; 0: it is no address; -1: no memory. */
static int print(struct str local, struct str domain, struct buf *out, struct err *e)
{
    struct mailbox m;
    size_t before = buf_len(out);
    if (mailbox_print(local, domain, out) == 0 &&
        mailbox_parse(str_from(buf_str(out), before), &m, NULL) == 0)
        return 1;
    if (!buf_ok(out))
        return err_memory(e, "srs");
    buf_truncate(out, before);
    return 0;
}

/* The local part to be is "SRSn=HASH=" and the text that is signed. */
static int print_signed(
    const struct srs *s, char digit, const struct buf *text, struct buf *out, struct err *e)
{
    char local[ADDRESS_LOCAL_MAX];
    size_t at = TAG_CHARS + HASH_CHARS + 1;
    struct str signed_text = buf_str(text);
    int result = 0;
    if (buf_ok(text) && at + signed_text.n <= sizeof local) {
        memcpy(local, digit == '0' ? "SRS0=" : "SRS1=", TAG_CHARS);
        make_hash(s->keys[0], digit, signed_text, local + TAG_CHARS);
        local[at - 1] = '=';
        memcpy(local + at, signed_text.p, signed_text.n);
        result = print(str_of(local, at + signed_text.n), s->domain, out, e);
    }
    if (result == 0)
        return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 1, 7}, "srs",
            "the rewritten sender would be too long");
    return result < 0 ? -1 : 0;
}

int srs_forward(const struct srs *s, const struct mailbox *sender, int64_t now_ms, struct buf *out,
    struct err *e)
{
    char storage[ADDRESS_LOCAL_MAX];
    struct str local = mailbox_local(sender, storage), rest, hash;
    unsigned day = day_of(now_ms);
    struct buf text;
    char digit = '1';
    CHECK(s->key_count > 0);
    buf_init(&text, ADDRESS_MAX);
    if (has_tag(local, '0', &rest)) { /* another forwarder's: name it, keep the rest as it is */
        buf_put(&text, sender->domain);
        buf_put_c(&text, '=');
        buf_put(&text, str_from(local, TAG_CHARS - 1));
    } else if (has_tag(local, '1', &rest) && str_cut(&rest, '=', &hash) &&
               str_find(rest, '=') > 0) { /* the second's or later: only the first one matters */
        buf_put(&text, rest);
    } else {
        digit = '0';
        buf_put_c(&text, base32[day >> 5]);
        buf_put_c(&text, base32[day & 31]);
        buf_put_c(&text, '=');
        buf_put(&text, sender->domain);
        buf_put_c(&text, '=');
        buf_put(&text, local);
    }
    int result = print_signed(s, digit, &text, out, e);
    buf_done(&text);
    return result;
}

/* ---- reverse */

bool srs_is_rewritten(struct str local)
{
    struct str rest;
    return has_tag(local, '0', &rest) || has_tag(local, '1', &rest);
}

static int refuse(struct err *e, uint16_t detail, const char *why)
{
    return err_set_status(e, ERR_PERMANENT, (struct err_status){5, 1, detail}, "srs",
        "the rewritten address %s", why);
}

static int print_back(struct str local, struct str domain, struct buf *out, struct err *e)
{
    int result = local.n <= ADDRESS_LOCAL_MAX ? print(local, domain, out, e) : 0;
    if (result == 0)
        return refuse(e, 1, "holds no address");
    return result < 0 ? -1 : 0;
}

/* TT=domain=local */
static int reverse_first(
    const struct srs *s, struct str text, int64_t now_ms, struct buf *out, struct err *e)
{
    unsigned max = s->max_days ? s->max_days : SRS_DAYS_DEFAULT, then;
    struct str day, domain;
    if (!str_cut(&text, '=', &day) || !parse_day(day, &then) || !str_cut(&text, '=', &domain))
        return refuse(e, 1, "is malformed");
    if ((day_of(now_ms) + DAYS - then) % DAYS > max)
        return refuse(e, 8, "has expired");
    return print_back(text, domain, out, e);
}

/* domain, and what stood behind "SRS0" there */
static int reverse_second(struct str text, struct buf *out, struct err *e)
{
    char local[ADDRESS_LOCAL_MAX] = "SRS0";
    struct str domain;
    if (!str_cut(&text, '=', &domain) || text.n < 2 || !is_separator(text.p[0]) ||
        text.n > sizeof local - 4)
        return refuse(e, 1, "is malformed");
    memcpy(local + 4, text.p, text.n);
    return print_back(str_of(local, 4 + text.n), domain, out, e);
}

int srs_reverse(
    const struct srs *s, struct str local, int64_t now_ms, struct buf *out, struct err *e)
{
    struct str rest, hash;
    char digit = has_tag(local, '0', &rest) ? '0' : '1';
    if (!has_tag(local, digit, &rest) || local.n > ADDRESS_LOCAL_MAX)
        return refuse(e, 1, "is none");
    if (!str_cut(&rest, '=', &hash))
        return refuse(e, 1, "is malformed");
    if (!hash_valid(s, digit, hash, rest))
        return refuse(e, 1, "is not of our making");
    return digit == '0' ? reverse_first(s, rest, now_ms, out, e) : reverse_second(rest, out, e);
}
