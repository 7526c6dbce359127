#include "resolver/servers.h"

#include <arpa/inet.h>

enum {
    NAMESERVERS = 3, /* MAXNS of resolv.h */
};

static bool numeric(struct str address)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t octets[16];

    return str_copy_c(text, sizeof text, address) &&
           (inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1);
}

/* The next word of a line, which becomes what follows it. */
static struct str next_word(struct str *line)
{
    size_t n = 0;
    struct str word;

    *line = str_trim(*line);
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
        n++;
    word = str_head(*line, n);
    *line = str_from(*line, n);
    return word;
}

void servers_of_resolv_conf(struct str text, struct engine_settings *settings)
{
    struct str line, address;

    while (text.n && settings->server_count < NAMESERVERS) {
        str_cut(&text, '\n', &line);
        if (!str_eq(next_word(&line), STR("nameserver")))
            continue;
        address = next_word(&line);
        if (numeric(address))
            settings->servers[settings->server_count++] = address;
    }
}
