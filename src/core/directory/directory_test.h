/* core/directory/directory_test.h: what the tests of this folder share: a directory that is thrown
 * away, and short names for what changes it. */
#pragma once

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/table.h"

#include "run/run_test.h"

#include "core/directory/directory.h"

static char dir_path[64], db_path[96];

static const uint8_t literals[][16] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1},
};

static inline struct directory_settings settings(void)
{
    return (struct directory_settings){
        .sys = &sys_real,
        .path = db_path,
        .origin = STR("example.test"),
        .literals = literals,
        .literal_count = 1,
    };
}

static inline struct directory *open_it(const struct directory_settings *s)
{
    struct directory *d = NULL;
    struct err e = {0};

    if (directory_open(&d, s, &e) < 0)
        fail_msg("%s", e.text);
    return d;
}

static inline void must(int status, const struct err *e)
{
    if (status < 0)
        fail_msg("%s", e->text);
}

static inline void add_domain(struct directory *d, const char *name)
{
    struct directory_domain_new new = {.name = str_c(name)};
    struct err e = {0};

    must(directory_domain_add(d, &new, &e), &e);
}

static inline uint64_t add_account(struct directory *d, const char *address)
{
    uint64_t id = 0;
    struct err e = {0};

    must(directory_account_add(d, str_c(address), STR(""), 0, &id, &e), &e);
    return id;
}

static inline void add_alias(struct directory *d, const char *address, const char *target)
{
    struct str t = str_c(target);
    struct err e = {0};

    must(directory_alias_add(d, str_c(address), &t, 1, &e), &e);
}

static inline void refused(int status, const struct err *e, const char *text)
{
    if (status == 0 || !strstr(e->text, text))
        fail_msg("wanted '%s', got %d '%s'", text, status, e->text);
}

static inline int setup(void **state)
{
    static const uint8_t key[16] = {1, 2, 3};

    (void)state;
    table_seed(key);
    (void)snprintf(dir_path, sizeof dir_path, "/tmp/veredus-directory-XXXXXX");
    if (!mkdtemp(dir_path))
        return -1;
    (void)snprintf(db_path, sizeof db_path, "%s/control.db", dir_path);
    return 0;
}

static inline int teardown(void **state)
{
    static const char *const names[] = {"", "-wal", "-shm"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s%s", db_path, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir_path);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
