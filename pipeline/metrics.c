#include "pipeline/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct family;

/* One series. Values change without a lock; everything else is constant once it is linked in. */
struct np_metric {
    const struct family *family;
    char *labels;
    _Atomic double value;     /* counter, gauge; histogram: sum of the observations */
    _Atomic uint64_t *counts; /* histogram: [n_bounds + 1], each bucket alone; the last is +Inf's */
    struct np_metric *next;
};

/* All series of a name, which must stand together in the text. */
struct family {
    char *name, *help;
    enum np_metric_type type;
    size_t n_bounds;
    double *bounds;
    struct np_metric *first;
    struct family *next;
};

struct np_metrics {
    pthread_mutex_t lock; /* over the lists, not over the values */
    struct family *first;
};

struct np_metrics *np_metrics_open(void)
{
    struct np_metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics)
        pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

static void metric_close(struct np_metric *metric)
{
    if (!metric)
        return;
    free(metric->labels);
    free(metric->counts);
    free(metric);
}

static void family_close(struct family *family)
{
    if (!family)
        return;
    for (struct np_metric *next, *metric = family->first; metric; metric = next) {
        next = metric->next;
        metric_close(metric);
    }
    free(family->name);
    free(family->help);
    free(family->bounds);
    free(family);
}

void np_metrics_close(struct np_metrics *metrics)
{
    if (!metrics)
        return;
    for (struct family *next, *family = metrics->first; family; family = next) {
        next = family->next;
        family_close(family);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static struct family *family_open(enum np_metric_type type, const char *name, const char *help,
                                  const double *bounds)
{
    struct family *family = calloc(1, sizeof *family);

    if (!family)
        return NULL;
    family->type = type;
    family->name = strdup(name);
    family->help = strdup(help);
    while (bounds && bounds[family->n_bounds] != 0)
        family->n_bounds++;
    family->bounds = calloc(family->n_bounds + 1, sizeof *family->bounds);
    if (!family->name || !family->help || !family->bounds) {
        family_close(family);
        return NULL;
    }
    for (size_t i = 0; i < family->n_bounds; i++)
        family->bounds[i] = bounds[i];
    return family;
}

static struct np_metric *metric_open(const struct family *family, const char *labels)
{
    struct np_metric *metric = calloc(1, sizeof *metric);

    if (!metric)
        return NULL;
    metric->family = family;
    metric->labels = strdup(labels);
    if (family->type == NP_METRIC_HISTOGRAM)
        metric->counts = calloc(family->n_bounds + 1, sizeof *metric->counts);
    if (!metric->labels || (family->type == NP_METRIC_HISTOGRAM && !metric->counts)) {
        metric_close(metric);
        return NULL;
    }
    return metric;
}

/* Both keep their lists in the order of making, so that the text does not jump from scrape to scrape. */
static struct family *find_family(struct np_metrics *metrics, enum np_metric_type type, const char *name,
                                  const char *help, const double *bounds)
{
    struct family **place = &metrics->first;

    while (*place && strcmp((*place)->name, name) != 0)
        place = &(*place)->next;
    if (!*place)
        *place = family_open(type, name, help, bounds);
    return *place && (*place)->type == type ? *place : NULL;
}

static struct np_metric *find_metric(struct family *family, const char *labels)
{
    struct np_metric **place = &family->first;

    while (*place && strcmp((*place)->labels, labels) != 0)
        place = &(*place)->next;
    if (!*place)
        *place = metric_open(family, labels);
    return *place;
}

struct np_metric *np_metric(struct np_metrics *metrics, enum np_metric_type type, const char *name,
                            const char *labels, const char *help, const double *bounds)
{
    struct family *family;
    struct np_metric *metric;

    if (!metrics)
        return NULL;
    pthread_mutex_lock(&metrics->lock);
    family = find_family(metrics, type, name, help, bounds);
    metric = family ? find_metric(family, labels) : NULL;
    pthread_mutex_unlock(&metrics->lock);
    return metric;
}

void np_metric_add(struct np_metric *metric, double value)
{
    double old;

    if (!metric)
        return;
    old = atomic_load_explicit(&metric->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&metric->value, &old, old + value, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void np_metric_set(struct np_metric *metric, double value)
{
    if (metric)
        atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void np_metric_observe(struct np_metric *metric, double value)
{
    size_t bucket = 0;

    if (!metric || !metric->counts)
        return;
    while (bucket < metric->family->n_bounds && !(value <= metric->family->bounds[bucket]))
        bucket++;
    atomic_fetch_add_explicit(&metric->counts[bucket], 1, memory_order_relaxed);
    np_metric_add(metric, value);
}

/* The shortest form that reads back as the same number: bounds stay "0.1". @return out */
static const char *number_text(double value, char out[32])
{
    if (isnan(value))
        return strcpy(out, "NaN");
    if (isinf(value))
        return strcpy(out, value > 0 ? "+Inf" : "-Inf");
    snprintf(out, 32, "%.15g", value);
    if (strtod(out, NULL) != value)
        snprintf(out, 32, "%.17g", value);
    return out;
}

static void write_sample(FILE *out, const struct np_metric *metric, const char *suffix, const char *bound,
                         double value)
{
    const char *labels = metric->labels;
    char number[32];

    fprintf(out, "%s%s", metric->family->name, suffix);
    if (*labels || bound)
        fprintf(out, "{%s%s%s%s%s}", labels, *labels && bound ? "," : "", bound ? "le=\"" : "",
                bound ? bound : "", bound ? "\"" : "");
    fprintf(out, " %s\n", number_text(value, number));
}

static void write_histogram(FILE *out, const struct np_metric *metric)
{
    uint64_t count = 0;
    char bound[32];

    for (size_t i = 0; i <= metric->family->n_bounds; i++) {
        count += atomic_load_explicit(&metric->counts[i], memory_order_relaxed);
        number_text(i < metric->family->n_bounds ? metric->family->bounds[i] : INFINITY, bound);
        write_sample(out, metric, "_bucket", bound, (double)count);
    }
    write_sample(out, metric, "_sum", NULL, atomic_load_explicit(&metric->value, memory_order_relaxed));
    write_sample(out, metric, "_count", NULL, (double)count);
}

static void write_escaped(FILE *out, const char *help)
{
    for (; *help; help++) {
        if (*help == '\\')
            fputs("\\\\", out);
        else if (*help == '\n')
            fputs("\\n", out);
        else
            fputc(*help, out);
    }
}

void np_metrics_write(struct np_metrics *metrics, FILE *out)
{
    static const char *const type_names[] = {
        [NP_METRIC_COUNTER] = "counter", [NP_METRIC_GAUGE] = "gauge", [NP_METRIC_HISTOGRAM] = "histogram"};

    if (!metrics)
        return;
    pthread_mutex_lock(&metrics->lock);
    for (const struct family *family = metrics->first; family; family = family->next) {
        fprintf(out, "# HELP %s ", family->name);
        write_escaped(out, family->help);
        fprintf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
        for (const struct np_metric *metric = family->first; metric; metric = metric->next) {
            if (family->type == NP_METRIC_HISTOGRAM)
                write_histogram(out, metric);
            else
                write_sample(out, metric, "", NULL,
                             atomic_load_explicit(&metric->value, memory_order_relaxed));
        }
    }
    pthread_mutex_unlock(&metrics->lock);
}
