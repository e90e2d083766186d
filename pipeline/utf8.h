/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef NP_UTF8_H
#define NP_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/** @return bytes of the character that starts at text (1..4), or 0 if there is none. n: bytes left */
size_t np_utf8_next(const char *text, size_t n);
/** @return true if all n bytes are UTF-8 without NUL */
bool np_utf8_valid(const char *text, size_t n);

#endif
