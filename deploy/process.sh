# Processes of the shell scripts, known by pid and start time, so that a reused pid is not taken for ours; sourced.

# Prints when the process started, in the kernel's ticks; nothing if there is none.
np_process_start()
{
    # field 22 of stat, counted after the command's name, which may hold blanks
    sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# np_process_lives PID START: it is still the same process, and not only a dead one that nobody has waited for yet.
np_process_lives()
{
    [ -n "$2" ] && [ "$(np_process_start "$1")" = "$2" ] &&
        [ "$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1)" != Z ]
}
