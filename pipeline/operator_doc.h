/* The reference of operators, printed from their descriptors. */
#ifndef NP_OPERATOR_DOC_H
#define NP_OPERATOR_DOC_H

#include <stdio.h>

#include "pipeline/operator.h"

/** One operator as text: help, options, result columns. @return NP_OK or NP_ENOMEM */
enum np_status np_operator_help(const struct np_operator *op, FILE *out, struct np_error *err);
/** docs/operators.md: all of them, with the columns and flags that every result has. */
enum np_status np_operators_markdown(FILE *out, struct np_error *err);

#endif
