#include "common/err.h"

const char *err_text(int code)
{
    switch (code) {
    case 0:
        return "no error";
    case ERR_PROTO:
        return "the peer broke the protocol";
    case ERR_LIMIT:
        return "a limit was exceeded";
    case ERR_IO:
        return "the kernel or the network refused";
    case ERR_STATE:
        return "not possible in the present state";
    case ERR_CONFIG:
        return "the configuration is wrong";
    default:
        return "unknown error";
    }
}
