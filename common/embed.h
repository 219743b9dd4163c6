/* Embeds a file of the build tree or the source tree into the program: defines
 * NAME_start and NAME_end around its bytes. The Makefile names the dependency.
 */
#ifndef CONFAB_COMMON_EMBED_H
#define CONFAB_COMMON_EMBED_H

#include <stdint.h>

/* Bytes between the two. */
#define EMBED_SIZE(name) \
    ((size_t)((uintptr_t)name##_end - (uintptr_t)name##_start))

#define EMBED(name, path)                                                    \
    __attribute__((visibility("hidden"))) extern const char name##_start[],  \
        name##_end[];                                                        \
    __asm__(".pushsection .rodata\n"                                         \
            ".global " #name "_start\n.hidden " #name "_start\n" #name       \
            "_start:\n"                                                      \
            ".incbin \"" path "\"\n"                                         \
            ".global " #name "_end\n.hidden " #name "_end\n" #name "_end:\n" \
            ".byte 0\n"                                                      \
            ".popsection\n")

#endif
