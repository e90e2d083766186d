/* Counters, gauges and histograms in Prometheus' text form. Updating is one atomic operation; any thread. */
#ifndef NP_METRICS_H
#define NP_METRICS_H

#include <stdio.h>

enum np_metric_type { NP_METRIC_COUNTER, NP_METRIC_GAUGE, NP_METRIC_HISTOGRAM };

struct np_metrics;
struct np_metric;

struct np_metrics *np_metrics_open(void);          /* given; NULL without memory */
void np_metrics_close(struct np_metrics *metrics);
/**
 * Finds or makes a series. Keep the pointer: it lives as long as metrics.
 * @param name    "netzpuls_records_committed_total"
 * @param labels  `step="levels",topic="grid.levels"` or ""
 * @param bounds  histogram: upper bounds ascending, ended by 0 (+Inf is added); else NULL
 */
struct np_metric *np_metric(struct np_metrics *metrics, enum np_metric_type type, const char *name,
                            const char *labels, const char *help, const double *bounds);
void np_metric_add(struct np_metric *metric, double value);       /* counter, gauge; metric may be NULL */
void np_metric_set(struct np_metric *metric, double value);       /* gauge */
void np_metric_observe(struct np_metric *metric, double value);   /* histogram */
/** Writes all series in the text exposition format 0.0.4, with HELP and TYPE. */
void np_metrics_write(struct np_metrics *metrics, FILE *out);

#endif
