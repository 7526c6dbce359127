#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/table.h"

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "master/master.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Descriptors 0 to 2 are what everybody takes them for: where one is closed, the next socket or
 * database would get its number, and what is printed would go there. Using them stays an error. */
static int open_standard(void)
{
    static const int wrong_way[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", wrong_way[fd]) != fd)
            return -1;
    return 0;
}

/* The names under which sendmail(8) is known; `veredus send` is the same. */
static bool is_sendmail(int *argc, char ***argv)
{
    static char send[] = "send";
    const char *name = base_name((*argv)[0]);
    char **v = *argv;

    if (strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0)
        return true;
    if (*argc > 3 && strcmp(v[1], "-c") == 0 && strcmp(v[3], "send") == 0) {
        v[3] = v[2]; /* -c FILE send: its own option, behind its name */
        v[2] = v[1];
        v[1] = send;
    }
    if (*argc > 1 && strcmp(v[1], "send") == 0) {
        (*argc)--;
        (*argv)++;
        return true;
    }
    return false;
}

static int run_command(int argc, char **argv)
{
    const char **args = mem_array((size_t)argc + 1, sizeof *args);
    struct cmd c;
    int status = EXIT_USAGE;

    if (!args)
        return cmd_fail("out of memory");
    switch (cmd_parse(&c, args, argc, argv)) {
    case CMD_PARSED_RUN:
        status = c.row->run(&c);
        break;
    case CMD_PARSED_HELP:
        status = EXIT_DONE;
        break;
    case CMD_PARSED_USAGE:
        status = EXIT_USAGE;
        break;
    }
    mem_free(args);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_DONE)
        status = cmd_fail("standard output: cannot write");
    return status;
}

int main(int argc, char **argv)
{
    uint8_t key[16];

    if (argc < 1)
        return EXIT_USAGE;
    if (open_standard() < 0)
        return EXIT_FAILED;
    signal(SIGPIPE, SIG_IGN);
    json_set_alloc_funcs(mem_alloc, mem_free);
    rng_bytes(key, sizeof key);
    table_seed(key);
    if (master_is_role(argv[0]))
        return master_role_main(argc, argv);
    if (is_sendmail(&argc, &argv))
        return cmd_send(argc, argv);
    return run_command(argc, argv);
}
