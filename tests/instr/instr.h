/* Hot paths, each run some times between two marks for callgrind (run.sh). What
 * a path does must follow from the source alone: no clock, no chance, no
 * processor's special instructions. */
#ifndef CONFAB_TESTS_INSTR_H
#define CONFAB_TESTS_INSTR_H

/* Runs `path` once to warm up and once to be counted; it does `n` operations
 * each time. */
void instr_count(const char *name, unsigned n, void (*path)(unsigned n));

void instr_pure(void);   /* pure.c: coding, rooms */
void instr_server(void); /* server.c: a whole server behind socket pairs */

#endif
