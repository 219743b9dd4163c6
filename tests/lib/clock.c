/* Preloaded into a program, puts its clock ahead by CLOCK_AHEAD_S seconds, as
 * on a machine whose clock nobody sets. Time that only passes is left alone. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *out);

int clock_gettime(clockid_t id, struct timespec *out)
{
    long rc = syscall(SYS_clock_gettime, id, out);
    const char *ahead = getenv("CLOCK_AHEAD_S");
    if (rc == 0 && id == CLOCK_REALTIME && ahead)
        out->tv_sec += strtol(ahead, NULL, 10);
    return (int)rc;
}
