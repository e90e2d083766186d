#!/bin/bash
# Real servers for the quickstart and the tests: a Kafka broker, a schema registry and a private
# PostgreSQL cluster, all on free ports of 127.0.0.1, all they write in one folder DIR.
#
#   deploy/servers.sh start DIR [SERVER...]      starts kafka, registry, postgres (or those named), waits until
#                                                they answer, writes DIR/env (addresses; METRICS is a free one for
#                                                netzpuls) and DIR/dsn (database)
#   deploy/servers.sh stop DIR [SERVER...]       stops them; data and addresses stay, start goes on from there
#   deploy/servers.sh kill DIR SERVER...         by SIGKILL
#   deploy/servers.sh status DIR                 one line per server; exit 0 only if all run
#   deploy/servers.sh remove DIR                 stops them and deletes DIR
#   deploy/servers.sh topics DIR NAME:PARTITIONS[:KEY=VALUE]...    creates topics
#   deploy/servers.sh consume DIR TOPIC [OPTION...]    the broker's own console consumer, read_committed
#   deploy/servers.sh produce DIR TOPIC          one message per line of stdin, by the broker's console producer
#   deploy/servers.sh psql DIR [OPTION...]       psql, connected
#
# deploy/setup.sh must have run. Root starts PostgreSQL as the user postgres, which its package makes.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state=${NP_STATE:-$root/.state}
. "$root/deploy/process.sh"
SERVERS=(kafka registry postgres)
START_TIMEOUT_S=${NP_START_TIMEOUT_S:-120}
STOP_TIMEOUT_S=20

die()
{
    echo "servers: $*" >&2
    exit 1
}

# --- processes: DIR/NAME.pid holds pid and start time -------------------------------------------------

# Prints the pid of a running server; fails when it does not run.
pid_of()
{
    local pid since

    read -r pid since 2>/dev/null < "$dir/$1.pid" && np_process_lives "$pid" "$since" && echo "$pid"
}

# launch NAME COMMAND...: in a session of its own, out of reach of the terminal's Ctrl-C.
launch()
{
    local name=$1
    local pid

    shift
    setsid "$@" >> "$dir/$name.log" 2>&1 < /dev/null &
    pid=$!
    echo "$pid $(np_process_start $pid)" > "$dir/$name.pid"
    disown "$pid"
}

stop_server()
{
    local name=$1
    local signal=$2
    local pid waited

    pid=$(pid_of "$name") || { rm -f "$dir/$name.pid"; return 0; }
    kill "-$signal" "$pid" 2>/dev/null || true
    for waited in $(seq $((STOP_TIMEOUT_S * 20))); do
        pid_of "$name" >/dev/null || { rm -f "$dir/$name.pid"; return 0; }
        sleep 0.05
    done
    echo "servers: $name (pid $pid) did not stop within $STOP_TIMEOUT_S s, killed" >&2
    kill -KILL "$pid" 2>/dev/null || true
    sleep 0.2
    ! pid_of "$name" >/dev/null || die "$name (pid $pid) is still there"
    rm -f "$dir/$name.pid"
}

# PostgreSQL's SIGINT ends sessions at once and leaves a clean cluster; SIGTERM would wait for the clients.
stop_signal()
{
    [ "$1" = postgres ] && echo INT || echo TERM
}

# --- addresses ----------------------------------------------------------------------------------------

