#include <stdio.h>

#include <np_build.h>

#include "kernels/kernels.h"
#include "pipeline/cli.h"
#include "pipeline/operator.h"

static enum np_exit version(const void *conf, int n_arguments, char **arguments)
{
    (void)conf;
    (void)n_arguments;
    (void)arguments;
    printf("netzpuls %s\n\nbuilt with:\n%s", NP_VERSION, NP_LIBRARIES);
    printf("\nthis build can:\n  kernels:");
    for (size_t i = 0; np_kernels_all[i]; i++)
        printf("%s %s%s", i ? "," : "", np_kernels_all[i]->name,
               np_kernels_all[i]->usable() ? "" : " (not on this machine)");
    printf("; used: %s\n  operators:", np_kernels_best()->name);
    for (size_t i = 0; np_operators[i]; i++)
        printf("%s %s", i ? "," : "", np_operators[i]->name);
    printf("\n  parts: %s\n", NP_PARTS);
    return NP_EXIT_OK;
}

const struct np_command np_cmd_version = {
    .name = "version",
    .arguments = "",
    .help = "Prints the version, the libraries in use, and what this build can do.",
    .text = "",
    .run = version,
};
