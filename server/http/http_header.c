#include "server/http/http_header.h"

#include "server/http/extension.h"

bool http_token_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!token_char(s.p[i]))
            return false;
    }
    return s.len > 0;
}

bool http_value_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}
