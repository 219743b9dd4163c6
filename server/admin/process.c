#include "server/admin/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/metrics.h"

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
    const char *rest = strrchr(text, ')');
    unsigned long long user, system, start, pages;
    if (!rest || sscanf(rest + 2,
                        "%*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu "
                        "%*s %*s %*s %*s %*s %*s %llu %llu %llu",
                        &user, &system, &start, &p->virtual_bytes, &pages) != 5)
        return false;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    struct timespec up, now;
    clock_gettime(CLOCK_BOOTTIME, &up);
    clock_gettime(CLOCK_REALTIME, &now);
    p->cpu_seconds = (double)(user + system) * tick;
    p->resident_bytes = pages * (unsigned long long)sysconf(_SC_PAGESIZE);
    p->start_time_seconds =
        (double)(now.tv_sec - up.tv_sec) + (double)start * tick;
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
