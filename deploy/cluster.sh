#!/usr/bin/env bash
# Runs a whole cluster on this machine until Ctrl-C: redis-server, NODES nodes and
# a balancer, all on loopback, each a child of this script. `make cluster` calls it.
#
# Settings, from the environment:
#   NODES=3            how many nodes
#   PORT=8080          the balancer's port; 0 takes any free one
#   HOST=127.0.0.1     the balancer's address; 0.0.0.0 opens it to the network
#   BALANCER=haproxy   or nginx: deploy/haproxy.cfg or deploy/nginx.conf
#   BALANCER_CERT=     PEM file of certificate and key, its whole path: TLS;
#                      for BALANCER_STICKY and others see deploy/haproxy.cfg
#   ADAPTER=redis      adapter.type of the nodes
#   CONFIG=deploy/node.yaml   their configuration file
#   NODE_ARGS=         more arguments for each node, separated by white space
#   REDIS_URL=         use this Redis and start none
#   BUILD=build        where the node is: $BUILD/confab
#   CLUSTER_DIR=$BUILD/cluster   everything that is written goes here; clusters
#                      with directories of their own run side by side
#   START_SECONDS=30   to be ready within
#   STOP_SECONDS=40    what a node may take to drain before it is killed: longer
#                      than its drain.notice_ms, drain.window_ms and 4 s
#
# For programs that start it: once everything serves, one line on stdout,
#   ready url=http://127.0.0.1:8080 nodes=node-1:PID:PORT:ADMIN,node-2:PID:PORT:ADMIN redis=PORT balancer=PID stats=PORT
# (ADMIN: the port of the node's admin listener)
# and nothing else there (redis=none with REDIS_URL, stats=none with nginx). All
# other words go to stderr. SIGTERM or SIGINT stops everything, a second one at once. Exit status:
#   0  stopped as told, and every node that was still running ended with 0
#   1  did not become ready, or a node ended badly or had to be killed
#   2  cannot start like this: port taken, program missing, already running
# When this script is killed, the kernel kills its children.
#
# In CLUSTER_DIR, for each NAME (node-1 ..., redis, haproxy or nginx):
#   NAME.log    what it prints, appended
#   NAME.pid    while it runs
#   NAME.start  a script that starts it again as it was: same port, same name
# SIGUSR2 to HAProxy reads haproxy.cfg again; no connection is lost by that
# before BALANCER_HARD_STOP.
# Whatever ends is reported and stays ended. A test that kills a node runs
# node-2.start to have it back; what was started so is stopped with the rest.
# shellcheck disable=SC2317  # some functions are called through until_true
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build}
dir=${CLUSTER_DIR:-$build/cluster}
nodes=${NODES:-3}
port=${PORT:-8080}
host=${HOST:-127.0.0.1}
adapter=${ADAPTER:-redis}
balancer=${BALANCER:-haproxy}
config=${CONFIG:-$root/deploy/node.yaml}
start_seconds=${START_SECONDS:-30}
stop_seconds=${STOP_SECONDS:-40}
read -r -a node_args <<<"${NODE_ARGS:-}"

say() { printf '%s\n' "$*" >&2; }
refuse() {
    say "cluster: $*"
    exit 2
}

case $nodes in '' | *[!0-9]* | 0) refuse "NODES=$nodes is not a number of nodes" ;; esac
case $port in '' | *[!0-9]*) refuse "PORT=$port is not a port" ;; esac
[ -x "$build/confab" ] || refuse "there is no $build/confab: run make first"
case $balancer in haproxy | nginx) ;; *) refuse "BALANCER=$balancer is neither haproxy nor nginx" ;; esac
for program in redis-server "$balancer" setpriv setsid; do
    [ -n "${REDIS_URL:-}" ] && [ "$program" = redis-server ] && continue
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null ||
        refuse "$program is not installed (deploy/deps.sh cluster installs redis and haproxy)"
done
PATH=$PATH:/usr/sbin:/sbin

