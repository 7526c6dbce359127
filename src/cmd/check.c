#include <stdio.h>

#include "base/buf.h"

#include "ipc/config.h"

#include "cmd/cmd.h"
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

int cmd_check(struct cmd *c)
{
    struct config *config;

    if (cmd_has(c, "sample"))
        return print_generated(config_sample);
    if (cmd_has(c, "manual"))
        return print_generated(config_manual);
    config = cmd_config(c);
    if (!config)
        return EXIT_FAILED;
    config_free(config);
    if (!c->json)
        printf("%s: no problems\n", c->config_path);
    else
        puts("[]");
    return EXIT_DONE;
}

int cmd_serve(struct cmd *c)
{
    return master_serve(c->config_path) == 0 ? EXIT_DONE : EXIT_FAILED;
}
