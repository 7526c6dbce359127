#include "cmd/queue_text.h"

#include <stdio.h>

#include "cmd/print.h"
#include "cmd/spell.h"

enum {
    TEXT_MAX = 1 << 20,
};

static void put_head(struct buf *out, const json_t *message)
{
    spell_put(out, message, "id");
    buf_put(out, STR("  "));
    spell_put(out, message, "state");
    buf_put(out, STR("  "));
    spell_time(out, message, "arrived");
    buf_put(out, STR(" ("));
    spell_distance(out, message, "arrived");
    buf_put(out, STR(")  "));
    spell_count(out, spell_u64(message, "size"), "octet", "octets");
    buf_put(out, STR("  from <"));
    spell_put(out, message, "from");
    buf_put(out, STR(">\n"));
}

/* "last: 2026-11-22 07:33:11 mx.example said 450 4.2.0 later"; without a code it is our own words.
 */
static void put_last(struct buf *out, const json_t *last)
{
    uint64_t code = spell_u64(last, "code");

    if (!code && !spell_str(last, "text").n)
        return;
    buf_put(out, STR("        last: "));
    spell_time(out, last, "time");
    if (spell_str(last, "host").n) {
        buf_put_c(out, ' ');
        spell_put(out, last, "host");
        buf_put(out, code ? STR(" said") : STR(":"));
    }
    if (code)
        buf_printf(out, " %llu", (unsigned long long)code);
    if (spell_str(last, "enhanced").n) {
        buf_put_c(out, ' ');
        spell_put(out, last, "enhanced");
    }
    buf_put_c(out, ' ');
    spell_put(out, last, "text");
    buf_put_c(out, '\n');
}

static void put_rcpt(struct buf *out, const json_t *rcpt)
{
    buf_put(out, STR("    "));
    spell_put(out, rcpt, "address");
    buf_put(out, STR("  "));
    spell_put(out, rcpt, "state");
    if (spell_str(rcpt, "route").n) {
        buf_put(out, STR(", by "));
        spell_put(out, rcpt, "route");
    }
    if (spell_u64(rcpt, "attempts")) {
        buf_put(out, STR(", "));
        spell_count(out, spell_u64(rcpt, "attempts"), "attempt", "attempts");
    }
    if (spell_str(rcpt, "next").n) {
        buf_put(out, STR(", next "));
        spell_time(out, rcpt, "next");
        buf_put(out, STR(" ("));
        spell_distance(out, rcpt, "next");
        buf_put_c(out, ')');
    }
    buf_put_c(out, '\n');
    if (spell_str(rcpt, "why").n) {
        buf_put(out, STR("        "));
        spell_put(out, rcpt, "why");
        buf_put_c(out, '\n');
    }
    put_last(out, json_object_get(rcpt, "last"));
}

static bool is_done(const json_t *rcpt)
{
    static const char *const done[] = {"delivered", "failed", "removed"};

    for (size_t i = 0; i < sizeof done / sizeof *done; i++)
        if (str_eq(spell_str(rcpt, "state"), str_c(done[i])))
            return true;
    return false;
}

void queue_text_print(const json_t *message, bool all)
{
    const json_t *rcpts = json_object_get(message, "recipients"), *rcpt;
    uint64_t count = spell_u64(message, "recipient_count");
    struct buf out;
    size_t i;

    buf_init(&out, TEXT_MAX);
    put_head(&out, message);
    json_array_foreach(rcpts, i, rcpt) if (all || !is_done(rcpt)) put_rcpt(&out, rcpt);
    if (count > json_array_size(rcpts)) {
        buf_put(&out, STR("    and "));
        spell_count(&out, count - json_array_size(rcpts), "recipient more", "recipients more");
        buf_put_c(&out, '\n');
    }
    fwrite(buf_str(&out).p, 1, buf_len(&out), stdout);
    buf_done(&out);
}

void queue_text_sites(const json_t *sites)
{
    static const struct print_column columns[] = {
        {"SITE", "site"},
        {"QUEUED", "queued"},
        {"CONNECTIONS", "connections"},
        {"LIMIT", "limit"},
        {"BACK-OFF", "back_off"},
        {"LAST ERROR", "error"},
    };

    if (json_array_size(sites) == 0)
        return;
    putchar('\n');
    print_table(sites, columns, sizeof columns / sizeof *columns);
}

void queue_text_stats(const json_t *stats)
{
    json_t *rest = json_copy((json_t *)(uintptr_t)stats);

    json_object_del(rest, "busiest");
    print_object(rest);
    json_decref(rest);
    queue_text_sites(json_object_get(stats, "busiest"));
}
