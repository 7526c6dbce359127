#include "mail/html_text.h"

#include "base/utf8.h"

#include "mail/chars.h"

enum state {
    TEXT,
    ENTITY,
    TAG_OPEN,
    TAG_NAME,
    TAG_REST,
    ATTR_VALUE,
    DECLARATION, /* "<!" */
    COMMENT,     /* "<!--" */
    CDATA,
    HIDDEN,      /* script, style, title, head */
    HIDDEN_OPEN, /* "<" within */
    HIDDEN_NAME, /* "</" within */
};

void html_text_init(struct html_text *h)
{
    *h = (struct html_text){.state = TEXT};
}

static struct str name_of(const struct html_text *h)
{
    return str_of(h->name, h->count);
}

static bool one_of(struct str name, const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_ascii(name, list[i]))
            return true;
    return false;
}

static bool is_block(struct str name)
{
    static const struct str blocks[] = {STR_INIT("p"), STR_INIT("br"), STR_INIT("div"),
        STR_INIT("tr"), STR_INIT("li"), STR_INIT("ul"), STR_INIT("ol"), STR_INIT("table"),
        STR_INIT("h1"), STR_INIT("h2"), STR_INIT("h3"), STR_INIT("h4"), STR_INIT("h5"),
        STR_INIT("h6"), STR_INIT("hr"), STR_INIT("pre"), STR_INIT("blockquote"), STR_INIT("body"),
        STR_INIT("section"), STR_INIT("article")};
    return one_of(name, blocks, sizeof blocks / sizeof *blocks);
}

static bool is_hidden(struct str name)
{
    static const struct str hidden[] = {
        STR_INIT("script"), STR_INIT("style"), STR_INIT("title"), STR_INIT("template")};
    return one_of(name, hidden, sizeof hidden / sizeof *hidden);
}

static uint32_t named_entity(struct str name)
{
    static const struct {
        struct str name;
        uint32_t point;
    } known[] = {{STR_INIT("amp"), '&'}, {STR_INIT("lt"), '<'}, {STR_INIT("gt"), '>'},
        {STR_INIT("quot"), '"'}, {STR_INIT("apos"), '\''}, {STR_INIT("nbsp"), ' '},
        {STR_INIT("auml"), 0xe4}, {STR_INIT("ouml"), 0xf6}, {STR_INIT("uuml"), 0xfc},
        {STR_INIT("Auml"), 0xc4}, {STR_INIT("Ouml"), 0xd6}, {STR_INIT("Uuml"), 0xdc},
        {STR_INIT("szlig"), 0xdf}, {STR_INIT("eacute"), 0xe9}, {STR_INIT("egrave"), 0xe8},
        {STR_INIT("agrave"), 0xe0}, {STR_INIT("ccedil"), 0xe7}, {STR_INIT("copy"), 0xa9},
        {STR_INIT("reg"), 0xae}, {STR_INIT("euro"), 0x20ac}, {STR_INIT("hellip"), 0x2026},
        {STR_INIT("ndash"), 0x2013}, {STR_INIT("mdash"), 0x2014}, {STR_INIT("lsquo"), 0x2018},
        {STR_INIT("rsquo"), 0x2019}, {STR_INIT("ldquo"), 0x201c}, {STR_INIT("rdquo"), 0x201d},
        {STR_INIT("bull"), 0x2022}, {STR_INIT("middot"), 0xb7}, {STR_INIT("trade"), 0x2122}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(known[i].name, name))
            return known[i].point;
    return 0;
}

static void put_entity(const struct html_text *h, struct buf *out)
{
    struct str name = name_of(h);
    uint64_t point = 0;
    char octets[4];
    if (str_starts_ascii(name, STR("#x")))
        str_to_hex64(str_from(name, 2), 0x10ffff, &point);
    else if (str_starts(name, STR("#")))
        str_to_u64(str_from(name, 1), 0x10ffff, &point);
    else
        point = named_entity(name);
    if (point == 0xa0)
        point = ' ';
    if (point > 0)
        buf_put(out, str_of(octets, utf8_encode((uint32_t)point, octets)));
}

static void add_name(struct html_text *h, char c)
{
    if (h->count < sizeof h->name)
        h->name[h->count++] = c;
}

static void end_tag(struct html_text *h, struct buf *out)
{
    struct str name = name_of(h);
    h->state = TEXT;
    buf_put_c(out, is_block(name) ? '\n' : ' ');
    if (str_eq_ascii(name, STR("blockquote"))) {
        if (!h->closing)
            h->quoted++;
        else if (h->quoted > 0)
            h->quoted--;
    } else if (!h->closing && is_hidden(name)) {
        memcpy(h->hidden, h->name, sizeof h->hidden);
        h->hidden[name.n < sizeof h->hidden ? name.n : sizeof h->hidden - 1] = '\0';
        h->state = HIDDEN;
    }
}

