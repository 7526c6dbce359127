#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#include "mail/address.h"

#include "ipc/config.h"

#include "cmd/password.h"
#include "cmd/records.h"
#include "cmd/request.h"

enum {
    PATH_SIZE = 1024
};

#define DEFAULT_DATA "/var/lib/veredus"
#define SERVICE_USER "veredus"

static const char template[] =
    "# veredus.conf(5) and `veredus check --sample` explain every option.\n"
    "hostname = \"%s\"\n"
    "data     = \"%s\"\n"
    "origin   = \"%s\"\n"
    "\n"
    "listen \"mx\" { protocol = smtp  address = {\"0.0.0.0:25\", \"[::]:25\"} }\n"
    "\n"
    "relay { allow = {\"127.0.0.0/8\", \"::1\"} }\n";

/* What is going to be made. Everything is looked at before anything is written. */
struct first {
    char domain[PATH_SIZE], hostname[PATH_SIZE], address[PATH_SIZE];
    const char *data;
    struct buf config, password;
    bool generated;
};

/* The name as the DNS has it. */
static int take_name(const char *name, char out[PATH_SIZE], struct err *e)
{
    enum domain_kind kind;
    struct buf canonical;
    int status;

    buf_init(&canonical, PATH_SIZE - 1);
    status = domain_parse(str_c(name), &kind, e);
    if (status == 0 && kind != DOMAIN_NAME)
        status = err_set(e, ERR_PERMANENT, "cmd", "an address is not a name");
    if (status == 0)
        status = domain_canonical(str_c(name), &canonical, e);
    if (status == 0)
        str_copy_c(out, PATH_SIZE, buf_str(&canonical));
    buf_done(&canonical);
    return status < 0 ? err_prefix(e, "\"%s\"", name) : 0;
}

static int take_address(const char *local, struct first *first, struct err *e)
{
    struct mailbox mailbox;

    snprintf(first->address, sizeof first->address, "%.512s@%.400s", local, first->domain);
    if (mailbox_parse(str_c(first->address), &mailbox, e) < 0)
        return err_prefix(e, "\"%s\"", first->address);
    return 0;
}

/* What would end a string, or begin something else in it. */
static int check_path(const char *path, struct err *e)
{
    if (*path != '/')
        return err_set(e, ERR_PERMANENT, "cmd", "%s: not an absolute path", path);
    for (const char *p = path; *p; p++)
        if (ascii_control(*p) || *p == '"' || *p == '\\')
            return err_set(
                e, ERR_PERMANENT, "cmd", "%s: a path without quotes and backslashes", path);
    return 0;
}

/* The server will read it: so do we, before it is written. */
static int make_config(struct first *first, struct err *e)
{
    struct config_problems problems = {0};
    struct config *config;
    struct arena arena;
    int status = 0;

    arena_init(&arena, 1 << 20);
    buf_printf(&first->config, template, first->hostname, first->data, first->domain);
    if (!buf_ok(&first->config))
        status = err_memory(e, "cmd");
    else if (!(config = config_parse(buf_str(&first->config), &arena, &problems)))
        status = err_set(e, ERR_PERMANENT, "cmd", "%.*s",
            STR_ARG(problems.count ? problems.v[0].text : STR("out of memory")));
    else
        config_free(config);
    arena_done(&arena);
    return status;
}

static int prepare(const struct cmd *c, struct first *first, struct err *e)
{
    const char *hostname = cmd_value(c, "hostname"), *account = cmd_value(c, "account");
    char name[PATH_SIZE];

    first->data = cmd_value(c, "data") ? cmd_value(c, "data") : DEFAULT_DATA;
    if (take_name(c->args[0], first->domain, e) < 0)
        return -1;
    snprintf(name, sizeof name, "mail.%.512s", first->domain);
    if (take_name(hostname ? hostname : name, first->hostname, e) < 0 ||
        take_address(account ? account : "postmaster", first, e) < 0 ||
        check_path(first->data, e) < 0 || make_config(first, e) < 0)
        return -1;
    if (access(c->config_path, F_OK) == 0)
        return err_set(e, ERR_PERMANENT, "cmd",
            "%s: is there already; setup only writes a first configuration", c->config_path);
    return password_take(c, &first->password, &first->generated, e);
}

