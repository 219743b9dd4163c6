#include "server/admin/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/metrics.h"

/* Of /proc/self/stat, as proc(5) counts them. */
enum {
    FIELD_AFTER_STATE = 4,
    FIELD_USER = 14,
    FIELD_SYSTEM = 15,
    FIELD_START = 22,
    FIELD_VIRTUAL = 23,
    FIELD_PAGES = 24,
    FIELDS,
};

struct process {
    double cpu_seconds, start_time_seconds;
    unsigned long long virtual_bytes, resident_bytes;
};

/* From /proc/self/stat: what follows the name, which may hold anything. */
static bool read_stat(struct process *p)
{
    char text[1024];
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        (void)fclose(f);
    text[n] = '\0';
    char *rest = strrchr(text, ')');
    unsigned long long field[FIELDS] = {0};
    if (!rest || rest[1] != ' ' || !rest[2])
        return false;
    rest += 3; /* over the state, a letter */
    for (int i = FIELD_AFTER_STATE; i < FIELDS; i++)
        field[i] = strtoull(rest, &rest, 10);
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    struct timespec up, now;
    clock_gettime(CLOCK_BOOTTIME, &up);
    clock_gettime(CLOCK_REALTIME, &now);
    p->cpu_seconds = (double)(field[FIELD_USER] + field[FIELD_SYSTEM]) * tick;
    p->virtual_bytes = field[FIELD_VIRTUAL];
    p->resident_bytes =
        field[FIELD_PAGES] * (unsigned long long)sysconf(_SC_PAGESIZE);
    p->start_time_seconds =
        (double)(now.tv_sec - up.tv_sec) + (double)field[FIELD_START] * tick;
    return true;
}

/* The kernel counts them (since Linux 6.2); else they are read one by one. */
static unsigned long long open_descriptors(void)
{
    struct stat st;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (unsigned long long)st.st_size;
    DIR *d = opendir("/proc/self/fd");
    unsigned long long n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and its own */
}

static void real(struct buf *out, const char *name, const char *type,
                 const char *help, double value)
{
    metrics_heading(out, name, type, help);
    buf_fmt(out, "%s %.15g\n", name, value);
}

static void whole(struct buf *out, const char *name, const char *help,
                  unsigned long long value)
{
    metrics_heading(out, name, "gauge", help);
    buf_fmt(out, "%s %llu\n", name, value);
}

void process_metrics(struct buf *out)
{
    struct process p;
    struct rlimit rl;
    if (read_stat(&p)) {
        real(out, "process_cpu_seconds_total", "counter",
             "user and system time spent", p.cpu_seconds);
        real(out, "process_start_time_seconds", "gauge",
             "when it began, since the epoch", p.start_time_seconds);
        whole(out, "process_virtual_memory_bytes", "address space",
              p.virtual_bytes);
        whole(out, "process_resident_memory_bytes", "memory in use",
              p.resident_bytes);
    }
    whole(out, "process_open_fds", "open descriptors", open_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
        whole(out, "process_max_fds", "descriptors it may open",
              (unsigned long long)rl.rlim_cur);
}
