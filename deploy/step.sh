# Long steps of the shell scripts, one line each; sourced, needs $np_logs.

np_die()
{
    echo "error: $*" >&2
    exit 1
}

# np_retry N COMMAND...: tries up to N times, a few seconds apart.
np_retry()
{
    local tries=$1
    local try

    shift
    for try in $(seq "$tries"); do
        "$@" && return 0
        [ "$try" = "$tries" ] || { echo "try $try of $tries failed, again in $((try * 5)) s"; sleep $((try * 5)); }
    done
    return 1
}

# Shows seconds and the newest line of the log until killed; on a terminal only. Ends with its parent.
np_ticker()
{
    local text=$1
    local log=$2
    local since=$SECONDS
    local width line

    width=$(stty size 2>/dev/null < /dev/tty | cut -d' ' -f2)
    while sleep 1 && kill -0 $$ 2>/dev/null; do
        line=$(tail -c 400 "$log" | tr '\r' '\n' | sed -n '/[^ ]/h;${x;p}' | tr -cd '[:print:]')
        line=$(printf '%s ... %d s  %s' "$text" $((SECONDS - since)) "$line")
        printf '\r\033[K%s' "${line:0:$((${width:-80} - 1))}" >&2
    done
}

# np_step TEXT LOG COMMAND...: runs the command with its output in $np_logs/LOG and prints one line;
# the log's end and an exit follow upon failure. The command runs in the foreground, so that Ctrl-C reaches it.
np_step()
{
    local text=$1
    local log=$np_logs/$2
    local since=$SECONDS
    local ticker='' rc=0

    shift 2
    mkdir -p "$np_logs"
    : > "$log"
    if [ -t 2 ]; then
        np_ticker "$text" "$log" &
        ticker=$!
    else
        echo "$text ..." >&2
    fi
    "$@" >> "$log" 2>&1 < /dev/null || rc=$?
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null
        wait "$ticker" 2>/dev/null || true
        printf '\r\033[K' >&2
    fi
    if [ "$rc" = 0 ]; then
        echo "$text: ok ($((SECONDS - since)) s)" >&2
        return 0
    fi
    echo "$text: FAILED (exit $rc), the end of $log:" >&2
    tail -n 40 "$log" | sed 's/^/    /' >&2
    exit 1
}
