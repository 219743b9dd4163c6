#!/usr/bin/env bash
# Speed and memory of confab beside the official Node.js server, and beside a
# floor: the system calls alone, on the same kernel.
#
#   tests/bench/run.sh [PART]...   default: all
#
# Parts: fanout echo churn latency rooms kinds cross growth idle
#
# The servers under test have core 0, the load generator and Redis core 1.
# Servers take turns, so that what disturbs the machine disturbs them all, and
# another one begins each time. What counts is the server's own CPU time. Every
# message must come once and in order: the exit status is 1 when one did not, 2
# when a run broke off. Budgets are printed beside the figures; a missed one is
# not a failure.
#
# Environment:
#   BENCH_QUICK=1        about two minutes: one repeat, short rounds, small rooms
#   BENCH_ONLY="A B"     the parts, as in the arguments
#   REPEATS=5            of everything; the table shows medians
#   BENCH_SECONDS=870    a repeat that would not end in this time is not begun
#   BENCH_CPU_MS=250     of server CPU time for each figure, at least
#   BENCH_CONNS=19500    idle connections of one server, as far as descriptors
#                        allow
#   BENCH_SET=KEY=VALUE  a setting of all confab servers, or several of them
#
# Figures go to build/bench: results.json, results.svg, and each run's line to
# runs.jsonl.
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
build=${BUILD:-build}
out=$root/build/bench

big=5000 many=1000 members="10 100 10000" rooms=100000 slow_s=3 sizes="1000 10000" thirds=16667
if [ -n "${BENCH_QUICK:-}" ]; then
    : "${REPEATS:=1}" "${BENCH_CPU_MS:=80}" "${BENCH_CONNS:=3000}"
    big=2000 many=100 members="10 100 3000" rooms=10000 slow_s=2 sizes=1000 thirds=1000
fi
: "${REPEATS:=5}" "${BENCH_CPU_MS:=250}" "${BENCH_SECONDS:=870}"
conns=${BENCH_CONNS:-19500}
parts=${*:-${BENCH_ONLY:-fanout echo churn latency rooms kinds cross growth idle}}
begun=$SECONDS

server_core=0 load_core=1
if [ "$(nproc)" -lt 2 ]; then
    load_core=0
    echo "bench: one core for both sides; figures by wall clock mean little" >&2
fi

# A server needs some descriptors besides its connections.
ulimit -n "$(ulimit -Hn)"
limit=$(ulimit -n)
if [ "$limit" != unlimited ] && [ "$conns" -gt $((limit - 200)) ]; then
    conns=$((limit - 200))
    echo "bench: $conns idle connections; the limit of descriptors is $limit" >&2
fi

declare -A pids ports
failed=0

finish() {
    local name
    trap - EXIT INT TERM HUP
    for name in "${!pids[@]}"; do
        kill -KILL "${pids[$name]}" 2>/dev/null
    done
    wait 2>/dev/null # says "Killed" for each
    exit "$1"
}
trap 'finish 130' INT
trap 'finish 143' TERM HUP
trap 'finish $?' EXIT

give_up() {
    echo "bench: $*" >&2
    exit 2
}

# shellcheck source=tests/lib/npm.sh
. tests/lib/npm.sh

# The official server.
dependencies() {
    npm_packages || give_up "npm could not install the official server"
}

# ---- servers ---------------------------------------------------------------

# A server under a name of its own; confab and node take arguments. NAME is
# KIND, or KIND and more behind a point: "node.1".
start() { # NAME [ARGUMENT]...
    local name=$1 kind=${1%%.*} command tries=0
    shift
    case $kind in
    confab) command=("$build/tests/bench/server" ${BENCH_SET:-}) ;;
    plain) command=("$build/tests/bench/server" engine.io_uring=off ${BENCH_SET:-}) ;;
    floor) command=("$build/tests/bench/floor") ;;
    uring) command=("$build/tests/bench/floor" --uring) ;;
    bare) command=("$build/tests/bench/floor" --bare) ;;
    node) command=(node --expose-gc tests/bench/server.js) ;;
    esac
    # Emptied here, not by the child: or the port could be the one before.
    : >"$out/$name.log"
    # taskset becomes the server: the process id is the server's.
    taskset -c $server_core "${command[@]}" "$@" >>"$out/$name.log" 2>&1 8>&- &
    pids[$name]=$!
    until ports[$name]=$(sed -n 's/.*ready on .*:\([0-9]*\)$/\1/p' "$out/$name.log") &&
        [ -n "${ports[$name]}" ]; do
        tries=$((tries + 1))
        if [ $tries = 400 ] || ! kill -0 "${pids[$name]}" 2>/dev/null; then
            give_up "$name does not start: $(cat "$out/$name.log")"
        fi
        sleep 0.05
    done
}

