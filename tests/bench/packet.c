#include "tests/bench/packet.h"

#include <stdio.h>
#include <string.h>

enum {
    MP_MAP = 0x80,
    MP_ARRAY = 0x90,
    MP_STR = 0xa0,
    MP_STR8 = 0xd9,
    MP_STR16 = 0xda,
    MP_U8 = 0xcc,
    MP_U16 = 0xcd,
    MP_U32 = 0xce,
    TYPE_CONNECT = 0,
    TYPE_EVENT = 2,
    TYPE_ACK = 3,
};

const char *packet_padding(void)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .";
    static char text[PACKET_BODY_MAX];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(text) && (i > 0 || !text[0]); i++) {
        x = x * 1664525 + 1013904223;
        text[i] = letters[x >> 26];
    }
    return text;
}

static bool starts(const char *p, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(p, with, n) == 0;
}

/* ---- msgpack ------------------------------------------------------------- */

static char *mp_big(char *p, int head, uint32_t n, size_t bytes)
{
    *p++ = (char)head;
    while (bytes-- > 0)
        *p++ = (char)(n >> (8 * bytes));
    return p;
}

static char *mp_number(char *p, uint32_t n)
{
    if (n < 0x80) {
        *p++ = (char)n;
        return p;
    }
    return n <= UINT8_MAX    ? mp_big(p, MP_U8, n, 1)
           : n <= UINT16_MAX ? mp_big(p, MP_U16, n, 2)
                             : mp_big(p, MP_U32, n, 4);
}

static char *mp_str(char *p, const char *text, size_t len)
{
    if (len < 32)
        *p++ = (char)(MP_STR | len);
    else
        p = len <= UINT8_MAX ? mp_big(p, MP_STR8, (uint32_t)len, 1)
                             : mp_big(p, MP_STR16, (uint32_t)len, 2);
    memcpy(p, text, len);
    return p + len;
}

static char *mp_z(char *p, const char *z)
{
    return mp_str(p, z, strlen(z));
}

static char *mp_packet(char *p, unsigned fields, uint32_t type)
{
    *p++ = (char)(MP_MAP | fields);
    p = mp_number(mp_z(p, "type"), type);
    return mp_z(mp_z(p, "nsp"), "/");
}

static char *mp_event(char *p, const char *name)
{
    p = mp_z(p, "data");
    *p++ = (char)(MP_ARRAY | 2);
    return mp_z(p, name);
}

static bool mp_has_type(const char *p, size_t len, char type)
{
    const char *at = memmem(p, len, "\xa4type", 5);
    return at && at + 5 < p + len && at[5] == type;
}

static const char *mp_read_number(const char *p, const char *end, uint32_t *out)
{
    unsigned head = p < end ? (unsigned char)*p++ : UINT8_MAX;
    if (head < 0x80) {
        *out = head;
        return p;
    }
    if (head < MP_U8 || head > MP_U32)
        return NULL;
    size_t bytes = (size_t)1 << (head - MP_U8);
    if ((size_t)(end - p) < bytes)
        return NULL;
    for (*out = 0; bytes > 0; bytes--)
        *out = *out << 8 | (unsigned char)*p++;
    return p;
}

static bool mp_read_say(const struct packet_form *f, const char *p, size_t len,
                        uint32_t *seq)
{
    const char *end = p + len, *at = memmem(p, len, "\xa3seq", 4);
    if (!at || !(at = mp_read_number(at + 4, end, seq)))
        return false;
    at = memmem(at, (size_t)(end - at), "\xa3pad", 4);
    if (!at)
        return false;
    at += 4;
    size_t skip = f->size < 32 ? 1 : f->size <= UINT8_MAX ? 2 : 3;
    return (size_t)(end - at) >= skip + f->size &&
           memcmp(at + skip, packet_padding(), f->size) == 0;
}

/* ---- writing ------------------------------------------------------------- */

size_t packet_connect(bool msgpack, char *out)
{
    if (msgpack)
        return (size_t)(mp_packet(out, 2, TYPE_CONNECT) - out);
    out[0] = '0';
    return 1;
}

