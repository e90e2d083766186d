#include "pipeline/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct np_metric {
    struct np_metric *next;
    enum np_metric_type type;
    char *name, *labels, *help;
    _Atomic double value;         /* of a histogram: the sum */
    size_t n_bounds;
    double *bounds;               /* [n_bounds]; the bucket +Inf follows */
    atomic_ulong *buckets;        /* [n_bounds + 1], not cumulative */
};

struct np_metrics {
    pthread_mutex_t lock;         /* of the list; values need none */
    struct np_metric *first;      /* sorted by name, then labels */
};

struct np_metrics *np_metrics_open(void)
{
    struct np_metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics && pthread_mutex_init(&metrics->lock, NULL) != 0) {
        free(metrics);
        return NULL;
    }
    return metrics;
}

static void metric_free(struct np_metric *metric)
{
    if (!metric)
        return;
    free(metric->name);
    free(metric->labels);
    free(metric->help);
    free(metric->bounds);
    free(metric->buckets);
    free(metric);
}

void np_metrics_close(struct np_metrics *metrics)
{
    if (!metrics)
        return;
    while (metrics->first) {
        struct np_metric *next = metrics->first->next;

        metric_free(metrics->first);
        metrics->first = next;
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static struct np_metric *metric_make(enum np_metric_type type, const char *name, const char *labels, const char *help,
                                     const double *bounds)
{
    struct np_metric *metric = calloc(1, sizeof *metric);

    if (!metric)
        return NULL;
    metric->type = type;
    metric->name = strdup(name);
    metric->labels = strdup(labels);
    metric->help = strdup(help);
    while (type == NP_METRIC_HISTOGRAM && bounds && bounds[metric->n_bounds] != 0)
        metric->n_bounds++;
    metric->bounds = calloc(metric->n_bounds + 1, sizeof *metric->bounds);
    metric->buckets = calloc(metric->n_bounds + 1, sizeof *metric->buckets);
    if (!metric->name || !metric->labels || !metric->help || !metric->bounds || !metric->buckets) {
        metric_free(metric);
        return NULL;
    }
    if (metric->n_bounds > 0)
        memcpy(metric->bounds, bounds, metric->n_bounds * sizeof *bounds);
    return metric;
}

struct np_metric *np_metric(struct np_metrics *metrics, enum np_metric_type type, const char *name, const char *labels,
                            const char *help, const double *bounds)
{
    struct np_metric **at, *metric;
    int order = -1;

    pthread_mutex_lock(&metrics->lock);
    for (at = &metrics->first; *at; at = &(*at)->next) {
        order = strcmp((*at)->name, name);
        if (order == 0)
            order = strcmp((*at)->labels, labels);
        if (order >= 0)
            break;
    }
    metric = *at && order == 0 ? *at : NULL;
    if (!metric) {
        metric = metric_make(type, name, labels, help, bounds);
        if (metric) {
            metric->next = *at;
            *at = metric;
        }
    }
    pthread_mutex_unlock(&metrics->lock);
    return metric;
}

static void add(_Atomic double *to, double value)
{
    double old = atomic_load_explicit(to, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(to, &old, old + value, memory_order_relaxed, memory_order_relaxed))
        ;
}

void np_metric_add(struct np_metric *metric, double value)
{
    if (metric)
        add(&metric->value, value);
}

void np_metric_set(struct np_metric *metric, double value)
{
    if (metric)
        atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void np_metric_observe(struct np_metric *metric, double value)
{
    size_t i = 0;

    if (!metric)
        return;
    while (i < metric->n_bounds && !(value <= metric->bounds[i]))
        i++;
    atomic_fetch_add_explicit(&metric->buckets[i], 1, memory_order_relaxed);
    add(&metric->value, value);
}

/* HELP texts: backslash and line end are escaped (label values come escaped from the caller). */
static void write_help(const char *help, FILE *out)
{
    for (; *help; help++) {
        if (*help == '\\' || *help == '\n')
            fputc('\\', out);
        fputc(*help == '\n' ? 'n' : *help, out);
    }
}

static void write_histogram(const struct np_metric *metric, FILE *out)
{
    const char *comma = metric->labels[0] ? "," : "";
    const char *open = metric->labels[0] ? "{" : "", *close = metric->labels[0] ? "}" : "";
    unsigned long count = 0;

    for (size_t i = 0; i < metric->n_bounds; i++) {
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        fprintf(out, "%s_bucket{%s%sle=\"%g\"} %lu\n", metric->name, metric->labels, comma, metric->bounds[i], count);
    }
    count += atomic_load_explicit(&metric->buckets[metric->n_bounds], memory_order_relaxed);
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %lu\n", metric->name, metric->labels, comma, count);
    fprintf(out, "%s_sum%s%s%s %.17g\n", metric->name, open, metric->labels, close, atomic_load(&metric->value));
    fprintf(out, "%s_count%s%s%s %lu\n", metric->name, open, metric->labels, close, count);
}

void np_metrics_write(struct np_metrics *metrics, FILE *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *last = "";

    pthread_mutex_lock(&metrics->lock);
    for (struct np_metric *metric = metrics->first; metric; metric = metric->next) {
        if (strcmp(metric->name, last) != 0) {
            fprintf(out, "# HELP %s ", metric->name);
            write_help(metric->help, out);
            fprintf(out, "\n# TYPE %s %s\n", metric->name, types[metric->type]);
            last = metric->name;
        }
        if (metric->type == NP_METRIC_HISTOGRAM)
            write_histogram(metric, out);
        else
            fprintf(out, "%s%s%s%s %.17g\n", metric->name, metric->labels[0] ? "{" : "", metric->labels,
                    metric->labels[0] ? "}" : "", atomic_load(&metric->value));
    }
    pthread_mutex_unlock(&metrics->lock);
}