stop() { # NAME...
    local name pid tries
    for name; do
        pid=${pids[$name]} tries=0
        kill -TERM "$pid" 2>/dev/null
        while kill -0 "$pid" 2>/dev/null; do
            tries=$((tries + 1))
            [ $tries = 200 ] && kill -KILL "$pid" 2>/dev/null
            sleep 0.05
        done
        wait "$pid" 2>/dev/null
        unset "pids[$name]"
    done
}

# A Redis that keeps nothing, beside the generator: its time is not the servers'.
start_redis() {
    local tries=0 port
    while :; do
        port=$((20000 + RANDOM % 10000))
        : >"$out/redis.log"
        taskset -c $load_core redis-server --port $port --bind 127.0.0.1 --save '' \
            --appendonly no --dir "$out" >>"$out/redis.log" 2>&1 8>&- &
        pids[redis]=$!
        until grep -q 'Ready to accept' "$out/redis.log"; do
            kill -0 "${pids[redis]}" 2>/dev/null || break
            sleep 0.05
        done
        grep -q 'Ready to accept' "$out/redis.log" && break
        tries=$((tries + 1))
        [ $tries = 20 ] && give_up "redis-server does not start: $(cat "$out/redis.log")"
    done
    ports[redis]=$port
}

# The io_uring floor, and confab both with it and without: where the kernel
# allows it, and confab knows it.
find_rings() {
    "$build/tests/bench/floor" --uring --try && rings=uring || rings=
    if [ -n "$rings" ] && "$build/confab" --print-config | grep -q '^ *io_uring:'; then
        rings="uring plain"
    fi
}

# The generator against servers, with a name for the figures that is known to
# report.js.
load() { # ID@REPEAT NAMES OPTIONS...
    local id=$1 name pid='' port='' kind=${2%%[. ]*} status
    for name in $2; do
        pid+=,${pids[$name]} port+=,${ports[$name]}
    done
    shift 2
    taskset -c $load_core "$build/tests/bench/load" --id "$id" --server "$kind" --pid "${pid:1}" \
        --port "${port:1}" --cpu-ms "$BENCH_CPU_MS" "$@" >>"$out/runs.jsonl" 8>&-
    status=$?
    [ $status -lt 2 ] || give_up "the load generator failed in $id against $kind: see $out/$kind.log"
    [ $status = 0 ] || failed=1
}

