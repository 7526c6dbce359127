/* cmd/options.h: argument vector to struct cmd, by the rows. */
#pragma once

#include "cmd/cmd.h"

enum cmd_parsed {
    CMD_PARSED_RUN,   /* c is filled */
    CMD_PARSED_HELP,  /* help was asked for and printed */
    CMD_PARSED_USAGE, /* wrong; one line was printed to standard error */
};

/* args (room for argc pointers) becomes c->args. */
enum cmd_parsed cmd_parse(struct cmd *c, const char **args, int argc, char **argv);
