#include "common/sha1.h"

#include <openssl/sha.h>

void sha1(struct str in, unsigned char out[20])
{
    SHA1((const unsigned char *)in.p, in.len, out);
}
