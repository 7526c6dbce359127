#include <stdio.h>

#include "base/buf.h"

#include "ipc/config.h"

#include "cmd/cmd.h"
#include "cmd/print.h"
#include "master/config_file.h"
#include "master/master.h"

enum {
    TEXT_MAX = 1 << 20
};

static int print_generated(void (*make)(struct buf *out))
{
    struct buf text;
    int status = EXIT_DONE;

    buf_init(&text, TEXT_MAX);
    make(&text);
    if (!buf_ok(&text))
        status = cmd_fail("out of memory");
    else
        fwrite(buf_str(&text).p, 1, buf_len(&text), stdout);
    buf_done(&text);
    return status;
}

/* An array of lines; empty where all is well. */
static void print_problems(struct str rest)
{
    json_t *list = json_array();
    struct str line;

    while (rest.n) {
        str_cut(&rest, '\n', &line);
        json_array_append_new(list, json_stringn(line.p, line.n));
    }
    print_json(list);
    json_decref(list);
}

static int check_json(const struct cmd *c)
{
    struct config *config;
    struct buf problems;
    int status;

    buf_init(&problems, TEXT_MAX);
    config = config_file_read(c->config_path, &problems);
    print_problems(config ? STR_NONE : buf_str(&problems));
    status = config ? EXIT_DONE : EXIT_FAILED;
    config_free(config);
    buf_done(&problems);
    return status;
}

int cmd_check(struct cmd *c)
{
    struct config *config;

    if (cmd_has(c, "sample"))
        return print_generated(config_sample);
    if (cmd_has(c, "manual"))
        return print_generated(config_manual);
    if (c->json)
        return check_json(c);
    config = cmd_config(c);
    if (!config)
        return EXIT_FAILED;
    config_free(config);
    printf("%s: no problems\n", c->config_path);
    return EXIT_DONE;
}

int cmd_serve(struct cmd *c)
{
    return master_serve(c->config_path) == 0 ? EXIT_DONE : EXIT_FAILED;
}
