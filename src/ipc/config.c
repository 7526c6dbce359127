#include "base/check.h"
#include "base/mem.h"

#include "ipc/config_int.h"

void config_free(struct config *c)
{
    if (!c)
        return;
    arena_done(&c->arena);
    mem_free(c);
}

/* The members that a section table points at are pointers to different structs: copied, not cast.
 */
void *config_element(const struct config *c, const struct config_section *s, uint32_t i)
{
    char *array;

    memcpy(&array, (const char *)c + s->offset, sizeof array);
    CHECK(i < config_element_count(c, s));
    return array + s->size * i;
}

uint32_t config_element_count(const struct config *c, const struct config_section *s)
{
    uint32_t count;

    memcpy(&count, (const char *)c + s->count_offset, sizeof count);
    return count;
}

bool config_elements_make(struct config *c, const struct config_section *s, uint32_t count)
{
    void *array = arena_array(&c->arena, count, s->size);

    if (!array)
        return false;
    memcpy((char *)c + s->offset, &array, sizeof array);
    memcpy((char *)c + s->count_offset, &count, sizeof count);
    return true;
}

struct config *config_new(void)
{
    struct config *c = MEM_NEW(struct config);

    if (c)
        arena_init(&c->arena, CONFIG_ARENA_MAX);
    return c;
}

static void encode_rows(const struct config_section *s, const void *section, struct buf *out)
{
    for (size_t i = 0; i < s->count; i++)
        config_value_encode(&s->rows[i], (const char *)section + s->rows[i].offset, out);
}

void config_encode(const struct config *c, struct buf *out)
{
    for (size_t i = 0; i < config_section_count; i++) {
        const struct config_section *s = &config_sections[i];
        uint32_t count;
        if (!s->titled) {
            encode_rows(s, (const char *)c + s->offset, out);
            continue;
        }
        count = config_element_count(c, s);
        enc_u32(out, count);
        for (uint32_t n = 0; n < count; n++) {
            const struct str *title = config_element(c, s, n);
            enc_str(out, *title);
            encode_rows(s, title, out);
        }
    }
}

static int decode_rows(
    struct config *c, const struct config_section *s, void *section, struct dec *d, struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct config_row *row = &s->rows[i];
        if (config_value_decode(&c->arena, row, config_field(section, row), d, e) < 0)
            return err_prefix(e, "%s%s%s", s->name ? s->name : "", s->name ? " " : "", row->name);
    }
    return 0;
}

static int decode_titled(
    struct config *c, const struct config_section *s, struct dec *d, struct err *e)
{
    uint32_t count = dec_count(d, s->most, 4);

    if (s->required && count == 0)
        return err_set(e, ERR_BUG, "config", "there is no %s section", s->name);
    if (!config_elements_make(c, s, count))
        return err_memory(e, "config");
    for (uint32_t i = 0; i < count; i++) {
        void *element = config_element(c, s, i);
        struct str title = dec_str(d, CONFIG_TITLE_MAX);
        if (s->sound_title(title, e) < 0)
            return -1;
        if (!arena_dup(&c->arena, title, element))
            return err_memory(e, "config");
        if (decode_rows(c, s, element, d, e) < 0)
            return -1;
    }
    return 0;
}

/* The first report of config_check() becomes the error. */
struct decode_checker {
    struct config_checker k;
    struct err *e;
    bool failed;
};

static void report_to_err(struct config_checker *k, const struct config_section *s, uint32_t i,
    const char *option, const char *text)
{
    struct decode_checker *d = (struct decode_checker *)(void *)k;

    (void)i;
    if (!d->failed)
        err_set(d->e, ERR_BUG, "config", "%s %s: %s", s->name, option, text);
    d->failed = true;
}

static int decode_all(struct config *c, struct dec *d, struct err *e)
{
    struct decode_checker check = {{report_to_err}, e, false};

    for (size_t i = 0; i < config_section_count; i++) {
        const struct config_section *s = &config_sections[i];
        int result = s->titled ? decode_titled(c, s, d, e)
                               : decode_rows(c, s, config_section_at(c, s), d, e);
        if (result < 0)
            return -1;
    }
    if (dec_done(d, "configuration", e) < 0)
        return -1;
    config_check(c, &check.k);
    return check.failed ? -1 : 0;
}

struct config *config_decode(struct str payload, struct err *e)
{
    struct dec d = dec_of(payload);
    struct config *c = config_new();

    if (!c) {
        err_memory(e, "config");
        return NULL;
    }
    if (decode_all(c, &d, e) < 0) {
        config_free(c);
        return NULL;
    }
    return c;
}
