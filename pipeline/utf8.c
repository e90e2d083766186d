#include "pipeline/utf8.h"

size_t np_utf8_next(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be: the table of RFC 3629, section 4 */
    size_t length;

    if (n == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (length > n)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return length;
}

bool np_utf8_valid(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t step = text[i] > 0 ? 1 : np_utf8_next(text + i, n - i);

        if (step == 0 || text[i] == '\0')
            return false;
        i += step;
    }
    return true;
}
