#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>

#include "pipeline/metrics.h"

static void expect_text(struct np_metrics *metrics, const char *expected)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    np_metrics_write(metrics, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void series_of_a_name_stand_together_under_one_help_and_type(void **state)
{
    struct np_metrics *metrics = np_metrics_open();
    struct np_metric *one =
        np_metric(metrics, NP_METRIC_COUNTER, "a_total", "step=\"x\"", "Help of a.", NULL);
    struct np_metric *gauge = np_metric(metrics, NP_METRIC_GAUGE, "b", "", "Help of b.", NULL);
    struct np_metric *two =
        np_metric(metrics, NP_METRIC_COUNTER, "a_total", "step=\"y\"", "Help of a.", NULL);

    (void)state;
    np_metric_add(one, 3);
    np_metric_add(two, 1e15);
    np_metric_add(two, 1);
    np_metric_set(gauge, -0.1);
    expect_text(metrics, "# HELP a_total Help of a.\n"
                         "# TYPE a_total counter\n"
                         "a_total{step=\"x\"} 3\n"
                         "a_total{step=\"y\"} 1000000000000001\n"
                         "# HELP b Help of b.\n"
                         "# TYPE b gauge\n"
                         "b -0.1\n");
    np_metrics_close(metrics);
}

static void buckets_are_cumulative_and_a_value_on_a_bound_counts_below_it(void **state)
{
    static const double bounds[] = {0.1, 1, 0};
    struct np_metrics *metrics = np_metrics_open();
    struct np_metric *histogram = np_metric(metrics, NP_METRIC_HISTOGRAM, "h", "k=\"v\"", "H.", bounds);

    (void)state;
    np_metric_observe(histogram, 0.1);
    np_metric_observe(histogram, 0.5);
    np_metric_observe(histogram, 2);
    np_metric_observe(histogram, -1);
    expect_text(metrics, "# HELP h H.\n"
                         "# TYPE h histogram\n"
                         "h_bucket{k=\"v\",le=\"0.1\"} 2\n"
                         "h_bucket{k=\"v\",le=\"1\"} 3\n"
                         "h_bucket{k=\"v\",le=\"+Inf\"} 4\n"
                         "h_sum{k=\"v\"} 1.6\n"
                         "h_count{k=\"v\"} 4\n");
    np_metrics_close(metrics);
}

static void the_same_name_and_labels_give_the_same_series_and_another_type_none(void **state)
{
    struct np_metrics *metrics = np_metrics_open();
    struct np_metric *one = np_metric(metrics, NP_METRIC_COUNTER, "a", "k=\"1\"", "A.", NULL);

    (void)state;
    assert_non_null(one);
    assert_ptr_equal(np_metric(metrics, NP_METRIC_COUNTER, "a", "k=\"1\"", "A.", NULL), one);
    assert_ptr_not_equal(np_metric(metrics, NP_METRIC_COUNTER, "a", "k=\"2\"", "A.", NULL), one);
    assert_null(np_metric(metrics, NP_METRIC_GAUGE, "a", "k=\"1\"", "A.", NULL));
    np_metrics_close(metrics);
}

static void odd_numbers_and_help_texts_are_written_as_the_format_asks(void **state)
{
    struct np_metrics *metrics = np_metrics_open();

    (void)state;
    np_metric_set(np_metric(metrics, NP_METRIC_GAUGE, "g", "n=\"1\"", "back\\slash\nline", NULL), INFINITY);
    np_metric_set(np_metric(metrics, NP_METRIC_GAUGE, "g", "n=\"2\"", "", NULL), -INFINITY);
    np_metric_set(np_metric(metrics, NP_METRIC_GAUGE, "g", "n=\"3\"", "", NULL), NAN);
    expect_text(metrics, "# HELP g back\\\\slash\\nline\n# TYPE g gauge\n"
                         "g{n=\"1\"} +Inf\ng{n=\"2\"} -Inf\ng{n=\"3\"} NaN\n");
    np_metrics_close(metrics);
}

static void without_metrics_nothing_happens(void **state)
{
    (void)state;
    assert_null(np_metric(NULL, NP_METRIC_COUNTER, "a", "", "A.", NULL));
    np_metric_add(NULL, 1);
    np_metric_set(NULL, 1);
    np_metric_observe(NULL, 1);
    np_metrics_write(NULL, stdout);
    np_metrics_close(NULL);
}

enum { ADDS = 20000 };

static void *add_many(void *metrics)
{
    static const double bounds[] = {1, 2, 0};

    for (int i = 0; i < ADDS; i++) {
        np_metric_add(np_metric(metrics, NP_METRIC_COUNTER, "a", i % 2 ? "k=\"1\"" : "", "A.", NULL), 1);
        np_metric_observe(np_metric(metrics, NP_METRIC_HISTOGRAM, "h", "", "H.", bounds), i % 4);
    }
    return NULL;
}

static void no_update_of_several_threads_is_lost(void **state)
{
    struct np_metrics *metrics = np_metrics_open();
    pthread_t threads[4];
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, metrics), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    np_metrics_write(metrics, out);
    fclose(out);
    assert_non_null(strstr(text, "\na 40000\n"));
    assert_non_null(strstr(text, "\na{k=\"1\"} 40000\n"));
    assert_non_null(strstr(text, "\nh_bucket{le=\"1\"} 40000\n"));
    assert_non_null(strstr(text, "\nh_sum 120000\nh_count 80000\n"));
    free(text);
    np_metrics_close(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_of_a_name_stand_together_under_one_help_and_type),
        cmocka_unit_test(buckets_are_cumulative_and_a_value_on_a_bound_counts_below_it),
        cmocka_unit_test(the_same_name_and_labels_give_the_same_series_and_another_type_none),
        cmocka_unit_test(odd_numbers_and_help_texts_are_written_as_the_format_asks),
        cmocka_unit_test(without_metrics_nothing_happens),
        cmocka_unit_test(no_update_of_several_threads_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
