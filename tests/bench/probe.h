/* What a process has used, seen from outside. */
#ifndef CONFAB_TESTS_BENCH_PROBE_H
#define CONFAB_TESTS_BENCH_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* All threads together, those that have ended included. The total is exact to
 * the nanosecond; its parts come in clock ticks. */
struct probe_cpu {
    uint64_t total_ns;
    uint64_t user_ns, system_ns;
};

/* The process's own pages, from smaps_rollup. */
struct probe_memory {
    uint64_t private_dirty, private_all, pss; /* bytes */
};

/* False when there is no such process. */
bool probe_cpu(pid_t pid, struct probe_cpu *out);
bool probe_memory(pid_t pid, struct probe_memory *out);
uint64_t probe_now_ns(void);

#endif
