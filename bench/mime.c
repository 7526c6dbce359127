/* bench/mime.c: what it costs to digest a message of 10 KiB: an alternative of text and HTML.
 *
 * Prints one JSON object: microseconds a message, fed at once and in chunks of 1,000 octets.
 */
#include <stdio.h>
#include <time.h>

#include "mail/charset.h"
#include "mail/digest.h"

enum {
    SIZE = 10240,
    ROUNDS = 20000
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void compose(struct buf *out)
{
    buf_put(out,
        STR("Received: from a.example (a.example [192.0.2.1])\r\n\tby b.example with ESMTPS id "
            "0123456789abc\r\n\tfor <alice@example.test>; Sun, 22 Nov 2026 04:19:20 +0000\r\n"
            "From: =?utf-8?q?J=C3=B6rg?= <joerg@a.example>\r\nTo: alice@example.test, Bob "
            "<bob@example.test>\r\nSubject: Re: The quarterly report\r\nMessage-ID: "
            "<1@a.example>\r\nReferences: <0@a.example>\r\nDate: Sun, 22 Nov 2026 04:19:20 "
            "+0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; "
            "boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n"));
    while (buf_len(out) < SIZE / 3)
        buf_put(out, STR("The quick brown fox jumps over the lazy dog, =C3=A4 and again and again."
                         "\r\n"));
    buf_put(out, STR("--=_b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"));
    while (buf_len(out) < SIZE - 16)
        buf_put(
            out, STR("<p class=\"x\">The quick brown fox jumps over the lazy dog, again.</p>\r\n"));
    buf_put(out, STR("--=_b--\r\n"));
}

static double measure(struct str content, size_t piece)
{
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct buf out;
    double start = now_us();
    for (int i = 0; i < ROUNDS; i++) {
        struct digest_builder b;
        buf_init(&out, DIGEST_MAX);
        digest_begin(&b, &limits);
        for (struct str s = content; s.n > 0; s = str_from(s, piece))
            digest_feed(&b, str_head(s, piece));
        if (digest_finish(&b, &out, NULL) < 0)
            return -1;
        digest_done(&b);
        buf_done(&out);
    }
    return (now_us() - start) / ROUNDS;
}

int main(void)
{
    struct buf content;
    buf_init(&content, 2 * SIZE);
    charset_prepare();
    compose(&content);
    double whole = measure(buf_str(&content), SIZE_MAX), chunks = measure(buf_str(&content), 1000);
    printf("{\"label\": \"digest\", \"size\": %zu, \"us\": %.2f, \"us_chunks\": %.2f}\n",
        buf_len(&content), whole, chunks);
    buf_done(&content);
    return whole < 0 || chunks < 0;
}
