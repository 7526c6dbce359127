#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

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

/* A new file only: an existing configuration is never touched. */
static int write_config(
    const char *path, const char *hostname, const char *data, const char *domain, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    struct buf text;
    int status = 0;

    if (fd < 0 && errno == EEXIST)
        return err_set(e, ERR_PERMANENT, "cmd",
            "%s: is there already; setup only writes a first configuration", path);
    if (fd < 0)
        return err_os(e, errno, "cmd", "%s: cannot create", path);
    buf_init(&text, 65536);
    buf_printf(&text, template, hostname, data, domain);
    if (!buf_ok(&text))
        status = err_memory(e, "cmd");
    else if (write(fd, buf_str(&text).p, buf_len(&text)) != (ssize_t)buf_len(&text) ||
             fsync(fd) < 0)
        status = err_os(e, errno, "cmd", "%s: cannot write", path);
    buf_done(&text);
    close(fd);
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

struct first {
    struct buf password;
    bool generated;
    char address[PATH_SIZE];
};

static int fill(struct cmd *c, struct client *client, void *arg)
{
    struct first *first = arg;
    json_t *request = request_new("domain.add"), *result;
    struct str password = buf_str(&first->password);
    struct err e;

    request_str(request, "domain", c->args[0]);
    result = client_ask(client, request, &e);
    if (!result)
        return cmd_fail_err(&e);
    json_decref(result);
    request = request_new("account.add");
    request_str(request, "address", first->address);
    json_object_set_new(request, "password", json_stringn(password.p, password.n));
    result = client_ask(client, request, &e);
    if (!result)
        return cmd_fail_err(&e);
    json_decref(result);
    return EXIT_DONE;
}

static void tell(struct cmd *c, const char *hostname, const struct first *first)
{
    printf("configuration  %s\naccount        %s\n", c->config_path, first->address);
    if (first->generated)
        printf("password       %.*s\n", STR_ARG(buf_str(&first->password)));
    printf("\npublish these DNS records:\n\n");
    records_print(str_c(c->args[0]), str_c(hostname), false);
    printf("\nthen start the server: veredus serve -c %s\n", c->config_path);
}

int cmd_setup(struct cmd *c)
{
    const char *hostname = cmd_value(c, "hostname"), *data = cmd_value(c, "data");
    const char *account = cmd_value(c, "account");
    char default_name[PATH_SIZE];
    struct first first = {0};
    struct err e;
    int status = EXIT_FAILED;

    snprintf(default_name, sizeof default_name, "mail.%s", c->args[0]);
    hostname = hostname ? hostname : default_name;
    data = data ? data : DEFAULT_DATA;
    snprintf(
        first.address, sizeof first.address, "%s@%s", account ? account : "postmaster", c->args[0]);
    buf_init(&first.password, 2048);
    if (password_take(c, &first.password, &first.generated, &e) < 0 ||
        make_parents(c->config_path, &e) < 0 || make_data(data, &e) < 0 ||
        write_config(c->config_path, hostname, data, c->args[0], &e) < 0)
        cmd_fail_err(&e);
    else
        status = client_run(c, CLIENT_ANY, fill, &first);
    if (status == EXIT_DONE)
        tell(c, hostname, &first);
    buf_done(&first.password);
    return status;
}