/* A new file only: an existing configuration is never touched. */
static int write_config(const char *path, struct str text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int status = 0;

    if (fd < 0)
        return err_os(e, errno, "cmd", "%s: cannot create", path);
    if (write(fd, text.p, text.n) != (ssize_t)text.n || fsync(fd) < 0)
        status = err_os(e, errno, "cmd", "%s: cannot write", path);
    close(fd);
    if (status < 0)
        unlink(path);
    return status;
}

/* Every missing directory above the last component of path. */
static int make_parents(const char *path, struct err *e)
{
    char part[PATH_SIZE];

    if (!str_copy_c(part, sizeof part, str_c(path)))
        return err_set(e, ERR_PERMANENT, "cmd", "%s: too long", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return err_os(e, errno, "cmd", "%s: cannot create", part);
        *slash = '/';
    }
    return 0;
}

/* As root the data directory is given to the service's user where there is one. */
static int make_data(const char *data, struct err *e)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(SERVICE_USER) : NULL;

    if (make_parents(data, e) < 0)
        return -1;
    if (mkdir(data, 0700) < 0 && errno != EEXIST)
        return err_os(e, errno, "cmd", "%s: cannot create", data);
    if (user && chown(data, user->pw_uid, user->pw_gid) < 0)
        return err_os(e, errno, "cmd", "%s: cannot give it to " SERVICE_USER, data);
    return 0;
}

/* What an earlier attempt that failed has left is as good. */
static int add_domain(struct client *client, const char *domain, struct err *e)
{
    json_t *request = request_new("domain.show"), *result;

    request_str(request, "domain", domain);
    result = client_ask(client, request, NULL);
    if (!result) {
        request = request_new("domain.add");
        request_str(request, "domain", domain);
        result = client_ask(client, request, e);
    }
    json_decref(result);
    return result ? 0 : -1;
}

static int fill(struct cmd *c, struct client *client, void *arg)
{
    struct first *first = arg;
    struct str password = buf_str(&first->password);
    json_t *request, *result;
    struct err e;

    (void)c;
    if (add_domain(client, first->domain, &e) < 0)
        return cmd_fail_err(&e);
    request = request_new("account.add");
    request_str(request, "address", first->address);
    json_object_set_new(request, "password", json_stringn_nocheck(password.p, password.n));
    result = client_ask(client, request, &e);
    if (!result)
        return cmd_fail_err(&e);
    json_decref(result);
    return EXIT_DONE;
}

/* In a process of its own: it becomes the owner of the data directory, and could then not take the
 * configuration away again where something fails. */
static int fill_as_owner(struct cmd *c, struct first *first)
{
    int ended = 0;
    pid_t pid = fork();

    if (pid < 0)
        return cmd_fail("fork: no process");
    if (pid == 0)
        _exit(client_run(c, CLIENT_ANY, fill, first));
    while (waitpid(pid, &ended, 0) < 0)
        if (errno != EINTR)
            return EXIT_FAILED;
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : EXIT_FAILED;
}

static void tell(const struct cmd *c, const struct first *first)
{
    printf("configuration  %s\naccount        %s\n", c->config_path, first->address);
    if (first->generated)
        printf("password       %.*s\n", STR_ARG(buf_str(&first->password)));
    printf("\npublish these DNS records:\n\n");
    records_print(str_c(first->domain), str_c(first->hostname), false);
    printf("\nthen start the server: veredus serve -c %s\n", c->config_path);
}

int cmd_setup(struct cmd *c)
{
    struct first *first = MEM_NEW(struct first);
    struct err e;
    int status = EXIT_FAILED;

    if (!first)
        return cmd_fail("out of memory");
    buf_init(&first->password, 2048);
    buf_init(&first->config, 65536);
    if (prepare(c, first, &e) < 0 || make_parents(c->config_path, &e) < 0 ||
        make_data(first->data, &e) < 0 ||
        write_config(c->config_path, buf_str(&first->config), &e) < 0) {
        cmd_fail_err(&e);
    } else {
        status = fill_as_owner(c, first);
        if (status == EXIT_DONE)
            tell(c, first);
        else
            unlink(c->config_path);
    }
    if (first->password.p)
        explicit_bzero(first->password.p, first->password.cap);
    buf_done(&first->password);
    buf_done(&first->config);
    mem_free(first);
    return status;
}
