#include "tests/bench/probe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NS_PER_S = 1000000000, LINE_MAX_BYTES = 1024 };

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

bool probe_cpu(pid_t pid, uint64_t *ns)
{
    clockid_t clock;
    struct timespec t;
    /* The process's CPU clock: schedstat knows the first thread only. */
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return false;
    *ns = to_ns(t);
    return true;
}

/* The line "NAME: N kB" of a file of such lines. */
static void read_kb(const char *line, const char *name, uint64_t *bytes)
{
    size_t n = strlen(name);
    unsigned long kb;
    if (strncmp(line, name, n) == 0 && line[n] == ':' &&
        sscanf(line + n + 1, "%lu", &kb) == 1)
        *bytes = kb * 1024;
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
        read_kb(line, "Private_Dirty", &out->private_dirty);
        read_kb(line, "Pss", &out->pss);
        read_kb(line, "Rss", &out->rss);
    }
    fclose(f);
    return true;
}

uint64_t probe_kernel_slab(void)
{
    char line[LINE_MAX_BYTES];
    uint64_t bytes = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f))
        read_kb(line, "Slab", &bytes);
    fclose(f);
    return bytes;
}
