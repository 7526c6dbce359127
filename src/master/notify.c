#include "master/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

/* A process has one service manager. */
static int manager = -1;

void notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;

    if (n < 2 || n >= sizeof a.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(a.sun_path, path, n);
    if (a.sun_path[0] == '@')
        a.sun_path[0] = '\0'; /* the abstract namespace */
    unsetenv("NOTIFY_SOCKET");
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager >= 0 && connect(manager, (struct sockaddr *)&a,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
        close(manager);
        manager = -1;
    }
}

static void tell(const char *text)
{
    if (manager >= 0)
        (void)!send(manager, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void notify_ready(void)
{
    tell("READY=1");
}

void notify_reloading(void)
{
    char text[80];
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
        (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(text);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}