static void text_char(struct html_text *h, char c, struct buf *out)
{
    h->count = 0;
    if (c == '<')
        h->state = TAG_OPEN;
    else if (c == '&')
        h->state = ENTITY;
    else
        buf_put_c(out, c);
}

/* Within "<...": its name, its attributes. */
static void tag_char(struct html_text *h, char c, struct buf *out)
{
    if (h->state == TAG_OPEN) {
        h->count = 0;
        h->closing = c == '/';
        if (c == '!') {
            h->state = DECLARATION;
        } else if (c == '/' || ascii_alpha(c) || c == '?') {
            h->state = TAG_NAME;
            if (c != '/')
                add_name(h, c);
        } else { /* no tag: the text "<" */
            h->state = TEXT;
            buf_put_c(out, '<');
            text_char(h, c, out);
        }
    } else if (c == '>') {
        end_tag(h, out);
    } else if (h->state == TAG_NAME) {
        if (mail_is(c, CHAR_WSP) || c == '/')
            h->state = TAG_REST;
        else
            add_name(h, c);
    } else if (c == '"' || c == '\'') {
        h->state = ATTR_VALUE;
        h->delimiter = c;
    }
}

/* Within "<!...": a comment, CDATA, or something else that ends with ">". */
static void declaration_char(struct html_text *h, char c)
{
    add_name(h, c);
    if (str_eq(name_of(h), STR("--")))
        h->state = COMMENT;
    else if (str_eq(name_of(h), STR("[CDATA[")))
        h->state = CDATA;
    else if (c == '>')
        h->state = TEXT;
    if (h->state != DECLARATION)
        h->count = 0;
}

static void comment_char(struct html_text *h, char c)
{
    if (c == '>' && h->count >= 2)
        h->state = TEXT;
    h->count = c != '-' ? 0 : h->count < 2 ? (uint8_t)(h->count + 1) : 2;
}

/* All of it is text but "]]>". */
static void cdata_char(struct html_text *h, char c, struct buf *out)
{
    if (c == ']' && h->count < 2) {
        h->count++;
    } else if (c == '>' && h->count == 2) {
        h->state = TEXT;
    } else {
        for (; c != ']' && h->count > 0; h->count--)
            buf_put_c(out, ']');
        buf_put_c(out, c);
    }
}

/* Within a hidden element: only its end matters. */
static void hidden_char(struct html_text *h, char c)
{
    if (h->state == HIDDEN) {
        h->state = c == '<' ? HIDDEN_OPEN : HIDDEN;
    } else if (h->state == HIDDEN_OPEN) {
        h->state = c == '/' ? HIDDEN_NAME : c == '<' ? HIDDEN_OPEN : HIDDEN;
        h->count = 0;
    } else if (ascii_alnum(c)) {
        add_name(h, c);
    } else if (str_eq_ascii(name_of(h), str_c(h->hidden))) {
        h->count = 0;
        h->closing = true;
        h->state = c == '>' ? TEXT : TAG_REST;
    } else {
        h->state = c == '<' ? HIDDEN_OPEN : HIDDEN;
    }
}

static void entity_char(struct html_text *h, char c, struct buf *out)
{
    if (c == ';') {
        put_entity(h, out);
        h->state = TEXT;
    } else if (h->count < 10 && (ascii_alnum(c) || (c == '#' && h->count == 0))) {
        add_name(h, c);
    } else { /* an ampersand that was none */
        buf_put_c(out, '&');
        buf_put(out, name_of(h));
        h->state = TEXT;
        text_char(h, c, out);
    }
}

void html_text_feed(struct html_text *h, struct str utf8, struct buf *out, struct buf *quoted)
{
    for (size_t i = 0; i < utf8.n; i++) {
        char c = utf8.p[i];
        struct buf *to = h->quoted > 0 && quoted ? quoted : out;
        switch ((enum state)h->state) {
        case TEXT:
            text_char(h, c, to);
            break;
        case ENTITY:
            entity_char(h, c, to);
            break;
        case TAG_OPEN:
        case TAG_NAME:
        case TAG_REST:
            tag_char(h, c, to);
            break;
        case ATTR_VALUE:
            h->state = c == h->delimiter ? TAG_REST : ATTR_VALUE;
            break;
        case DECLARATION:
            declaration_char(h, c);
            break;
        case COMMENT:
            comment_char(h, c);
            break;
        case CDATA:
            cdata_char(h, c, to);
            break;
        case HIDDEN:
        case HIDDEN_OPEN:
        case HIDDEN_NAME:
            hidden_char(h, c);
            break;
        }
    }
}
