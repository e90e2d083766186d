#include "pipeline/cli.h"
#include "pipeline/operator_doc.h"

struct operators_conf {
    bool markdown;
};
static const struct np_option operators_flags[] = {
    {"markdown", NP_OPT_BOOL, offsetof(struct operators_conf, markdown), NULL, "false", 0, 0, NULL, false,
     "Print the whole reference as Markdown (docs/operators.md)."},
    {0},
};

static const char *nearest_operator(const char *name)
{
    const char *names[100];
    size_t n = 0;

    for (; np_operators[n] && n < sizeof names / sizeof *names; n++)
        names[n] = np_operators[n]->name;
    return np_nearest(name, names, n);
}

static enum np_exit operators(const void *conf, int n_arguments, char **arguments)
{
    const struct operators_conf *flags = conf;
    const struct np_operator *op;
    const char *nearest;
    struct np_error err;

    if (flags->markdown)
        return np_operators_markdown(stdout, &err) == NP_OK ? NP_EXIT_OK : np_cli_fail(&err);
    if (n_arguments == 0) {
        for (size_t i = 0; np_operators[i]; i++)
            printf("%-10s %s\n", np_operators[i]->name, np_operators[i]->help);
        return NP_EXIT_OK;
    }
    op = np_operator_find(arguments[0]);
    if (op)
        return np_operator_help(op, stdout, &err) == NP_OK ? NP_EXIT_OK : np_cli_fail(&err);
    nearest = nearest_operator(arguments[0]);
    fprintf(stderr,
            "netzpuls operators: there is no operator \"%s\"%s%s%s; `netzpuls operators` lists them\n",
            arguments[0], nearest ? " (did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?)" : "");
    return NP_EXIT_MISTAKE;
}

const struct np_command np_cmd_operators = {
    .name = "operators",
    .arguments = "[NAME]",
    .max_arguments = 1,
    .help = "Prints the reference of operators, their options and result columns.",
    .text = "Without NAME: the list of all.\n\n"
            "  netzpuls operators spectrum\n",
    .flags = operators_flags,
    .conf_size = sizeof(struct operators_conf),
    .run = operators,
};
