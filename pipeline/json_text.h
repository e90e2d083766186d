/* Text as a JSON string. */
#ifndef NP_JSON_TEXT_H
#define NP_JSON_TEXT_H

#include <stdio.h>

/** Writes text in double quotes, escaped; bytes above 127 pass as they are (UTF-8). */
void np_json_text(const char *text, FILE *out);

#endif