# The names given, another one first each time.
rotate() { # BY NAME...
    local by=$1
    shift
    by=$((by % $#))
    echo "${@:by + 1}" "${@:1:by}"
}

# One after the other against each of the servers given.
each() { # ID REPEAT NAMES OPTIONS...
    local id=$1 turn=$2 name names=$3
    shift 3
    for name in $(rotate "$turn" $names); do
        load "$id@$turn" "$name" "$@"
        printf . >&2
    done
}

start_all() { # NAMES
    local name
    for name in $1; do start "$name"; done
}

# ---- parts, each for one repeat --------------------------------------------

fanout() {
    local servers="confab node floor $rings" size window
    start_all "$servers"
    for size in 64 1024; do
        for window in 1 8; do
            each fanout-small-$size-$window "$1" "$servers" --conns 1000 --size $size \
                --window $window --messages 64 --warm 32 fanout
            each fanout-big-$size-$window "$1" "$servers" --conns $big --size $size \
                --window $window --messages 16 --warm 8 fanout
        done
    done
    stop $servers
}

echo_part() {
    local servers="confab node floor" clients window
    start_all "$servers"
    for clients in 100 1000; do
        for window in 1 8; do
            each echo-$clients-$window "$1" "$servers" --conns $clients --window $window \
                --messages 16000 --warm 8000 echo
        done
    done
    stop $servers
}

churn() {
    local servers="confab node"
    start_all "$servers bare"
    each churn-bare "$1" bare --bare 1 --window 32 --messages 1000 --warm 500 churn
    each churn-websocket "$1" "$servers" --window 32 --messages 500 --warm 300 churn
    each churn-polling "$1" "$servers" --polling 1 --window 32 --messages 500 --warm 300 churn
    stop $servers bare
}

latency() {
    local servers="confab node floor"
    start_all "$servers"
    each latency "$1" "$servers" --conns 1000 --rate 50 --seconds $slow_s latency
    stop $servers
}

rooms() {
    local servers="confab node floor"
    start_all "$servers"
    each rooms-many "$1" "$servers" --conns $((many * 10)) --per-room 10 --window 8 \
        --messages $((many * 16)) --warm $((many * 8)) fanout
    stop $servers
}

# Other kinds of messages.
kinds() {
    local options="--conns 1000 --window 8 --messages 64 --warm 32" name
    local floor="confab node floor" own="confab node"
    start_all "$floor"
    each binary "$1" "$floor" $options --size 1024 --binary 1 fanout
    each deflate-without "$1" "$own" --conns 100 --window 8 --messages 64 --warm 32 \
        --size 2048 fanout
    stop $floor
    start confab engine.parser=msgpack
    start node msgpack
    each msgpack "$1" "$own" $options --msgpack 1 fanout
    stop $own
    start confab engine.per_message_deflate=true
    start node deflate
    each deflate-with "$1" "$own" --conns 100 --window 8 --messages 64 --warm 32 --size 2048 \
        --deflate 1 fanout
    stop $own
}

# KIND's nodes through a Redis of their own, and back.
start_nodes() { # KIND COUNT
    local i
    start_redis
    nodes=
    for ((i = 0; i < $2; i++)); do
        start "$1.$i" "$([ "$1" = node ] && echo redis= || echo redis.url=)redis://127.0.0.1:${ports[redis]}"
        nodes+="${nodes:+ }$1.$i"
    done
    redis=${pids[redis]}
}

stop_nodes() {
    stop $nodes redis
}

cross() {
    local kind
    for kind in $(rotate "$1" confab node); do
        start "$kind"
        load "rooms-one@$1" "$kind" --conns 1000 --per-room 10 --window 8 --messages 6400 \
            --warm 1600 fanout
        stop "$kind"
        start_nodes "$kind" 2
        load "cross-rooms@$1" "$nodes" --redis "$redis" --conns 1000 --per-room 10 --window 8 \
            --messages 6400 --warm 1600 fanout
        load "cross-latency@$1" "$nodes" --redis "$redis" --conns 2 --rate 100 \
            --seconds $slow_s latency
        stop_nodes
        printf ... >&2
    done
}

# How a cost changes with what it might depend on. The shape is what counts, so
# two repeats do.
growth() {
    local servers="confab node" kind n
    [ "$1" -lt 2 ] || return
    # As many rooms as one likes: the official server has no bound.
    start confab limits.rooms_per_socket=16384
    start node
    for n in $members; do
        each "members-$n" "$1" "$servers" --conns "$n" --window 8 \
            --messages $(((n > 20000 ? 8 : 40000 / n + 8) / 8 * 8)) --warm 16 fanout
    done
    each joins "$1" "$servers" --conns 500 --window 8 --messages $rooms joins
    stop $servers
    for kind in $(rotate "$1" $servers); do
        for n in 1 2 3 4; do
            start_nodes "$kind" $n
            load "nodes-$n@$1" "$nodes" --redis "$redis" --conns 120 --per-room 12 --window 8 \
                --messages 800 --warm 400 fanout
            stop_nodes
            printf . >&2
        done
    done
}

idle_of() { # ID REPEAT OPTIONS...
    local id=$1 turn=$2 name
    shift 2
    for name in $(rotate "$turn" confab node); do
        start "$name"
        load "$id@$turn" "$name" --per-room 100 "$@" idle
        printf . >&2
        stop "$name"
    done
}

# More than one process can hold: three servers, each with a generator.
idle_thirds() { # REPEAT
    local kind i jobs
    for kind in $(rotate "$1" confab node); do
        jobs=()
        for i in 0 1 2; do start "$kind.$i"; done
        for i in 0 1 2; do
            load "idle-thirds@$1" "$kind.$i" --per-room 100 --conns $thirds idle 8>&- &
            jobs+=($!)
        done
        for i in "${jobs[@]}"; do
            wait "$i" || give_up "a generator of $kind failed"
        done
        stop "$kind".{0,1,2}
        printf ... >&2
    done
}

idle() {
    local n
    idle_of idle-websocket "$1" --conns "$conns"
    idle_of idle-polling "$1" --polling 1 --conns "$conns"
    [ "$1" -lt 1 ] || return
    for n in $sizes; do
        idle_of "idle-websocket-$n" "$1" --conns "$n"
        idle_of "idle-polling-$n" "$1" --polling 1 --conns "$n"
    done
    idle_thirds "$1"
}

# Two at a time would measure each other, and write the same files.
mkdir -p "$out"
exec 8>"$out/lock"
flock -n 8 || {
    echo "bench: waiting for another benchmark to end" >&2
    flock 8
}
dependencies
find_rings
: >"$out/runs.jsonl"
for ((i = 0; i < REPEATS; i++)); do
    # The first has more to do than the others; so this is on the safe side.
    if [ $i -gt 0 ] && [ $(((SECONDS - begun) * (i + 1) / i)) -gt "$BENCH_SECONDS" ]; then
        echo "bench: $i repeats; the machine is too busy for $REPEATS in $BENCH_SECONDS s" >&2
        break
    fi
    for part in $parts; do
        printf ' %s ' "$part" >&2
        case $part in
        echo) echo_part "$i" ;;
        fanout | churn | latency | rooms | kinds | cross | growth | idle) "$part" "$i" ;;
        *) give_up "no such part: $part" ;;
        esac
    done
done
echo " $((SECONDS - begun)) s" >&2
node tests/bench/report.js "$out" "$("$build/confab" --version)" || exit 2
exit $failed
