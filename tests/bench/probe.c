#include "tests/bench/probe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000000000, LINE_MAX_BYTES = 1024, STAT_UTIME = 14 };

static uint64_t to_ns(struct timespec t)
{
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t probe_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return to_ns(t);
}

/* User and system time: fields 14 and 15 of stat. The name in parentheses may
 * hold anything, so counting begins behind it, at field 3. */
static bool read_parts(pid_t pid, struct probe_cpu *out)
{
    char path[64], line[LINE_MAX_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    const char *got = fgets(line, sizeof(line), f);
    fclose(f);
    const char *p = got ? strrchr(line, ')') : NULL;
    if (!p)
        return false;
    for (int field = 2; p && field < STAT_UTIME; field++)
        p = strchr(p + 1, ' ');
    unsigned long user, system;
    if (!p || sscanf(p, "%lu %lu", &user, &system) != 2)
        return false;
    uint64_t tick = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    out->user_ns = user * tick;
    out->system_ns = system * tick;
    return true;
}

bool probe_cpu(pid_t pid, struct probe_cpu *out)
{
    clockid_t clock;
    struct timespec t;
    /* The process's CPU clock: schedstat knows the first thread only. */
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return false;
    out->total_ns = to_ns(t);
    return read_parts(pid, out);
}

bool probe_memory(pid_t pid, struct probe_memory *out)
{
    char path[64], line[LINE_MAX_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    *out = (struct probe_memory){0};
    while (fgets(line, sizeof(line), f)) {
        unsigned long kb;
        if (sscanf(line, "Private_Dirty: %lu", &kb) == 1) {
            out->private_dirty = kb * 1024;
            out->private_all += kb * 1024;
        } else if (sscanf(line, "Private_Clean: %lu", &kb) == 1) {
            out->private_all += kb * 1024;
        } else if (sscanf(line, "Pss: %lu", &kb) == 1) {
            out->pss = kb * 1024;
        }
    }
    fclose(f);
    return true;
}
