/* What the operators that raise alerts have in common: the severity, and the states of an alert. */
#ifndef NP_ALERT_H
#define NP_ALERT_H

#include "pipeline/column.h"
#include "pipeline/option.h"

/** "info", "notice", "warning", "critical", then NULL. */
extern const char *const np_severity_names[];

/** The option row `severity` of a conf struct with `int severity`. */
#define NP_OPTION_SEVERITY(conf, default_name)                                                               \
    {                                                                                                        \
        "severity", NP_OPT_CHOICE, offsetof(conf, severity), NULL, default_name, 0, 0, np_severity_names,    \
            false, "How grave the alert is; told in each record."                                            \
    }

#define NP_COLUMN_SEVERITY {"severity", NP_COL_TEXT, "", "info, notice, warning or critical"}

/** Texts of a column `state`. */
#define NP_ALERT_RAISED "raised"
#define NP_ALERT_CLEARED "cleared"
#define NP_COLUMN_STATE {"state", NP_COL_TEXT, "", NP_ALERT_RAISED " or " NP_ALERT_CLEARED}

#endif
