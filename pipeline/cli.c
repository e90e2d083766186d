#include "pipeline/cli.h"

#include <stdlib.h>
#include <string.h>

static const char exit_codes[] =
    "Exit status: 0 ok; 1 a mistake of the user's (command line, pipeline file, input file);\n"
    "2 a failure at run time (a server, the network, memory).\n";

/* What a command line holds besides the command's name. */
struct line {
    void *conf;
    char **arguments;
    int n_arguments;
    bool help;
};

enum np_exit np_cli_fail(const struct np_error *err)
{
    fprintf(stderr, "netzpuls: %s\n", err->text);
    return err->status == NP_ECONFIG || err->status == NP_EDATA ? NP_EXIT_MISTAKE : NP_EXIT_FAILURE;
}

static void print_usage(const struct np_command *command, FILE *out)
{
    fprintf(out, "usage: netzpuls %s%s%s%s\n", command->name, command->flags ? " [FLAGS]" : "",
            command->arguments[0] ? " " : "", command->arguments);
}

static void print_help(const struct np_command *command, FILE *out)
{
    print_usage(command, out);
    fprintf(out, "\n%s\n%s", command->help, command->text);
    if (command->flags) {
        fputs("\nFlags:\n", out);
        np_options_help(command->flags, "--", out);
    }
    fprintf(out, "\n%s", exit_codes);
}

static void print_commands(const struct np_command *const *commands, FILE *out)
{
    fputs("usage: netzpuls COMMAND ...\n\n"
          "Turns Kafka topics of grid waveforms and sensor readings into power-quality values, spectra, "
          "anomalies and\n"
          "alerts, exactly once, in topics and in PostgreSQL.\n\n",
          out);
    for (; *commands; commands++)
        fprintf(out, "  %-10s %s\n", (*commands)->name, (*commands)->help);
    fprintf(out, "  %-10s %s\n\n%s", "help", "this list; `netzpuls help COMMAND`: all about one", exit_codes);
}

static const struct np_command *find_command(const struct np_command *const *commands, const char *name)
{
    const char *names[32] = {"help"}, *nearest;
    size_t n = 1;

    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
        if (n < sizeof names / sizeof *names)
            names[n++] = commands[i]->name;
    }
    nearest = np_nearest(name, names, n);
    fprintf(stderr, "netzpuls: there is no command \"%s\"", name);
    if (nearest)
        fprintf(stderr, " (did you mean \"%s\"?)", nearest);
    fputs("; `netzpuls help` lists them\n", stderr);
    return NULL;
}

static const struct np_option *find_flag(const struct np_command *command, const char *name, size_t length)
{
    for (const struct np_option *row = command->flags; row && row->name; row++)
        if (strlen(row->name) == length && strncmp(row->name, name, length) == 0)
            return row;
    return NULL;
}

static bool unknown_flag(const struct np_command *command, const char *text)
{
    const char *names[64] = {"help"}, *nearest;
    size_t n = 1;
    char *name = strndup(text + (strncmp(text, "--", 2) == 0 ? 2 : 1), strcspn(text, "="));

    for (const struct np_option *row = command->flags; row && row->name && n < sizeof names / sizeof *names;
         row++)
        names[n++] = row->name;
    if (name)
        name[strcspn(name, "=")] = '\0';
    nearest = name ? np_nearest(name, names, n) : NULL;
    free(name);
    fprintf(stderr, "netzpuls %s: unknown flag %.*s", command->name, (int)strcspn(text, "="), text);
    if (nearest)
        fprintf(stderr, " (did you mean --%s?)", nearest);
    fprintf(stderr, "; `netzpuls help %s` lists them\n", command->name);
    return false;
}

/* Reads the flag at argv[*i] and its value. @return false after telling what is wrong */
static bool read_flag(const struct np_command *command, int argc, char **argv, int *i, struct line *line)
{
    char *text = argv[*i];
    const char *equals = strchr(text, '='), *value;
    size_t length = strcspn(text, "=");
    const struct np_option *row =
        strncmp(text, "--", 2) == 0 ? find_flag(command, text + 2, length - 2) : NULL;
    struct np_error err;

    if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
        line->help = true;
        return true;
    }
    if (!row)
        return unknown_flag(command, text);
    if (equals) {
        value = equals + 1;
    } else if (row->type == NP_OPT_BOOL) {
        value = "true";
    } else if (*i + 1 < argc) {
        value = argv[++*i];
    } else {
        char allowed[600];

        np_option_allowed(row, allowed, sizeof allowed);
        fprintf(stderr, "netzpuls %s: --%s needs a value: %s\n", command->name, row->name, allowed);
        return false;
    }
    if (np_option_value(row, value, line->conf, &err) != NP_OK) {
        fprintf(stderr, "netzpuls %s: --%s\n", command->name, err.text);
        return false;
    }
    return true;
}

