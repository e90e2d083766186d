#include "operators/alert.h"

const char *const np_severity_names[] = {"info", "notice", "warning", "critical", NULL};
