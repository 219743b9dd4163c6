/* What a process has used, seen from outside. */
#ifndef CONFAB_TESTS_BENCH_PROBE_H
#define CONFAB_TESTS_BENCH_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The process's own pages, from smaps_rollup. */
struct probe_memory {
    uint64_t private_dirty, pss, rss; /* bytes */
};

/* False when there is no such process. */
/* CPU time of all threads together, those that have ended included. */
bool probe_cpu(pid_t pid, uint64_t *ns);
bool probe_memory(pid_t pid, struct probe_memory *out);
/* What the kernel has in small objects, sockets among them: bytes. */
uint64_t probe_kernel_slab(void);
uint64_t probe_now_ns(void);

#endif
