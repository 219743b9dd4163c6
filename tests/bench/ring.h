/* Sends by io_uring, for the floor: registered files, one system call for up to
 * RING_BATCH sends, completions only of those that fail. */
#ifndef CONFAB_TESTS_BENCH_RING_H
#define CONFAB_TESTS_BENCH_RING_H

#include <stdbool.h>
#include <stddef.h>

enum { RING_BATCH = 256, RING_FILES = 20000 };

/* False when the kernel does not allow it. */
bool ring_init(void);
/* Descriptor `fd` is a file of the ring from now on, or is no more. */
void ring_add_file(int fd);
void ring_remove_file(int fd);
/* Queues a send of `len` bytes that stay as they are until ring_submit. The
 * receiver must have room for them: what fails ends the program. */
void ring_send(int fd, const char *p, size_t len);
void ring_submit(void);

#endif
