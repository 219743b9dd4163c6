#include "server/ctl/top_sample.h"

#include <math.h>
#include <stdio.h>

#include "common/json.h"

static const struct json_limits limits = {16, 100000};

static const char *const names[] = {
#define TOP_ENTRY(sym, name) name,
    TOP_NUMBERS(TOP_ENTRY)
#undef TOP_ENTRY
};

/* ---- values -------------------------------------------------------------- */

static bool take_text(const struct json *j, uint32_t object, struct str key,
                      char *out, size_t max)
{
    struct buf scratch;
    uint32_t node = json_get(j, object, key);
    if (node == JSON_NONE || json_type(j, node) != JSON_STRING)
        return false;
    buf_init(&scratch, UINT32_MAX);
    struct str s = json_string_view(j, node, &scratch);
    if (s.len > max)
        s.len = max;
    memcpy(out, s.p, s.len);
    out[s.len] = '\0';
    buf_fini(&scratch);
    return true;
}

static bool to_u64(const struct json *j, uint32_t node, uint64_t *out)
{
    int64_t n;
    if (node == JSON_NONE || json_type(j, node) != JSON_NUMBER ||
        !json_i64(j, node, &n) || n < 0)
        return false;
    *out = (uint64_t)n;
    return true;
}

static bool take_number(const struct json *j, uint32_t object, struct str key,
                        uint64_t *out)
{
    return to_u64(j, json_get(j, object, key), out);
}

static uint32_t list_of(const struct json *j, uint32_t object, struct str key)
{
    uint32_t list = json_get(j, object, key);
    return list != JSON_NONE && json_type(j, list) == JSON_ARRAY ? list
                                                                 : JSON_NONE;
}

/* ---- /debug/state -------------------------------------------------------- */

static bool read_identity(struct top_sample *s, const struct json *j)
{
    uint32_t usable = json_get(j, 0, STR("cluster_usable"));
    s->usable = usable != JSON_NONE && json_type(j, usable) == JSON_TRUE;
    return take_text(j, 0, STR("node"), s->node, TOP_NAME_MAX) &&
           take_text(j, 0, STR("state"), s->state, TOP_WORD_MAX) &&
           take_text(j, 0, STR("adapter"), s->adapter, TOP_WORD_MAX) &&
           take_number(j, 0, STR("uptime_ms"), &s->uptime_ms) &&
           take_number(j, 0, STR("pid"), &s->pid);
}

/* One that the node does not have stays zero. */
static bool read_numbers(struct top_sample *s, const struct json *j)
{
    uint32_t numbers = json_get(j, 0, STR("numbers"));
    if (numbers == JSON_NONE || json_type(j, numbers) != JSON_OBJECT)
        return false;
    for (size_t i = 0; i < TOP_NUMBER_COUNT; i++)
        (void)take_number(j, numbers, str_of(names[i]), &s->number[i]);
    return true;
}

/* [[16,100],[32,4],...,[null,0]] */
static bool read_turns(struct top_sample *s, const struct json *j)
{
    uint32_t loop = json_get(j, 0, STR("loop"));
    uint32_t list =
        loop == JSON_NONE ? JSON_NONE : list_of(j, loop, STR("turn_us"));
    if (list == JSON_NONE)
        return false;
    uint32_t item = json_first(j, list);
    for (; item != JSON_NONE && s->n_turns < TOP_TURNS;
         item = json_next(j, list, item)) {
        struct top_turns *t = &s->turns[s->n_turns++];
        if (json_type(j, item) != JSON_ARRAY ||
            !to_u64(j, json_at(j, item, 1), &t->n))
            return false;
        if (!to_u64(j, json_at(j, item, 0), &t->bound))
            t->bound = UINT64_MAX;
    }
    return true;
}

static bool read_rooms(struct top_sample *s, const struct json *j)
{
    uint32_t list = list_of(j, 0, STR("largest_rooms"));
    if (list == JSON_NONE)
        return false;
    uint32_t item = json_first(j, list);
    for (; item != JSON_NONE && s->n_rooms < TOP_ROOMS;
         item = json_next(j, list, item)) {
        struct top_room *r = &s->rooms[s->n_rooms++];
        if (!take_text(j, item, STR("room"), r->name, TOP_ROOM_MAX) ||
            !take_text(j, item, STR("namespace"), r->nsp, TOP_ROOM_MAX) ||
            !take_number(j, item, STR("members"), &r->members))
            return false;
    }
    return true;
}

int top_sample_read(struct top_sample *s, struct str text, uint64_t came_us)
{
    struct json j;
    *s = (struct top_sample){.came_us = came_us};
    json_init(&j);
    bool ok = json_parse(&j, text, limits) == 0 &&
              json_type(&j, 0) == JSON_OBJECT && read_identity(s, &j) &&
              read_numbers(s, &j) && read_turns(s, &j) && read_rooms(s, &j);
    json_fini(&j);
    return ok ? 0 : ERR_PROTO;
}

/* ---- /debug/slow --------------------------------------------------------- */

static bool read_slow(struct top_slow *s, const struct json *j, uint32_t item)
{
    *s = (struct top_slow){0};
    return take_text(j, item, STR("sid"), s->sid, TOP_WORD_MAX) &&
           take_text(j, item, STR("address"), s->address, TOP_NAME_MAX) &&
           take_text(j, item, STR("transport"), s->transport, TOP_WORD_MAX) &&
           take_number(j, item, STR("queued_bytes"), &s->queued_bytes) &&
           take_number(j, item, STR("slow_ms"), &s->slow_ms);
}

int top_slow_read(struct top_slow slow[TOP_SLOW], struct str text)
{
    struct json j;
    int n = 0;
    json_init(&j);
    uint32_t list = JSON_NONE;
    if (json_parse(&j, text, limits) == 0)
        list = list_of(&j, 0, STR("slow"));
    bool ok = list != JSON_NONE;
    uint32_t item = ok ? json_first(&j, list) : JSON_NONE;
    for (; ok && item != JSON_NONE && n < TOP_SLOW;
         item = json_next(&j, list, item))
        ok = read_slow(&slow[n++], &j, item);
    json_fini(&j);
    return ok ? n : ERR_PROTO;
}

/* ---- between two --------------------------------------------------------- */

bool top_sample_follows(const struct top_sample *now,
                        const struct top_sample *before)
{
    return now->pid == before->pid && now->uptime_ms >= before->uptime_ms &&
           strcmp(now->node, before->node) == 0;
}

double top_rate(const struct top_sample *now, const struct top_sample *before,
                enum top_number which)
{
    uint64_t n = now->number[which], was = before->number[which];
    if (now->came_us <= before->came_us || n < was)
        return (double)NAN;
    return (double)(n - was) * 1e6 / (double)(now->came_us - before->came_us);
}

double top_lag(const struct top_sample *now, const struct top_sample *before)
{
    uint64_t more[TOP_TURNS] = {0}, all = 0, seen = 0;
    for (size_t i = 0; i < now->n_turns; i++) {
        uint64_t was = i < before->n_turns ? before->turns[i].n : 0;
        more[i] = now->turns[i].n > was ? now->turns[i].n - was : 0;
        all += more[i];
    }
    for (size_t i = 0; i < now->n_turns; i++) {
        seen += more[i];
        if (seen > 0 && seen >= all - all / 100)
            return now->turns[i].bound == UINT64_MAX
                       ? (double)INFINITY
                       : (double)now->turns[i].bound;
    }
    return 0;
}