size_t packet_join(bool msgpack, const char *room, char *out)
{
    if (!msgpack)
        return (size_t)snprintf(out, PACKET_HEAD_MAX, "20[\"join\",\"%s\"]",
                                room);
    char *p = mp_packet(out, 4, TYPE_EVENT);
    p = mp_number(mp_z(p, "id"), 0);
    return (size_t)(mp_z(mp_event(p, "join"), room) - out);
}

size_t packet_say(const struct packet_form *f, const char *room, uint32_t seq,
                  char *out)
{
    if (f->msgpack) {
        char *p = mp_event(mp_packet(out, 3, TYPE_EVENT), "say");
        *p++ = (char)(MP_MAP | 3);
        p = mp_z(mp_z(p, "room"), room);
        p = mp_number(mp_z(p, "seq"), seq);
        p = mp_str(mp_z(p, "pad"), packet_padding(), f->size);
        return (size_t)(p - out);
    }
    if (f->attached)
        return (size_t)snprintf(out, PACKET_MAX,
                                "51-[\"say\",{\"room\":\"%s\",\"seq\":%u,"
                                "\"data\":{\"_placeholder\":true,\"num\":0}}]",
                                room, seq);
    int n =
        snprintf(out, PACKET_MAX,
                 "2[\"say\",{\"room\":\"%s\",\"seq\":%u,\"pad\":\"", room, seq);
    size_t head = (size_t)n, size = f->size - 1;
    if (head + 3 > size)
        return 0;
    memcpy(out + head, packet_padding(), size - head - 3);
    memcpy(out + size - 3, "\"}]", 3);
    return size;
}

size_t packet_echo(const struct packet_form *f, uint32_t id, char *out)
{
    size_t head = (size_t)snprintf(out, PACKET_MAX, "2%u[\"echo\",\"", id);
    size_t size = f->size - 1;
    if (head + 2 > size)
        return 0;
    memcpy(out + head, packet_padding(), size - head - 2);
    memcpy(out + size - 2, "\"]", 2);
    return size;
}

/* ---- reading ------------------------------------------------------------- */

bool packet_is_connect(bool msgpack, const char *p, size_t len)
{
    return msgpack ? mp_has_type(p, len, TYPE_CONNECT) : starts(p, len, "0{");
}

bool packet_is_ack(bool msgpack, const char *p, size_t len)
{
    return msgpack ? mp_has_type(p, len, TYPE_ACK) : starts(p, len, "3");
}

/* A number and what ends it; NULL when there is none. */
static const char *read_number(const char *p, const char *end, uint32_t *out)
{
    const char *from = p;
    uint32_t n = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint32_t)(*p - '0');
    *out = n;
    return p > from && p < end ? p : NULL;
}

bool packet_read_say(const struct packet_form *f, const char *room,
                     const char *p, size_t len, uint32_t *seq)
{
    if (f->msgpack)
        return mp_read_say(f, p, len, seq);
    const char *end = p + len;
    const char *kind = f->attached ? "51-" : "2";
    const char *parts[] = {kind, "[\"say\",{\"room\":\"", room, "\",\"seq\":"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!starts(p, (size_t)(end - p), parts[i]))
            return false;
        p += strlen(parts[i]);
    }
    if (!(p = read_number(p, end, seq)))
        return false;
    if (f->attached)
        return true;
    size_t name = sizeof(",\"pad\":\"") - 1;
    return len == f->size - 1 && (size_t)(end - p) >= name + 3 &&
           memcmp(p + name, packet_padding(), (size_t)(end - p) - name - 3) ==
               0;
}

/* The answer is shorter than the question by the event's name. */
bool packet_read_echo(const struct packet_form *f, const char *p, size_t len,
                      uint32_t *id)
{
    size_t name = sizeof("\"echo\",") - 1;
    const char *end = p + len;
    if (len + name != f->size - 1 || p[0] != '3')
        return false;
    const char *rest = read_number(p + 1, end, id);
    return rest && rest[0] == '[' && end[-1] == ']';
}
