/* What a node says of itself in /debug/state and /debug/slow, and what follows
 * from two answers: rates, and how long turns of its loop were in between. */
#ifndef CONFAB_SERVER_CTL_TOP_SAMPLE_H
#define CONFAB_SERVER_CTL_TOP_SAMPLE_H

#include "common/buf.h"
#include "common/err.h"

enum {
    TOP_NAME_MAX = 64,
    TOP_WORD_MAX = 24,
    TOP_ROOM_MAX = 256,
    TOP_ROOMS = 50,
    TOP_SLOW = 20,
    TOP_TURNS = 32,
};

/* Names are those of "numbers" in /debug/state. */
#define TOP_NUMBERS(X)                  \
    X(TOP_POLLING, "polling")           \
    X(TOP_WEBSOCKET, "websocket")       \
    X(TOP_CONNECTIONS, "connections")   \
    X(TOP_SOCKETS, "sockets")           \
    X(TOP_ROOM_COUNT, "rooms")          \
    X(TOP_EVENTS, "events_in")          \
    X(TOP_DELIVERIES, "deliveries")     \
    X(TOP_BYTES_IN, "bytes_in")         \
    X(TOP_BYTES_OUT, "bytes_out")       \
    X(TOP_QUEUED, "queued_bytes")       \
    X(TOP_BEHIND, "slow_behind")        \
    X(TOP_DROPPED, "dropped")           \
    X(TOP_RATE_LIMITED, "rate_limited") \
    X(TOP_PUBLISHED, "redis_published") \
    X(TOP_RECEIVED, "redis_received")   \
    X(TOP_LOST, "redis_lost")           \
    X(TOP_REDIS_QUEUED, "redis_queued")

#define TOP_ENUM(sym, name) sym,
enum top_number { TOP_NUMBERS(TOP_ENUM) TOP_NUMBER_COUNT };
#undef TOP_ENUM

struct top_room {
    char name[TOP_ROOM_MAX + 1], nsp[TOP_ROOM_MAX + 1];
    uint64_t members;
};

struct top_slow {
    char sid[TOP_WORD_MAX + 1], address[TOP_NAME_MAX + 1];
    char transport[TOP_WORD_MAX + 1];
    uint64_t queued_bytes, slow_ms;
};

/* Durations of turns: how many were at most `bound` us, and longer than the
 * bound before; UINT64_MAX for those without one. */
struct top_turns {
    uint64_t bound, n;
};

struct top_sample {
    uint64_t came_us; /* by this machine's monotonic clock */
    char node[TOP_NAME_MAX + 1];
    char state[TOP_WORD_MAX + 1]; /* serving, draining */
    char adapter[TOP_WORD_MAX + 1];
    bool usable; /* the adapter */
    uint64_t uptime_ms, pid;
    uint64_t number[TOP_NUMBER_COUNT];
    struct top_turns turns[TOP_TURNS];
    size_t n_turns;
    struct top_room rooms[TOP_ROOMS]; /* the largest first */
    size_t n_rooms;
};

/* 0, or ERR_PROTO when this is no node's answer: `*s` is then of no use. */
MUST_CHECK int top_sample_read(struct top_sample *s, struct str json,
                               uint64_t came_us);
/* How many; or ERR_PROTO. */
MUST_CHECK int top_slow_read(struct top_slow slow[TOP_SLOW], struct str json);

/* Both are of the same process. */
bool top_sample_follows(const struct top_sample *now,
                        const struct top_sample *before);
/* By the second. */
double top_rate(const struct top_sample *now, const struct top_sample *before,
                enum top_number which);
/* The bound in microseconds that 99 of 100 turns between them kept; 0 without
 * turns. */
double top_lag(const struct top_sample *now, const struct top_sample *before);

#endif
