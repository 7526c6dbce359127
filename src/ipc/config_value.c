#include <stdio.h>

#include "base/units.h"

#include "ipc/config_int.h"

enum {
    LIST_MAX = 1000 /* values of one list */
};

/* The three list types are laid out alike. */
struct list_field {
    void *v;
    uint32_t count;
};
_Static_assert(offsetof(struct config_strings, count) == offsetof(struct list_field, count) &&
                   offsetof(struct config_times, count) == offsetof(struct list_field, count) &&
                   offsetof(struct config_blocks, count) == offsetof(struct list_field, count),
    "lists");
_Static_assert(sizeof(enum config_tls) == sizeof(unsigned), "enums are written as unsigned");

bool config_row_is_list(const struct config_row *row)
{
    return row->type == ROW_TEXTS || row->type == ROW_TIMES || row->type == ROW_NETWORKS;
}

static int wrong(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int wrong(struct err *e, const char *format, ...)
{
    char text[160];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(e, ERR_PERMANENT, "config", "%s", text);
}

/* ---- numbers */

static void put_number(const struct config_row *row, uint64_t v, struct buf *out)
{
    if (row->type == ROW_SIZE)
        units_put_size(out, v);
    else if (row->type == ROW_TIME || row->type == ROW_TIMES)
        units_put_time(out, v);
    else
        buf_put_u64(out, v);
}

static int check_number(const struct config_row *row, uint64_t v, struct err *e)
{
    char limit[32];
    struct buf b;
    bool low = v < row->least;

    if ((!low && v <= row->most) || (v == 0 && row->flags & ROW_ZERO))
        return 0;
    buf_init(&b, sizeof limit);
    put_number(row, low ? row->least : row->most, &b);
    str_copy_c(limit, sizeof limit, buf_str(&b));
    buf_done(&b);
    return wrong(e, low ? "too small: the least is %s" : "too large: the most is %s", limit);
}

static int parse_number(const struct config_row *row, struct str text, uint64_t *v, struct err *e)
{
    if (row->type == ROW_SIZE)
        return units_parse_size(text, v) ? 0 : wrong(e, "not a size, such as 10485760, 10M or 4K");
    if (row->type == ROW_COUNT)
        return str_to_u64(text, UINT64_MAX, v) ? 0 : wrong(e, "not a number");
    return units_parse_time(text, v) ? 0 : wrong(e, "not a time, such as 90s, 5m, 4h or 2d");
}

void config_limits_put(const struct config_row *row, struct buf *out)
{
    put_number(row, row->least, out);
    buf_put(out, STR(" to "));
    put_number(row, row->most, out);
}

/* ---- single values */

static int parse_bool(struct str text, bool *v, struct err *e)
{
    static const struct {
        struct str word;
        bool value;
    } words[] = {
        {STR_INIT("yes"), true},
        {STR_INIT("true"), true},
        {STR_INIT("on"), true},
        {STR_INIT("no"), false},
        {STR_INIT("false"), false},
        {STR_INIT("off"), false},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq(text, words[i].word)) {
            *v = words[i].value;
            return 0;
        }
    return wrong(e, "neither yes nor no");
}

static int parse_word(const struct config_row *row, struct str text, unsigned *v, struct err *e)
{
    struct buf list;
    int result;

    for (unsigned i = 0; row->words[i]; i++)
        if (str_eq(text, str_c(row->words[i]))) {
            *v = i;
            return 0;
        }
    buf_init(&list, 128);
    for (unsigned i = 0; row->words[i]; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", row->words[i]);
    result = wrong(e, "none of: %.*s", STR_ARG(buf_str(&list)));
    buf_done(&list);
    return result;
}

static int check_text(const struct config_row *row, struct str text, struct err *e)
{
    if (text.n < row->least)
        return wrong(e, "empty");
    if (text.n > row->most)
        return wrong(e, "longer than %llu octets", (unsigned long long)row->most);
    for (size_t i = 0; i < text.n; i++)
        if (ascii_control(text.p[i]))
            return wrong(e, "it holds a control character");
    return row->sound && !str_empty(text) ? row->sound(text, e) : 0;
}

static int parse_text(
    struct arena *a, const struct config_row *row, struct str text, struct str *v, struct err *e)
{
    if (check_text(row, text, e) < 0)
        return -1;
    return arena_dup(a, text, v) ? 0 : err_memory(e, "config");
}

int config_value_parse(struct arena *a, const struct config_row *row, void *field, uint32_t i,
    struct str text, struct err *e)
{
    uint64_t number;

    switch (row->type) {
    case ROW_TEXT:
        return parse_text(a, row, text, field, e);
    case ROW_BOOL:
        return parse_bool(text, field, e);
    case ROW_WORD:
        return parse_word(row, text, field, e);
    case ROW_COUNT:
    case ROW_SIZE:
    case ROW_TIME:
    case ROW_TIMES:
        if (parse_number(row, text, &number, e) < 0 || check_number(row, number, e) < 0)
            return -1;
        *(row->type == ROW_TIMES ? &((struct config_times *)field)->v[i] : (uint64_t *)field) =
            number;
        return 0;
    case ROW_TEXTS:
        return parse_text(a, row, text, &((struct config_strings *)field)->v[i], e);
    case ROW_NETWORKS:
        return net_block_parse(text, &((struct config_blocks *)field)->v[i], e);
    }
    return -1;
}

static size_t element_size(const struct config_row *row)
{
    if (row->type == ROW_TEXTS)
        return sizeof(struct str);
    return row->type == ROW_TIMES ? sizeof(uint64_t) : sizeof(struct net_block);
}

int config_list_make(
    struct arena *a, const struct config_row *row, void *field, uint32_t count, struct err *e)
{
    struct list_field *list = field;

    if (count > LIST_MAX)
        return wrong(e, "more than %d values", LIST_MAX);
    list->count = 0;
    list->v = arena_array(a, count, element_size(row));
    if (!list->v)
        return err_memory(e, "config");
    list->count = count;
    return 0;
}

static int preset_list(struct arena *a, const struct config_row *row, void *field, struct err *e)
{
    struct str rest = str_c(row->preset), word;
    uint32_t count = 0;

    for (struct str left = rest; !str_empty(left); count++)
        str_cut(&left, ' ', &word);
    if (config_list_make(a, row, field, count, e) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        str_cut(&rest, ' ', &word);
        if (config_value_parse(a, row, field, i, word, e) < 0)
            return -1;
    }
    return 0;
}

int config_preset(struct arena *a, const struct config_row *row, void *field, struct err *e)
{
    if (config_row_is_list(row))
        return row->preset ? preset_list(a, row, field, e) : config_list_make(a, row, field, 0, e);
    return row->preset ? config_value_parse(a, row, field, 0, str_c(row->preset), e) : 0;
}

/* ---- to the other processes */

static void encode_block(const struct net_block *block, struct buf *out)
{
    buf_put(out, str_of((const char *)block->octets, sizeof block->octets));
    enc_u8(out, block->bits);
}

static void encode_list(const struct config_row *row, const void *field, struct buf *out)
{
    uint32_t count = ((const struct list_field *)field)->count;

    enc_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        if (row->type == ROW_TEXTS)
            enc_str(out, ((const struct config_strings *)field)->v[i]);
        else if (row->type == ROW_TIMES)
            enc_u64(out, ((const struct config_times *)field)->v[i]);
        else
            encode_block(&((const struct config_blocks *)field)->v[i], out);
    }
}

void config_value_encode(const struct config_row *row, const void *field, struct buf *out)
{
    switch (row->type) {
    case ROW_TEXT:
        enc_str(out, *(const struct str *)field);
        return;
    case ROW_BOOL:
        enc_bool(out, *(const bool *)field);
        return;
    case ROW_WORD:
        enc_u32(out, *(const unsigned *)field);
        return;
    case ROW_COUNT:
    case ROW_SIZE:
    case ROW_TIME:
        enc_u64(out, *(const uint64_t *)field);
        return;
    case ROW_TEXTS:
    case ROW_TIMES:
    case ROW_NETWORKS:
        encode_list(row, field, out);
        return;
    }
}

static int decode_text(
    struct arena *a, const struct config_row *row, struct str *v, struct dec *d, struct err *e)
{
    struct str text = dec_str(d, row->most);

    /* An empty one is what an option without value and preset has. */
    if (str_empty(text) && !(row->flags & ROW_REQUIRED)) {
        *v = STR_NONE;
        return 0;
    }
    return parse_text(a, row, text, v, e);
}

static int decode_word(const struct config_row *row, unsigned *v, struct dec *d, struct err *e)
{
    uint32_t word = dec_u32(d), count = 0;

    while (row->words[count])
        count++;
    if (word >= count)
        return wrong(e, "no such word");
    *v = word;
    return 0;
}

static int decode_block(struct net_block *block, struct dec *d, struct err *e)
{
    for (size_t i = 0; i < sizeof block->octets; i++)
        block->octets[i] = dec_u8(d);
    block->bits = dec_u8(d);
    return block->bits <= 128 ? 0 : wrong(e, "no such network");
}

static int decode_list(
    struct arena *a, const struct config_row *row, void *field, struct dec *d, struct err *e)
{
    size_t least = row->type == ROW_TEXTS ? 4 : row->type == ROW_TIMES ? 8 : 17;
    uint32_t count = dec_count(d, LIST_MAX, least);

    if (config_list_make(a, row, field, count, e) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        int result;
        if (row->type == ROW_TEXTS) {
            struct str *v = &((struct config_strings *)field)->v[i];
            result = parse_text(a, row, dec_str(d, row->most), v, e);
        } else if (row->type == ROW_TIMES) {
            uint64_t *v = &((struct config_times *)field)->v[i];
            *v = dec_u64(d);
            result = check_number(row, *v, e);
        } else {
            result = decode_block(&((struct config_blocks *)field)->v[i], d, e);
        }
        if (result < 0)
            return -1;
    }
    return 0;
}

int config_value_decode(
    struct arena *a, const struct config_row *row, void *field, struct dec *d, struct err *e)
{
    switch (row->type) {
    case ROW_TEXT:
        return decode_text(a, row, field, d, e);
    case ROW_BOOL:
        *(bool *)field = dec_bool(d);
        return 0;
    case ROW_WORD:
        return decode_word(row, field, d, e);
    case ROW_COUNT:
    case ROW_SIZE:
    case ROW_TIME:
        *(uint64_t *)field = dec_u64(d);
        return check_number(row, *(uint64_t *)field, e);
    case ROW_TEXTS:
    case ROW_TIMES:
    case ROW_NETWORKS:
        return decode_list(a, row, field, d, e);
    }
    return -1;
}
