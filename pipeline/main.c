#include "pipeline/cli.h"

extern const struct np_command np_cmd_check;
extern const struct np_command np_cmd_feed;
extern const struct np_command np_cmd_operators;
extern const struct np_command np_cmd_replay;
extern const struct np_command np_cmd_run;
extern const struct np_command np_cmd_version;

int main(int argc, char **argv)
{
    static const struct np_command *const commands[] = {
        &np_cmd_check,
#ifdef NP_KAFKA
        &np_cmd_feed,
#endif
        &np_cmd_operators,
        &np_cmd_replay,
#ifdef NP_KAFKA
        &np_cmd_run,
#endif
        &np_cmd_version,
        NULL,
    };

    return np_cli_run(commands, argc, argv);
}