static bool set_defaults(const struct np_command *command, void *conf)
{
    struct np_mistakes mistakes = {0};
    const char *must[64] = {NULL};
    size_t n = 0;
    bool ok;

    for (const struct np_option *row = command->flags; row && row->name; row++)
        if (!row->default_text && n + 1 < sizeof must / sizeof *must)
            must[n++] = row->name;
    if (command->flags)
        np_options_read(command->flags, NULL, must, conf, &mistakes);
    ok = !np_mistakes_any(&mistakes);
    if (!ok)
        np_mistakes_print(&mistakes, stderr);
    np_mistakes_free(&mistakes);
    return ok;
}

/* A flag without default must have been given. */
static bool has_required(const struct np_command *command, int argc, char **argv)
{
    for (const struct np_option *row = command->flags; row && row->name; row++) {
        size_t length = strlen(row->name);
        bool given = row->default_text != NULL;

        for (int i = 1; i < argc && !given; i++)
            given = strncmp(argv[i], "--", 2) == 0 && strncmp(argv[i] + 2, row->name, length) == 0 &&
                    (argv[i][2 + length] == '\0' || argv[i][2 + length] == '=');
        if (!given) {
            char allowed[600];

            np_option_allowed(row, allowed, sizeof allowed);
            fprintf(stderr, "netzpuls %s: --%s is missing: %s\n", command->name, row->name, allowed);
            return false;
        }
    }
    return true;
}

static bool read_line(const struct np_command *command, int argc, char **argv, struct line *line)
{
    bool flags = true;

    for (int i = 1; i < argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0)
            flags = false;
        else if (!flags || argv[i][0] != '-' || argv[i][1] == '\0')
            line->arguments[line->n_arguments++] = argv[i];
        else if (!read_flag(command, argc, argv, &i, line))
            return false;
        if (line->help)
            return true;
    }
    if (!has_required(command, argc, argv))
        return false;
    if (line->n_arguments >= command->min_arguments && line->n_arguments <= command->max_arguments)
        return true;
    fprintf(stderr, "netzpuls %s: %s\n", command->name,
            line->n_arguments < command->min_arguments ? "something is missing" : "more than it takes");
    print_usage(command, stderr);
    return false;
}

static int run_command(const struct np_command *command, int argc, char **argv)
{
    struct line line = {.conf = calloc(1, command->conf_size + 1),
                        .arguments = calloc((size_t)argc + 1, sizeof *line.arguments)};
    int status = NP_EXIT_MISTAKE;

    if (!line.conf || !line.arguments || !set_defaults(command, line.conf)) {
        fputs("netzpuls: out of memory\n", stderr);
        status = NP_EXIT_FAILURE;
    } else if (read_line(command, argc, argv, &line)) {
        if (line.help)
            print_help(command, stdout);
        status = line.help ? NP_EXIT_OK : (int)command->run(line.conf, line.n_arguments, line.arguments);
    }
    if (line.conf)
        np_options_free(command->flags, line.conf);
    free(line.conf);
    free(line.arguments);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("netzpuls: cannot write to standard output");
        status = NP_EXIT_FAILURE;
    }
    return status;
}

int np_cli_run(const struct np_command *const *commands, int argc, char **argv)
{
    const struct np_command *command;
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name) {
        print_commands(commands, stderr);
        return NP_EXIT_MISTAKE;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    if (strcmp(name, "help") != 0 && strcmp(name, "--help") != 0 && strcmp(name, "-h") != 0) {
        command = find_command(commands, name);
        return command ? run_command(command, argc - 1, argv + 1) : NP_EXIT_MISTAKE;
    }
    if (argc == 2) {
        print_commands(commands, stdout);
        return NP_EXIT_OK;
    }
    command = find_command(commands, argv[2]);
    if (!command)
        return NP_EXIT_MISTAKE;
    print_help(command, stdout);
    return NP_EXIT_OK;
}
