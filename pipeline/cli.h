/* The command line: commands as descriptors, their flags as option rows, so that parsing, errors and help are
 * made from one description. A command is one file cmd_NAME.c that exports `const struct np_command
 * np_cmd_NAME`, and one line in the table of main.c. */
#ifndef NP_CLI_H
#define NP_CLI_H

#include "pipeline/option.h"
#include "pipeline/pipeline.h"

enum np_exit {
    NP_EXIT_OK = 0,
    NP_EXIT_MISTAKE = 1,          /* the user's: the command line, the pipeline file, an input file */
    NP_EXIT_FAILURE = 2,          /* at run time: a server, the network, memory */
};

struct np_command {
    const char *name;
    const char *arguments;        /* what follows the flags, for the usage line: "PIPELINE"; "" for nothing */
    int min_arguments, max_arguments;
    const char *help;             /* one line for `netzpuls help` */
    const char *text;             /* the long help: what it does, with examples; lines end in \n */
    const struct np_option *flags;    /* row "speed" is --speed VALUE, a BOOL row --json. NULL: none */
    size_t conf_size;             /* of the struct that the flags fill */
    /** @param conf  the flags' values, borrowed. Data goes to stdout, everything else to stderr. */
    enum np_exit (*run)(const void *conf, int n_arguments, char **arguments);
};

/** Finds the command, reads its flags, runs it; answers `help`, --help and --version. @return exit status */
int np_cli_run(const struct np_command *const *commands, int argc, char **argv);
/**
 * Loads a pipeline file for a command; every mistake is printed to stderr.
 * @param secrets  read the files and variables that hold secrets: servers will be asked
 * @return given, or NULL with what to exit with in *failed
 */
struct np_pipeline *np_cli_pipeline(const char *path, bool secrets, enum np_exit *failed);
/** Prints "netzpuls: text" to stderr. @return what the program must exit with for this status */
enum np_exit np_cli_fail(const struct np_error *err);

#endif
