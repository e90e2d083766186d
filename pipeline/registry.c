#include <string.h>

#include "pipeline/operator.h"

extern const struct np_operator np_op_anomaly;
extern const struct np_operator np_op_limit;
extern const struct np_operator np_op_rms;
extern const struct np_operator np_op_silent;
extern const struct np_operator np_op_spectrum;

const struct np_operator *const np_operators[] = {
    &np_op_rms,
    &np_op_spectrum,
    &np_op_limit,
    &np_op_anomaly,
    &np_op_silent,
    NULL,
};

const struct np_operator *np_operator_find(const char *name)
{
    for (size_t i = 0; np_operators[i]; i++)
        if (strcmp(np_operators[i]->name, name) == 0)
            return np_operators[i];
    return NULL;
}
