/* One line per event on standard output: time, level, event name, key=value
 * fields, or the same as one JSON object per line.
 *
 *     log_info("session_open", "sid=%.*s transport=%s", STR_ARG(sid),
 * "polling");
 *
 * The format describes `key=value` pairs separated by single spaces; a value
 * that may hold anything else goes through log_safe(). Text of clients is never
 * logged raw. */
#ifndef CONFAB_COMMON_LOG_H
#define CONFAB_COMMON_LOG_H

#include "common/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* JSON objects instead of key=value lines. */
void log_set_json(bool json);
/* Every line carries node=NAME from then on; copied, cut to 64 bytes. */
void log_set_node(struct str name);

void log_event(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_event(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_event(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                         \
    do {                                       \
        if (log_get_level() >= LOG_DEBUG)      \
            log_event(LOG_DEBUG, __VA_ARGS__); \
    } while (0)

/* Client text made fit for a log value: quoted, control characters, quotes,
 * backslashes and non-UTF-8 escaped as \xNN, cut to 128 bytes with "...".
 * Returns one of four static buffers, used in turn. */
const char *log_safe(struct str s);

/* True at most `per_minute` times a minute for this `*gate` (start at zeros):
 * for lines that an attacker could cause. `*gate` counts what was held back;
 * the next line that passes should say so. */
struct log_gate {
    uint64_t window_start_ms;
    uint32_t passed, held;
};
bool log_allow(struct log_gate *gate, uint64_t now_ms, uint32_t per_minute);

#endif
