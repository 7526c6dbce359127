#include "cmd/print.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/mem.h"

enum {
    VALUE_MAX = 64 * 1024,
    WIDTH_MAX = 60,
    COLUMNS_MAX = 16,
};

void print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
}

static void put_scalar(const json_t *value, struct buf *out)
{
    if (json_is_string(value))
        escape_put(
            out, str_of(json_string_value(value), json_string_length(value)), ESCAPE_TERMINAL);
    else if (json_is_integer(value))
        buf_printf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        buf_printf(out, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        buf_put(out, json_is_true(value) ? STR("yes") : STR("no"));
    else
        buf_put_c(out, '-');
}

/* Two levels are all that results have: lists and objects of scalars. */
void print_value(const json_t *value, struct buf *out)
{
    const char *key;
    json_t *member;
    size_t i;

    if (json_is_array(value)) {
        if (json_array_size(value) == 0)
            buf_put_c(out, '-');
        json_array_foreach(value, i, member)
        {
            if (i)
                buf_put(out, STR(", "));
            put_scalar(member, out);
        }
    } else if (json_is_object(value)) {
        const char *comma = "";
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            buf_printf(out, "%s%s ", comma, key);
            put_scalar(member, out);
            comma = ", ";
        }
    } else {
        put_scalar(value, out);
    }
}

/* Columns of the terminal, about: octets that do not continue a UTF-8 sequence. */
static size_t width(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void print_cell(struct str s, size_t pad_to, bool last)
{
    fwrite(s.p, 1, s.n, stdout);
    if (last)
        putchar('\n');
    else
        for (size_t n = width(s); n < pad_to + 2; n++)
            putchar(' ');
}

static void cell_of(const json_t *row, const char *member, struct buf *cell)
{
    buf_clear(cell);
    print_value(json_object_get(row, member), cell);
}

void print_table_part(
    const json_t *rows, const struct print_column *columns, unsigned count, bool title)
{
    size_t widths[COLUMNS_MAX];
    struct buf cell;
    json_t *row;
    size_t i;

    buf_init(&cell, VALUE_MAX);
    for (unsigned k = 0; k < count; k++)
        widths[k] = strlen(columns[k].title);
    json_array_foreach(rows, i, row) for (unsigned k = 0; k < count; k++)
    {
        cell_of(row, columns[k].member, &cell);
        size_t w = width(buf_str(&cell));
        if (w > WIDTH_MAX)
            w = WIDTH_MAX;
        if (w > widths[k])
            widths[k] = w;
    }
    if (json_array_size(rows) > 0 && title)
        for (unsigned k = 0; k < count; k++)
            print_cell(str_c(columns[k].title), widths[k], k + 1 == count);
    json_array_foreach(rows, i, row) for (unsigned k = 0; k < count; k++)
    {
        cell_of(row, columns[k].member, &cell);
        print_cell(buf_str(&cell), widths[k], k + 1 == count);
    }
    buf_done(&cell);
}

void print_table(const json_t *rows, const struct print_column *columns, unsigned count)
{
    print_table_part(rows, columns, count, true);
}

void print_object(const json_t *object)
{
    const char *key;
    json_t *member;
    struct buf text;

    buf_init(&text, VALUE_MAX);
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
    {
        buf_clear(&text);
        print_value(member, &text);
        printf("%-14s %.*s\n", key, STR_ARG(buf_str(&text)));
    }
    buf_done(&text);
}
