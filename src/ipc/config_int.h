/* ipc/config_int.h: the rows of the configuration and what is made from them; for config*.c only.
 *
 * A section is a table of rows; a row describes one option and where its value lies in the
 * section's struct. Parser, codec and documents walk the tables and know no option by name. What
 * concerns more than one option is config_check.c's.
 */
#pragma once

#include "ipc/codec.h"
#include "ipc/config.h"

enum row_type {
    ROW_TEXT,     /* struct str */
    ROW_BOOL,     /* bool */
    ROW_WORD,     /* an enum: the index into words */
    ROW_COUNT,    /* uint64_t */
    ROW_SIZE,     /* uint64_t, octets */
    ROW_TIME,     /* uint64_t, milliseconds */
    ROW_TEXTS,    /* struct config_strings */
    ROW_TIMES,    /* struct config_times */
    ROW_NETWORKS, /* struct config_blocks */
};

enum {
    ROW_REQUIRED = 1,
    ROW_ZERO = 2, /* 0 is allowed below `least`: no limit */
};

struct config_row {
    const char *name;
    enum row_type type;
    unsigned flags;
    size_t offset;
    const char *preset;       /* the default as one would write it; a list's values are separated by
                                 blanks; NULL: none */
    uint64_t least, most;     /* of numbers, also in a list; of a text its octets */
    const char *const *words; /* of ROW_WORD, ending with NULL */
    int (*sound)(struct str value, struct err *e); /* what else a text must be, or NULL */
    /* Where there is no value and no preset: makes one from the rest; `otherwise` says which. */
    bool (*derive)(struct config *c, void *section);
    const char *otherwise;
    const char *sentence; /* what it is, to people */
    const char *rfc;      /* NULL where there is none */
};

/* A section, or the options outside of any (name NULL). Titled ones may be there many times: an
 * array whose elements begin with their title. */
struct config_section {
    const char *name;
    bool titled;
    bool required;       /* there must be one */
    size_t offset;       /* in struct config, of the struct or of the pointer to the array */
    size_t count_offset; /* of the array's uint32_t */
    size_t size;         /* of an element */
    uint32_t most;
    int (*sound_title)(struct str title, struct err *e);
    const struct config_row *rows;
    size_t count;
    const char *sentence;
    const char *example; /* a titled one's title and options for the sample, one a line */
};

extern const struct config_section config_sections[];
extern const size_t config_section_count;

static inline void *config_section_at(struct config *c, const struct config_section *s)
{
    return (char *)c + s->offset;
}

enum {
    CONFIG_ARENA_MAX = 16 << 20,
    CONFIG_TITLE_MAX = 512,
};

struct config *config_new(void); /* empty; NULL without memory */

/* Element i of a titled section. */
void *config_element(const struct config *c, const struct config_section *s, uint32_t i);
uint32_t config_element_count(const struct config *c, const struct config_section *s);
/* Makes the array of a titled section, zeroed. False without memory. */
bool config_elements_make(struct config *c, const struct config_section *s, uint32_t count);

/* ---- values (config_value.c) */

static inline void *config_field(void *section, const struct config_row *row)
{
    return (char *)section + row->offset;
}

bool config_row_is_list(const struct config_row *row);
/* Parses one text into element i of the field (0 for a single value) and checks it. Lists have
 * been made by config_list_make(). */
int config_value_parse(struct arena *a, const struct config_row *row, void *field, uint32_t i,
    struct str text, struct err *e);
int config_list_make(
    struct arena *a, const struct config_row *row, void *field, uint32_t count, struct err *e);
int config_preset(struct arena *a, const struct config_row *row, void *field, struct err *e);
void config_value_encode(const struct config_row *row, const void *field, struct buf *out);
/* Checks again what it decodes. */
int config_value_decode(
    struct arena *a, const struct config_row *row, void *field, struct dec *d, struct err *e);
void config_limits_put(const struct config_row *row, struct buf *out); /* "1K to 64K" */

/* ---- checks over several options (config_check.c) */

struct config_checker {
    /* `option` in element i of a section is wrong. */
    void (*report)(struct config_checker *k, const struct config_section *s, uint32_t i,
        const char *option, const char *text);
};
void config_check(const struct config *c, struct config_checker *k);

/* ---- the text (config_scan.c) */

/* What libConfuse does not keep or gets wrong: lines, duplicates, what is not closed. `clean` is
 * the file without comments, every word in single quotes, and for a title the number of its
 * section, on the same lines: libConfuse 3.3 would expand ${HOME}, lose count of lines at
 * comments, and merge sections of one title. */
struct scan_section {
    struct str name, title;
    unsigned line;
    uint32_t first, count; /* its options */
};

struct scan_option {
    struct str name;
    uint32_t section;
    unsigned line;
    uint32_t first, count; /* of scan.value_lines */
};

struct config_scan {
    struct arena arena;
    struct buf clean, sections, options,
        value_lines;     /* arrays of the structs above, and of unsigned */
    unsigned fatal_line; /* UINT_MAX: the syntax is sound; the rest was not read */
};

struct config_problem_list {
    struct arena *arena;
    struct config_problems *p;
    bool out_of_memory;
};
void config_problem(struct config_problem_list *list, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void config_scan(struct config_scan *s, struct str text, struct config_problem_list *problems);
void config_scan_done(struct config_scan *s);

static inline const struct scan_section *scan_sections(const struct config_scan *s, uint32_t *count)
{
    *count = (uint32_t)(buf_len(&s->sections) / sizeof(struct scan_section));
    return (const struct scan_section *)(const void *)buf_str(&s->sections).p;
}

static inline const struct scan_option *scan_options(const struct config_scan *s, uint32_t *count)
{
    *count = (uint32_t)(buf_len(&s->options) / sizeof(struct scan_option));
    return (const struct scan_option *)(const void *)buf_str(&s->options).p;
}
