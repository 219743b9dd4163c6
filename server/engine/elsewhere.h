/* Sessions of other nodes. A balancer should send each request to the node that
 * has its session, but may not (plain round robin, a reload, no stickiness):
 * the node that gets it relays it to the owner.
 *
 * The id of a session begins with the tag of its node, six characters that each
 * process draws at its start and tells the others; the remaining fourteen, 84
 * bits, are the secret. No tag that is known: there is no such session.
 *
 * What another node relays carries this node's token, of which clients know
 * nothing. Whatever carries such a header, right or wrong, is never relayed
 * again, so that no two nodes can send a request round and round. */
#ifndef CONFAB_SERVER_ENGINE_ELSEWHERE_H
#define CONFAB_SERVER_ENGINE_ELSEWHERE_H

#include "server/http/http.h"

struct engine;
struct elsewhere;

enum { NODE_TAG_LEN = 6 };

/* Where a node is reached, and what it wants to hear. */
struct elsewhere_node {
    struct str address, token;
};

struct elsewhere_settings {
    struct str tag, token; /* of this node; copied */
    /* The living node with that tag; false when there is none. What it sets is
     * valid until the next turn. */
    bool (*find)(void *arg, struct str tag, struct elsewhere_node *node);
    void *arg;
    uint32_t requests; /* and WebSockets relayed at once */
};

/* ---- inside the engine folder: NULL is a node without others --------------
 */

struct elsewhere *elsewhere_new(struct engine *e,
                                const struct elsewhere_settings *s);
/* Ends what is relayed. */
void elsewhere_close(struct elsewhere *x);
void elsewhere_free(struct elsewhere *x);

/* Writes the tag with which new ids begin, and returns its length. */
size_t elsewhere_tag(const struct elsewhere *x, char *sid);
/* Another node has the session, and may be asked. */
bool elsewhere_find(const struct elsewhere *x, const struct http_request *r,
                    struct str sid, struct elsewhere_node *node);
/* Takes the request over, for the node that was found. */
void elsewhere_request(struct elsewhere *x, struct http_request *r,
                       const struct elsewhere_node *node);
/* Another node has sent it here. */
bool elsewhere_vouched(const struct elsewhere *x, const struct http_request *r);
uint32_t elsewhere_count(const struct elsewhere *x);

#endif