mkdir -p "$dir" || exit 2
dir=$(cd "$dir" && pwd)
build=$(cd "$build" && pwd)
# The lock ends with this process, whatever ends it: the children do not get it.
exec 9>"$dir/lock"
flock -n 9 || refuse "a cluster runs in $dir already"
rm -f "$dir"/*.pid "$dir"/*.log "$dir"/*.start

# A client is a descriptor in a node and two in the balancer: take what we may.
ulimit -S -n "$(ulimit -H -n)"

# nap SECONDS: sleeps without starting a process, by reading from a pipe into which
# nobody writes.
exec 8<> <(:)
nap() { read -r -t "$1" -u 8; }

# ---- ports ---------------------------------------------------------------------

listens() { # is anything listening on port $1?
    awk -v at=":$(printf '%04X' "$1")$" '$4 == "0A" && $2 ~ at { yes = 1 } END { exit !yes }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Sets `free` to a port nobody listens on, below those the kernel gives to
# outgoing connections. Not a function that prints: each has to differ.
given=' '
pick_port() {
    local tries
    for tries in {1..200}; do
        free=$((20000 + RANDOM % 12000))
        case $given in *" $free "*) continue ;; esac
        if ! listens "$free"; then
            given="$given$free "
            return
        fi
    done
    refuse "found no free port in $tries tries"
}

if [ "$port" = 0 ]; then
    pick_port
    port=$free
elif listens "$port"; then
    refuse "port $port is taken; choose another: PORT=8081 make cluster"
fi

# ---- processes -----------------------------------------------------------------

declare -A name_of # of our children, by pid
names=()           # in the order they were started

# start NAME COMMAND...: writes NAME.start and runs it. A session of its own keeps
# the terminal's Ctrl-C away from it: the order of stopping is ours.
start() {
    local name=$1
    shift
    {
        echo '#!/bin/sh'
        printf 'echo $$ >%q\ncd %q || exit 1\n' "$dir/$name.pid" "$root"
        printf 'exec'
        printf ' %q' "$@"
        printf ' >>%q 2>&1\n' "$dir/$name.log"
    } >"$dir/$name.start"
    chmod +x "$dir/$name.start"
    setsid setpriv --pdeathsig KILL -- "$dir/$name.start" 8>&- 9>&- </dev/null &
    name_of[$!]=$name
    names+=("$name")
    echo $! >"$dir/$name.pid"
}

pid_of() { cat "$dir/$1.pid" 2>/dev/null; }

# Is the process of NAME.pid there? One that is not our child came from NAME.start
# and may be long gone, its number another's now; ours has its log open.
runs() {
    local pid
    pid=$(pid_of "$1") && [ -n "$pid" ] || return
    if [ -n "${name_of[$pid]:-}" ]; then
        kill -0 "$pid" 2>/dev/null
    else
        [ "$(readlink "/proc/$pid/fd/1")" = "$dir/$1.log" ]
    fi
}

last_words() { # of the log of $1
    say "  the end of $dir/$1.log:"
    tail -n 15 "$dir/$1.log" 2>/dev/null | sed "s/^/  $1 | /" >&2
}

failed=0
ready=
stopping=
hurry=

stop_one() { # tells $1 to stop, without waiting
    runs "$1" && kill -TERM "$(pid_of "$1")" 2>/dev/null
}

await_one() { # $1 has ended, by SIGKILL if need be
    local name=$1 pid status
    pid=$(pid_of "$name") || return
    while runs "$name"; do
        if [ -n "$hurry" ] || [ "$SECONDS" -ge "$deadline" ]; then
            [ -n "$hurry" ] || say "cluster: $name did not stop within $stop_seconds s: killed"
            kill -KILL "$pid" 2>/dev/null
            failed=1
        fi
        nap 0.05
    done
    rm -f "$dir/$name.pid"
    [ -n "${name_of[$pid]:-}" ] || return # not our child: somebody ran NAME.start
    { wait "$pid"; } 2>/dev/null
    status=$?
    unset "name_of[$pid]"
    [ -n "$ready" ] || return # not a drain: it may not have got that far
    case $name:$status in
    node-*:0 | "$balancer":* | redis:*) ;;
    *)
        failed=1
        say "cluster: $name ended with status $status"
        last_words "$name"
        ;;
    esac
}

# Clients first, so that no node waits for them; the nodes need Redis to say
# good-bye to each other.
stop_all() {
    local name deadline=$((SECONDS + stop_seconds))
    trap 'hurry=1' INT TERM
    stop_one "$balancer"
    await_one "$balancer"
    for name in "${names[@]}"; do
        case $name in node-*) stop_one "$name" ;; esac
    done
    for name in "${names[@]}"; do
        case $name in node-*) await_one "$name" ;; esac
    done
    stop_one redis
    await_one redis
}

trap 'stopping=1' INT TERM

# Reports children that have ended. Returns 1 if there were any.
reap() {
    local pid name status some=0
    for pid in "${!name_of[@]}"; do
        kill -0 "$pid" 2>/dev/null && continue
        { wait "$pid"; } 2>/dev/null # bash would print a line of its own
        status=$?
        name=${name_of[$pid]}
        unset "name_of[$pid]"
        [ "$(pid_of "$name")" = "$pid" ] && rm -f "$dir/$name.pid"
        some=1
        say "cluster: $name (pid $pid) ended with status $status"
        last_words "$name"
    done
    return $some
}

# ---- are they ready? -----------------------------------------------------------

http() { # the answer of 127.0.0.1:$1 to GET $2
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
        printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
        timeout 5 cat <&3
    ) 2>/dev/null
}
is_ready() { [[ $(http "$1" /readyz | head -n 1) == HTTP/1.?\ 200* ]]; }
redis_answers() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$redis_port" && printf 'PING\r\n' >&3 &&
            read -r -t 2 answer <&3 && [[ $answer == +PONG* ]]
    ) 2>/dev/null
}
all_in_rotation() {
    [ "$(http "$stats_port" '/stats;csv' | grep -c '^nodes,node-[0-9]*,.*,UP,')" = "$nodes" ]
}

# until_true WHAT COMMAND...: within START_SECONDS of the start of this script.
until_true() {
    local what=$1
    shift
    until "$@"; do
        if [ -n "$stopping" ]; then
            stop_all
            exit "$failed"
        fi
        if ! reap; then
            say "cluster: gave up, see above"
        elif [ "$SECONDS" -ge "$start_seconds" ]; then
            say "cluster: $what is not ready after $start_seconds s"
            runs "$what" && last_words "$what"
        else
            nap 0.05
            continue
        fi
        stop_all
        exit 1
    done
}

# ---- start ---------------------------------------------------------------------

redis_url=${REDIS_URL:-}
redis_port=none
if [ -z "$redis_url" ]; then
    pick_port
    redis_port=$free
    redis_url=redis://127.0.0.1:$redis_port
    start redis redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$dir" \
        --save '' --appendonly no
    until_true redis redis_answers
fi

ports=() admin_ports=()
for ((i = 1; i <= nodes; i++)); do
    pick_port
    admin_ports[i]=$free
    pick_port
    ports[i]=$free
    start "node-$i" "$build/confab" -c "$config" \
        --set listen.host=127.0.0.1 --set "listen.port=$free" \
        --set "admin.port=${admin_ports[i]}" \
        --set "node.name=node-$i" --set "adapter.type=$adapter" \
        --set "redis.url=$redis_url" --set engine.trusted_proxies=127.0.0.1 \
        ${node_args[@]+"${node_args[@]}"}
done
for ((i = 1; i <= nodes; i++)); do
    until_true "node-$i" is_ready "${ports[i]}"
done

# each_node TEXT: a line for each, in which NODE is its name and PORT its port.
each_node() {
    local i line
    for ((i = 1; i <= nodes; i++)); do
        line=${1//NODE/node-$i}
        printf '%s\n' "${line//PORT/${ports[i]}}"
    done
}

# The file with our servers in the place of the DNS template.
start_haproxy() {
    SERVERS=$(each_node '    server NODE 127.0.0.1:PORT check') awk '
        $1 == "server-template" { print ENVIRON["SERVERS"]; found = 1; next }
        { print }
        END { exit !found }' "$root/deploy/haproxy.cfg" >"$dir/haproxy.cfg" ||
        { say "cluster: deploy/haproxy.cfg has no server-template line"; stop_all; exit 1; }
    pick_port
    stats_port=$free
    start haproxy env "BALANCER_BIND=$host:$port" "BALANCER_STATS=127.0.0.1:$stats_port" \
        haproxy -W -db -f "$dir/haproxy.cfg"
    until_true haproxy all_in_rotation
}

# The file with our servers in the place of those marked "# node". Where it would
# write is root's: it writes here.
start_nginx() {
    local listen="listen $host:$port${BALANCER_CERT:+ ssl};" temp
    mkdir -p "$dir/nginx" || exit 2
    [ -z "${BALANCER_CERT:-}" ] || listen+=" ssl_certificate $BALANCER_CERT; ssl_certificate_key $BALANCER_CERT;"
    for temp in client_body proxy fastcgi uwsgi scgi; do
        printf '%s_temp_path %q;\n' "$temp" "$dir/nginx/$temp"
    done >"$dir/nginx/temp.conf"
    LISTEN=$listen TEMP="include $dir/nginx/temp.conf;" \
        SERVERS=$(each_node '        server 127.0.0.1:PORT;') \
        UPSTREAMS=$(each_node '    upstream NODE { server 127.0.0.1:PORT; }') \
        SHARES=$(each_node "        $((100 / nodes))% NODE;" | sed '$s/[0-9]*%/*/') \
        NAMES=$(each_node '        ~\.NODE$ NODE;') awk '
        function once(name) { if (!done[name]++) print ENVIRON[name] }
        $1 == "http" { print; once("TEMP"); next }
        $1 == "listen" { once("LISTEN"); next }
        ! / # node$/ { print; next }
        $1 == "server" { once("SERVERS"); next }
        $1 == "upstream" { once("UPSTREAMS"); next }
        $1 ~ /^~/ { once("NAMES"); next }
        { once("SHARES") }' "$root/deploy/nginx.conf" >"$dir/nginx.conf"
    stats_port=none
    start nginx nginx -p "$dir/nginx" -c "$dir/nginx.conf" \
        -g "daemon off; error_log stderr; pid $dir/nginx/pid;"
    until_true nginx listens "$port"
}

"start_$balancer"
ready=1

scheme=http${BALANCER_CERT:+s}
[ "$stats_port" = none ] || say "balancer's stats on http://localhost:$stats_port/stats"
say "confab cluster on $scheme://localhost:$port ($nodes nodes)"
line=
for ((i = 1; i <= nodes; i++)); do
    line+="${line:+,}node-$i:$(pid_of "node-$i"):${ports[i]}:${admin_ports[i]}"
    say "  node-$i  http://localhost:${ports[i]}  admin http://localhost:${admin_ports[i]}  pid $(pid_of "node-$i")"
done
say "logs in $dir; Ctrl-C stops everything"
printf 'ready url=%s://127.0.0.1:%s nodes=%s redis=%s balancer=%s stats=%s\n' \
    "$scheme" "$port" "$line" "$redis_port" "$(pid_of "$balancer")" "$stats_port"

# ---- until told to stop --------------------------------------------------------

while [ -z "$stopping" ]; do
    if ! reap; then
        say "cluster: the rest goes on; to have it back: $dir/NAME.start &"
    fi
    nap 0.2
done
say "stopping"
stop_all
exit "$failed"
