#include "server/http/forwarded.h"

#include <arpa/inet.h>

#include "common/mem.h"

enum { MAPPED_BITS = 96 }; /* of an IPv4 address in IPv6 form */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* The address alone: "1.2.3.4:5" and "[::1]:5" have a port. */
static struct str without_port(struct str s)
{
    if (s.len && s.p[0] == '[') {
        const char *end = memchr(s.p, ']', s.len);
        return (struct str){s.p + 1, end ? (size_t)(end - s.p) - 1 : 0};
    }
    const char *colon = s.len ? memchr(s.p, ':', s.len) : NULL;
    if (!colon)
        return s;
    size_t at = (size_t)(colon - s.p);
    return memchr(colon + 1, ':', s.len - at - 1) ? s : (struct str){s.p, at};
}

/* False when it is none. `bits` is set to those of a host. */
static bool parse_address(struct str s, struct forwarded_net *out, bool *is_v4)
{
    char z[INET6_ADDRSTRLEN];
    if (s.len == 0 || s.len >= sizeof(z))
        return false;
    memcpy(z, s.p, s.len);
    z[s.len] = '\0';
    if (strlen(z) != s.len)
        return false;
    out->bits = 128;
    *is_v4 = inet_pton(AF_INET, z, out->address + sizeof(mapped)) == 1;
    if (!*is_v4)
        return inet_pton(AF_INET6, z, out->address) == 1;
    memcpy(out->address, mapped, sizeof(mapped));
    return true;
}

static bool parse_net(struct str item, struct forwarded_net *out)
{
    struct str rest = item, address;
    bool is_v4;
    uint64_t bits;
    if (!str_next(&rest, '/', &address) || !parse_address(address, out, &is_v4))
        return false;
    if (!rest.p)
        return true;
    if (!str_to_u64(rest, is_v4 ? 32 : 128, &bits))
        return false;
    out->bits = (uint8_t)(is_v4 ? bits + MAPPED_BITS : bits);
    return true;
}

int forwarded_init(struct forwarded *f, struct str list, struct str *bad)
{
    *f = (struct forwarded){0};
    struct str item;
    while (list.len && str_next(&list, '\n', &item)) {
        f->nets = mem_realloc(f->nets, (f->n + 1) * sizeof(f->nets[0]));
        if (!parse_net(str_trim(item), &f->nets[f->n])) {
            *bad = item;
            return ERR_CONFIG;
        }
        f->n++;
    }
    return 0;
}

void forwarded_fini(struct forwarded *f)
{
    mem_free(f->nets);
    *f = (struct forwarded){0};
}

static bool in_net(const struct forwarded_net *net, const uint8_t address[16])
{
    size_t bytes = net->bits / 8;
    unsigned rest = net->bits % 8;
    if (memcmp(net->address, address, bytes) != 0)
        return false;
    return rest == 0 ||
           (net->address[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

bool forwarded_trusts(const struct forwarded *f, struct str address)
{
    struct forwarded_net host;
    bool is_v4;
    if (f->n == 0 || !parse_address(address, &host, &is_v4))
        return false;
    for (size_t i = 0; i < f->n; i++) {
        if (in_net(&f->nets[i], host.address))
            return true;
    }
    return false;
}

/* Takes the part behind the last comma off the end. */
static struct str take_last(struct str *list)
{
    size_t at = list->len;
    while (at > 0 && list->p[at - 1] != ',')
        at--;
    struct str item = {list->p + at, list->len - at};
    list->len = at ? at - 1 : 0;
    return str_trim(item);
}

struct str forwarded_client(const struct forwarded *f, struct str list)
{
    struct str found = STR("");
    while (list.len) {
        struct forwarded_net host;
        bool is_v4;
        struct str address = without_port(take_last(&list));
        if (!parse_address(address, &host, &is_v4))
            break;
        found = address;
        if (!forwarded_trusts(f, address))
            break;
    }
    return found;
}
