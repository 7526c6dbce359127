#include "mail/testdata.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    FILE_MAX = 64 << 20,
    DEPTH_MAX = 6
};

bool testdata_path(const char *name, char *path, size_t size)
{
    const char *root = getenv("VEREDUS_CONFORMANCE");
    struct stat st;
    if (root)
        snprintf(path, size, "%s/%s", root, name);
    else
        snprintf(path, size, "%s/../shared/conformance/%s", VEREDUS_SOURCE_ROOT, name);
    if (stat(path, &st) == 0)
        return true;
    printf("conformance %s: skipped, not there\n", name);
    return false;
}

bool testdata_read(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    buf_init(out, FILE_MAX);
    char *p;
    size_t n;
    while ((p = buf_reserve(out, 65536)) && (n = fread(p, 1, 65536, f)) > 0)
        buf_advance(out, n);
    fclose(f);
    return buf_ok(out);
}

json_t *testdata_cases(const char *name)
{
    char path[1024];
    if (!testdata_path(name, path, sizeof path))
        return NULL;
    json_error_t error;
    json_t *all = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!all) {
        printf("conformance %s: %s\n", name, error.text);
        return NULL;
    }
    if (json_is_array(all))
        return all;
    json_t *cases = json_incref(json_object_get(all, "cases"));
    json_decref(all);
    return cases;
}

static void put_base64(const char *text, struct buf *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int have = 0;
    for (; *text && *text != '='; text++) {
        const char *at = strchr(alphabet, *text);
        if (!at)
            continue;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_put_c(out, (char)(bits >> have & 0xff));
        }
    }
}

bool testdata_string(const json_t *value, struct buf *out)
{
    buf_init(out, FILE_MAX);
    if (json_is_null(value))
        return true;
    if (json_is_string(value))
        return buf_put(out, str_of(json_string_value(value), json_string_length(value))) == 0;
    const char *base64 = json_string_value(json_object_get(value, "base64"));
    if (!base64)
        return false;
    put_base64(base64, out);
    return buf_ok(out);
}

static void visit_file(const char *path, const char *suffix,
    void (*visit)(const char *path, struct str content, void *arg), void *arg)
{
    struct buf content = {0};
    if (!str_ends(str_c(path), str_c(suffix)))
        return;
    if (testdata_read(path, &content))
        visit(path, buf_str(&content), arg);
    buf_done(&content);
}

static void visit_folder(const char *folder, const char *suffix, int depth,
    void (*visit)(const char *path, struct str content, void *arg), void *arg)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
                visit_folder(path, suffix, depth + 1, visit, arg);
            else if (S_ISREG(st.st_mode))
                visit_file(path, suffix, visit, arg);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

void testdata_each(const char *folder, const char *suffix,
    void (*visit)(const char *path, struct str content, void *arg), void *arg)
{
    char path[1024];
    if (testdata_path(folder, path, sizeof path))
        visit_folder(path, suffix, 0, visit, arg);
}

bool testdata_crlf(struct str in, struct buf *out)
{
    buf_init(out, 2 * (size_t)FILE_MAX);
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r'))
            buf_put_c(out, '\r');
        buf_put_c(out, in.p[i]);
    }
    return buf_ok(out);
}

bool testdata_is(const json_t *value, struct str got)
{
    struct buf wanted;
    bool same = testdata_string(value, &wanted) && str_eq(buf_str(&wanted), got);
    buf_done(&wanted);
    return same;
}

bool testdata_table(
    const char *name, bool (*agrees)(const json_t *row, struct buf *got), unsigned least_percent)
{
    json_t *cases = testdata_cases(name), *row;
    size_t i;
    unsigned agree = 0, of = 0;
    json_array_foreach(cases, i, row)
    {
        struct buf got;
        buf_init(&got, FILE_MAX);
        bool ok = agrees(row, &got);
        agree += ok;
        of++;
        if (!ok) {
            char *text = json_dumps(row, JSON_COMPACT | JSON_ENCODE_ANY);
            printf("  differs: %.400s\n      got: %.*s\n", text, STR_ARG(buf_str(&got)));
            free(text);
        }
        buf_done(&got);
    }
    json_decref(cases);
    if (of > 0)
        testdata_report(name, agree, of);
    return agree * 100 >= of * least_percent;
}

void testdata_report(const char *name, unsigned agree, unsigned of)
{
    printf("conformance %s: %u of %u agree\n", name, agree, of);
}

/* ---- transcripts */

static int hex_digit(char c)
{
    return ascii_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10;
}

static void put_escape(struct str *s, struct buf *out)
{
    char c = s->p[1];
    size_t n = 2;

    if (c == 'r')
        c = '\r';
    else if (c == 'n')
        c = '\n';
    else if (c == 't')
        c = '\t';
    else if (c == '0')
        c = '\0';
    else if (c == 'x' && s->n >= 4) {
        c = (char)(hex_digit(s->p[2]) << 4 | hex_digit(s->p[3]));
        n = 4;
    }
    buf_put_c(out, c);
    *s = str_from(*s, n);
}

static bool put_repeated(struct str *s, struct buf *out)
{
    ptrdiff_t star = str_find_str(*s, STR("*\"")), end = str_find_str(*s, STR("\"}"));
    struct buf once;
    uint64_t count;

    if (star < 0 || end < star || !str_to_u64(str_sub(*s, 1, (size_t)star - 1), 1 << 26, &count))
        return false;
    buf_init(&once, 65536);
    testdata_unescape(str_sub(*s, (size_t)star + 2, (size_t)(end - star - 2)), &once);
    while (count--)
        buf_put(out, buf_str(&once));
    buf_done(&once);
    *s = str_from(*s, (size_t)end + 2);
    return true;
}

void testdata_unescape(struct str s, struct buf *out)
{
    while (!str_empty(s)) {
        if (s.p[0] == '\\' && s.n > 1) {
            put_escape(&s, out);
        } else if (s.p[0] != '{' || !put_repeated(&s, out)) {
            buf_put_c(out, s.p[0]);
            s = str_from(s, 1);
        }
    }
}
