/* bench/sink: takes all mail and keeps none, faster than anything that can send it.
 *
 * With --ledger FILE it writes `GOT id recipient sha256` for each recipient, durable before the
 * 250, and `TOLD id recipient code` after it. The id is the left part of the Message-ID, the digest
 * that of the body as it came over the wire (after DATA with dots still stuffed).
 *
 * --counts FILE is kept up to date while it runs: struct acceptor_counts, to be mapped by who
 * measures. A wildcard address (0.0.0.0) makes it every host of 127.0.0.0/8.
 */
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "acceptor.h"
#include "common.h"

enum {
    ID_MAX = 128,
};

static struct sink {
    struct session *waiting; /* complete in this turn */
    struct ledger ledger;
    bool keep_ledger;
} sink;

static void message(struct session *s)
{
    s->next = sink.waiting;
    sink.waiting = s;
}

static struct str message_id(struct str content)
{
    static const char name[] = "\r\nMessage-ID: <";
    ptrdiff_t at = str_find_str(str_head(content, 8192), str_c(name));
    struct str rest, id;

    if (at < 0)
        return STR("none");
    rest = str_from(content, (size_t)at + sizeof name - 1);
    return str_cut(&rest, '@', &id) && id.n <= ID_MAX ? id : STR("none");
}

static void digest_hex(struct str content, char hex[65])
{
    ptrdiff_t empty_line = str_find_str(content, STR("\r\n\r\n"));
    struct str body = str_from(content, empty_line < 0 ? 0 : (size_t)empty_line + 4);
    unsigned char digest[32];

    if (EVP_Digest(body.p, body.n, digest, NULL, EVP_sha256(), NULL) != 1)
        die("cannot digest");
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void write_got(struct session *s)
{
    struct str id = message_id(s->content);
    char hex[65];

    digest_hex(s->content, hex);
    for (size_t i = 0; i < s->recipient_count; i++)
        ledger_add(&sink.ledger, "GOT %.*s %.*s %s\n", STR_ARG(id), STR_ARG(s->recipients[i]), hex);
}

static void write_told(struct session *s)
{
    struct str id = message_id(s->content);

    for (size_t i = 0; i < s->recipient_count; i++)
        ledger_add(&sink.ledger, "TOLD %.*s %.*s 250\n", STR_ARG(id), STR_ARG(s->recipients[i]));
}

static void answer_batch(struct session *batch)
{
    struct session *next;

    if (sink.keep_ledger) {
        for (struct session *s = batch; s; s = s->next)
            write_got(s);
        ledger_sync(&sink.ledger);
    }
    for (struct session *s = batch; s; s = next) {
        next = s->next;
        if (sink.keep_ledger)
            write_told(s); /* reaches the file after the reply */
        acceptor_reply(s, STR("250 2.0.0 gone\r\n"));
    }
    if (sink.keep_ledger)
        ledger_sync(&sink.ledger);
}

static void turn(struct acceptor *a)
{
    (void)a;
    while (sink.waiting) { /* a reply may let the next message of a session through */
        struct session *batch = sink.waiting;

        sink.waiting = NULL;
        answer_batch(batch);
    }
}

static struct acceptor_counts *counts_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    void *map = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof(struct acceptor_counts)) == 0)
        map = mmap(NULL, sizeof(struct acceptor_counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die("%s: %m", path);
    close(fd);
    return map;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
        {"ledger", required_argument, NULL, 'g'}, {"counts", required_argument, NULL, 'c'},
        {"no-chunking", no_argument, NULL, 'n'}, {0}};
    struct acceptor a = {.message = message, .turn = turn, .wake_fd = -1, .chunking = true};
    const char *listen = "127.0.0.1:2525";

    a.content_max = 64 << 20;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'l') {
            listen = optarg;
        } else if (c == 'g') {
            ledger_open(&sink.ledger, optarg);
            sink.keep_ledger = a.keep_recipients = true;
        } else if (c == 'c') {
            a.counts = counts_map(optarg);
        } else if (c == 'n') {
            a.chunking = false;
        } else {
            return 2;
        }
    }
    acceptor_run(&a, listen);
    return 0;
}
