#include "common/sha1.h"

#include <assert.h>

#include <openssl/evp.h>

/* Looked up once: libcrypto's one call for it all looks for the algorithm each
 * time, which takes longer than the digest of a short text. One thread. */
static EVP_MD *algorithm;
static EVP_MD_CTX *context;

void sha1(struct str in, unsigned char out[20])
{
    if (!context) {
        algorithm = EVP_MD_fetch(NULL, "SHA1", NULL);
        context = EVP_MD_CTX_new();
    }
    int ok = EVP_DigestInit_ex2(context, algorithm, NULL) &&
             EVP_DigestUpdate(context, in.p, in.len) &&
             EVP_DigestFinal_ex(context, out, NULL);
    assert(ok);
    (void)ok;
}
