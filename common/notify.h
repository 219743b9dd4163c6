/* Tells systemd, or whoever else started us with NOTIFY_SOCKET, how we are:
 * sd_notify(3)'s protocol, one datagram of KEY=VALUE lines. Without that
 * variable every function does nothing. */
#ifndef CONFAB_COMMON_NOTIFY_H
#define CONFAB_COMMON_NOTIFY_H

#include <stdint.h>

/* Lines without the last one's end: "READY=1", "STOPPING=1\nSTATUS=...". Never
 * waits: a full socket loses it. */
void notify(const char *lines);
/* "RELOADING=1", which wants the time with it; "READY=1" follows when done. */
void notify_reloading(void);
/* How often "WATCHDOG=1" is to be sent, in milliseconds: half of what
 * WATCHDOG_USEC allows; 0 when nobody watches. */
uint64_t notify_watchdog_ms(void);

#endif
