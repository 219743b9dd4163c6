/* Prints "NAME OPERATIONS" for each path, in the order of callgrind's dumps. */
#include "tests/instr/instr.h"

#include <stdio.h>
#include <valgrind/callgrind.h>

#include "common/id.h"

void instr_count(const char *name, unsigned n, void (*path)(unsigned n))
{
    path(n);
    CALLGRIND_ZERO_STATS;
    path(n);
    CALLGRIND_DUMP_STATS_AT(name);
    printf("%s %u\n", name, n);
    fflush(stdout);
}

int main(void)
{
    id_seed(1);
    instr_pure();
    instr_server();
    return 0;
}