# Prints a port of 127.0.0.1 on which nobody listens, below the range of outgoing connections.
free_port()
{
    local port

    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if [[ " ${taken:-} " != *" $port "* ]] && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

choose_addresses()
{
    local taken='' port ports=()
    local i password

    for i in 1 2 3 4 5; do
        port=$(free_port)
        taken+=" $port"
        ports+=("$port")
    done
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    umask 077
    cat > "$dir/env" <<EOF
KAFKA=127.0.0.1:${ports[0]}
KAFKA_CONTROLLER_PORT=${ports[1]}
REGISTRY=http://127.0.0.1:${ports[2]}/apis/ccompat/v7
PGHOST=127.0.0.1
PGPORT=${ports[3]}
PGUSER=netzpuls
PGPASSWORD=$password
PGDATABASE=netzpuls
DSN_FILE=$dir/dsn
METRICS=127.0.0.1:${ports[4]}
EOF
    echo "host=127.0.0.1 port=${ports[3]} user=netzpuls password=$password dbname=netzpuls" > "$dir/dsn"
    umask 022
}

read_addresses()
{
    [ -e "$dir/env" ] || die "$dir has no servers: start them first"
    set -a
    . "$dir/env"
    set +a
}

# --- the three servers --------------------------------------------------------------------------------

# A program of the broker's; with exec_tool=exec it takes this shell's place, so that signals reach it.
java_tool()
{
    ${exec_tool:-} java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -Dlog4j2.configurationFile="$root/deploy/kafka/log4j2.properties" -cp "$state/kafka/*" "$@"
}

kafka_start()
{
    local data=$dir/kafka

    if [ ! -e "$dir/server.properties" ]; then
        sed -e "s|@PORT@|${KAFKA##*:}|; s|@CONTROLLER_PORT@|$KAFKA_CONTROLLER_PORT|; s|@DATA@|$data|" \
            "$root/deploy/kafka/server.properties" > "$dir/server.properties"
        java_tool kafka.tools.StorageTool format -t bmV0enB1bHMtcXVpY2tzdA -c "$dir/server.properties" \
            >> "$dir/kafka.log" 2>&1 || return 1
    fi
    launch kafka java -Xms256m -Xmx512m -XX:+UseG1GC \
        -Dlog4j2.configurationFile="$root/deploy/kafka/log4j2.properties" \
        -cp "$state/kafka/*" kafka.Kafka "$dir/server.properties"
}

kafka_ready()
{
    tail -c +"$((log_before[kafka] + 1))" "$dir/kafka.log" | grep -q 'Kafka Server started'
}

registry_start()
{
    local port=${REGISTRY#http://127.0.0.1:}

    launch registry java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dquarkus.http.host=127.0.0.1 \
        -Dquarkus.http.port="${port%%/*}" -jar "$state"/registry/apicurio-registry-app-*-runner.jar
}

registry_ready()
{
    curl -sf -o /dev/null --noproxy '*' --max-time 5 "${REGISTRY%/apis/*}/health/ready"
}

# Runs a command as the user of the database: root must not, everybody else is it himself.
as_postgres()
{
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups "$@"
    else
        "$@"
    fi
}

# Prints the folder of the cluster: in DIR unless the user postgres cannot get there.
postgres_folder()
{
    local place

    if [ ! -e "$dir/postgres.path" ]; then
        place=$dir/postgres
        mkdir -p "$place"
        if [ "$(id -u)" = 0 ]; then
            chown postgres: "$place"
            if ! (cd / && as_postgres test -w "$place"); then
                rmdir "$place"
                place=$(mktemp -d /var/tmp/netzpuls-postgres.XXXXXX)
                chown postgres: "$place"
            fi
        fi
        chmod 700 "$place"
        echo "$place" > "$dir/postgres.path"
    fi
    cat "$dir/postgres.path"
}

postgres_start()
{
    local place bin

    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    place=$(postgres_folder)
    cd /
    if [ ! -e "$place/data/PG_VERSION" ]; then
        as_postgres sh -c 'umask 077; cat > "$1"' sh "$place/password" <<< "$PGPASSWORD"
        as_postgres "$bin/initdb" -D "$place/data" -U "$PGUSER" --auth=scram-sha-256 --pwfile="$place/password" \
            --encoding=UTF8 --locale=C.UTF-8 --no-sync >> "$dir/postgres.log" 2>&1 || return 1
        as_postgres rm "$place/password"
        as_postgres tee -a "$place/data/postgresql.conf" >/dev/null <<EOF
listen_addresses = '127.0.0.1'
port = $PGPORT
unix_socket_directories = ''
timezone = 'UTC'
log_timezone = 'UTC'
EOF
    fi
    if [ "$(id -u)" = 0 ]; then
        launch postgres setpriv --reuid=postgres --regid=postgres --init-groups "$bin/postgres" -D "$place/data"
    else
        launch postgres "$bin/postgres" -D "$place/data"
    fi
}

# Ready when it answers, and the database is there.
postgres_ready()
{
    local found

    found=$(PGCONNECT_TIMEOUT=5 psql -XAtq -d postgres \
        -c "SELECT count(*) FROM pg_database WHERE datname = '$PGDATABASE'" 2>/dev/null) || return 1
    [ "$found" = 1 ] || psql -Xq -d postgres -c "CREATE DATABASE \"$PGDATABASE\"" >> "$dir/postgres.log" 2>&1
}

# --- commands -----------------------------------------------------------------------------------------

declare -A log_before=()

# Starts the named servers side by side and waits for all of them.
start_servers()
{
    local name waited

    for name in "$@"; do
        touch "$dir/$name.log"
        log_before[$name]=0
        if ! pid_of "$name" >/dev/null; then
            log_before[$name]=$(stat -c %s "$dir/$name.log")
            "${name}_start" || { failed=$name; return 1; }
        fi
    done
    for name in "$@"; do
        failed=$name
        for waited in $(seq $((START_TIMEOUT_S * 10))); do
            pid_of "$name" >/dev/null || return 1
            ! "${name}_ready" || continue 2
            sleep 0.1
        done
        return 1
    done
}

cmd_start()
{
    local try name failed='' fresh=no

    mkdir -p "$dir"
    chmod 711 "$dir"
    for name in "$@"; do
        [ "$name" = postgres ] || [ -d "$state/$name" ] || die "$state holds no servers: run deploy/setup.sh first"
    done
    [ -e "$dir/env" ] || fresh=yes
    for try in 1 2 3; do
        [ -e "$dir/env" ] || choose_addresses
        read_addresses
        ! start_servers "$@" || return 0
        # somebody took a port between our look and the server's start: all over with other ports
        if [ "$try" -lt 3 ] && [ $fresh = yes ] &&
            grep -qiE 'already in use|BindException|could not bind' "$dir"/*.log; then
            cmd_stop "$@"
            [ ! -e "$dir/postgres.path" ] || rm -rf "$(cat "$dir/postgres.path")"
            rm -rf "$dir/kafka" "$dir"/{env,dsn,server.properties,postgres.path} "$dir"/*.log
            continue
        fi
        echo "servers: ${failed:-a server} does not start; the end of $dir/${failed:-kafka}.log:" >&2
        tail -n 20 "$dir/${failed:-kafka}.log" 2>/dev/null | sed 's/^/    /' >&2
        cmd_stop "$@"
        return 1
    done
}

cmd_stop()
{
    local name

    for name in "$@"; do
        stop_server "$name" "$(stop_signal "$name")" &
    done
    wait
}

cmd_kill()
{
    local name

    for name in "$@"; do
        # the postmaster's children must be gone too before a new one may use the same files
        stop_server "$name" KILL
        if [ "$name" = postgres ] && [ -e "$dir/postgres.path" ]; then
            end_backends "$(cat "$dir/postgres.path")/data"
        fi
    done
}

# Waits for the backends of a killed postmaster, told by their working directory, and kills those that stay.
# Then no process uses the cluster; its lock file is removed because a postmaster that init has not reaped yet
# would count as running.
end_backends()
{
    local try signal=0 link found

    for try in $(seq 100); do
        [ "$try" -lt 40 ] || signal=KILL
        found=no
        for link in /proc/[0-9]*/cwd; do
            if [ "$(readlink "$link" 2>/dev/null)" = "$1" ]; then
                found=yes
                kill "-$signal" "$(basename "$(dirname "$link")")" 2>/dev/null || true
            fi
        done
        [ $found = yes ] || { rm -f "$1/postmaster.pid"; return 0; }
        sleep 0.05
    done
    die "backends of $1 are still there"
}

cmd_status()
{
    local name pid rc=0

    for name in "${SERVERS[@]}"; do
        if pid=$(pid_of "$name"); then
            echo "$name: running, pid $pid"
        else
            echo "$name: not running"
            rc=1
        fi
    done
    return $rc
}

cmd_remove()
{
    [ -e "$dir" ] || return 0
    [ -e "$dir/env" ] || [ -z "$(ls -A "$dir")" ] || die "$dir is not a folder of servers, nothing removed"
    cmd_stop "${SERVERS[@]}"
    [ ! -e "$dir/postgres.path" ] || rm -rf "$(cat "$dir/postgres.path")"
    rm -rf "$dir"
}

cmd_topics()
{
    local topic name partitions config args running=0

    for topic in "$@"; do
        IFS=: read -r name partitions config <<< "$topic"
        args=(--create --if-not-exists --topic "$name" --partitions "${partitions:-1}" --replication-factor 1)
        [ -z "$config" ] || args+=(--config "$config")
        java_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$KAFKA" "${args[@]}" >/dev/null &
        running=$((running + 1))
        if [ $running = 2 ]; then
            wait -n || die "a topic could not be created"
            running=1
        fi
    done
    wait -n 2>/dev/null || [ $? = 127 ] || die "a topic could not be created"
}

cmd_consume()
{
    local topic=$1

    shift
    exec_tool=exec
    java_tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$KAFKA" --topic "$topic" \
        --isolation-level read_committed --from-beginning "$@"
}

cmd_produce()
{
    java_tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$KAFKA" --topic "$1"
}

usage()
{
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit 1
}

[ $# -ge 2 ] || usage
command=$1
case $2 in
/*) dir=$2 ;;
*) dir=$PWD/$2 ;;
esac
shift 2
case $command in
start | stop)
    [ $# -gt 0 ] || set -- "${SERVERS[@]}"
    ;;
kill)
    [ $# -gt 0 ] || usage
    ;;
topics | consume | produce | psql) read_addresses ;;
esac
case $command in
start | stop | kill)
    for name in "$@"; do
        [[ " ${SERVERS[*]} " == *" $name "* ]] || die "no server '$name': ${SERVERS[*]}"
    done
    "cmd_$command" "$@"
    ;;
status | remove | topics | consume | produce) "cmd_$command" "$@" ;;
psql) exec psql -X "$@" ;;
*) usage ;;
esac
