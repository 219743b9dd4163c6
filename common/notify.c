#include "common/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/str.h"

/* A path, or a name in the abstract namespace, which begins with '@'. */
static socklen_t address(struct sockaddr_un *a)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name ? strlen(name) : 0;
    if (len < 2 || len >= sizeof(a->sun_path) ||
        (name[0] != '/' && name[0] != '@'))
        return 0;
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(a->sun_path, name, len);
    if (name[0] == '@')
        a->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void notify(const char *lines)
{
    struct sockaddr_un to;
    socklen_t len = address(&to);
    if (len == 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, lines, strlen(lines), MSG_NOSIGNAL,
                 (const struct sockaddr *)&to, len);
    close(fd);
}

void notify_reloading(void)
{
    char lines[64];
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 +
                       (uint64_t)now.tv_nsec / 1000);
    notify(lines);
}

/* For this process, unless it says that it is for another one. */
uint64_t notify_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t us, of;
    if (!usec || !str_to_u64(str_of(usec), UINT64_MAX, &us))
        return 0;
    if (pid &&
        (!str_to_u64(str_of(pid), UINT64_MAX, &of) || of != (uint64_t)getpid()))
        return 0;
    return us / 2000;
}
