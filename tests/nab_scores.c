/* nab_scores IN.csv OUT.csv [WARM_UP]: writes the anomaly score of each row of a file of the Numenta
 * benchmark, a number a line, by the core of the operator `anomaly`: silent warm-up, refractory period, no
 * threshold. The warm-up is the benchmark's, min(15 % of the rows, 750), if none is given. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operators/anomaly.h"

#define SPAN 16u

static size_t read_values(FILE *file, double *values, size_t capacity)
{
    char line[256];
    size_t n = 0;

    if (!fgets(line, sizeof line, file))    /* the header */
        return 0;
    while (n < capacity && fgets(line, sizeof line, file)) {
        const char *comma = strchr(line, ',');

        if (comma)
            values[n++] = strtod(comma + 1, NULL);
    }
    return n;
}

int main(int argc, char **argv)
{
    static double values[100000];
    static struct np_anomaly state;
    struct np_refractory refractory = {0};
    size_t n, warm_up;
    FILE *in, *out;

    if (argc != 3 && argc != 4)
        return fprintf(stderr, "usage: nab_scores IN.csv OUT.csv [WARM_UP]\n"), 2;
    if (!(in = fopen(argv[1], "r")) || !(out = fopen(argv[2], "w")))
        return perror("nab_scores"), 2;
    n = read_values(in, values, sizeof values / sizeof *values);
    fclose(in);
    warm_up = n * 15 / 100 < 750 ? n * 15 / 100 : 750;
    if (argc == 4)
        warm_up = strtoul(argv[3], NULL, 10);
    for (size_t i = 0; i < n; i++) {
        double score = np_anomaly_push(&state, SPAN, values[i]).score;

        bool pass = np_refractory_pass(&refractory, (uint64_t)(0.35 * (double)warm_up), i + 1, score);

        fprintf(out, "%.17g\n", pass && i >= warm_up ? score : 0);
    }
    return fclose(out) == 0 ? 0 : 2;
}
