#include "cmd/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/unit_test.h"

enum {
    WORDS = 12
};

static const struct row {
    const char *argv[WORDS];
    enum cmd_parsed result;
    const char *words; /* of the row found */
    unsigned count;
    const char *option, *value;
    const char *config;
    bool json;
} rows[] = {
    {{"veredus", "serve"}, CMD_PARSED_RUN, "serve", 0, NULL, NULL, "/env", false},
    {{"veredus", "-c", "f", "serve"}, CMD_PARSED_RUN, "serve", 0, NULL, NULL, "f", false},
    {{"veredus", "serve", "-c", "f"}, CMD_PARSED_RUN, "serve", 0, NULL, NULL, "f", false},
    {{"veredus", "account", "add", "a@b", "--password", "x"}, CMD_PARSED_RUN, "account add", 1,
        "password", "x", "/env", false},
    {{"veredus", "account", "--json", "add", "--password=x", "a@b"}, CMD_PARSED_RUN, "account add",
        1, "password", "x", "/env", true},
    {{"veredus", "account", "add", "--", "--password"}, CMD_PARSED_RUN, "account add", 1,
        "password", NULL, "/env", false},
    {{"veredus", "mail", "show", "a@b", "--raw", "INBOX", "7"}, CMD_PARSED_RUN, "mail show", 3,
        "raw", "", "/env", false},
    {{"veredus", "account", "--password", "x", "add", "a@b"}, CMD_PARSED_RUN, "account add", 1,
        "password", "x", "/env", false},
    {{"veredus", "--password", "x", "account", "add", "a@b"}, CMD_PARSED_RUN, "account add", 1,
        "password", "x", "/env", false},
    {{"veredus", "account", "add", "a@b", "--password"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "account", "add"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "account", "add", "a", "b"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "account", "fly"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "account"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "fly"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "serve", "--fly"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "mail", "show", "a@b", "--raw=1"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "-c"}, .result = CMD_PARSED_USAGE},
    {{"veredus"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "--password", "x", "fly"}, .result = CMD_PARSED_USAGE},
    {{"veredus", "--help"}, .result = CMD_PARSED_HELP},
    {{"veredus", "--version"}, .result = CMD_PARSED_HELP},
    {{"veredus", "account", "--help"}, .result = CMD_PARSED_HELP},
    {{"veredus", "account", "add", "--help"}, .result = CMD_PARSED_HELP},
};

static void test_rows(void **state)
{
    (void)state;
    setenv("VEREDUS_CONFIG", "/env", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        char *argv[WORDS];
        const char *args[WORDS];
        int argc = 0;
        struct cmd c;
        for (; argc < WORDS && r->argv[argc]; argc++)
            argv[argc] = (char *)(uintptr_t)r->argv[argc];
        if (cmd_parse(&c, args, argc, argv) != r->result)
            fail_msg("row %zu: result", i);
        if (r->result != CMD_PARSED_RUN)
            continue;
        assert_string_equal(c.row->words, r->words);
        assert_int_equal(c.count, r->count);
        assert_string_equal(c.config_path, r->config);
        assert_int_equal(c.json, r->json);
        if (r->option && !r->value)
            assert_null(cmd_value(&c, r->option));
        else if (r->option)
            assert_string_equal(cmd_value(&c, r->option), r->value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
