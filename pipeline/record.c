#include "pipeline/record.h"

#include <string.h>

/* Lists the flags in the help of their column. */
#define X(name, bit, text, help) "; " text " (bit " #bit "): " help
static const char flags_help[] = "what to know about this result" NP_FLAG_MAP(X);
#undef X

const struct np_column np_record_columns[] = {
    {"sensor", NP_COL_TEXT, "", "name of the sensor"},
    {"channel", NP_COL_TEXT, "", "name of the sensor's channel"},
    {"start_time", NP_COL_TIME, "", "start of the window, or of the event"},
    {"end_time", NP_COL_TIME, "", "end of the window (the first instant behind it), or of the event"},
    {"coverage", NP_COL_FLOAT, "", "fraction of the window's samples that were present, 0 to 1"},
    {"flags", NP_COL_LONG, "", flags_help},
    {0},
};

const char *const np_flag_names[] = {
#define X(name, bit, text, help) [bit] = text,
    NP_FLAG_MAP(X)
#undef X
    NULL,
};

uint32_t np_flag_find(const char *name, size_t length)
{
    for (int bit = 0; np_flag_names[bit]; bit++)
        if (strlen(np_flag_names[bit]) == length && memcmp(np_flag_names[bit], name, length) == 0)
            return 1u << bit;
    return 0;
}
