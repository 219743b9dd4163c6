#!/usr/bin/env bash
# Speed and memory of confab beside the official Node.js server, and beside a
# floor: the system calls alone, on the same kernel.
#
#   tests/bench/run.sh [fanout|echo|idle]...   default: all
#
# The server under test has core 0, the load generator core 1. Servers take
# turns, so that what disturbs the machine disturbs them all, and another one
# begins each time. What counts is the server's own CPU time; nothing is
# asserted about it. Every message must come once and in order: the exit status
# is 1 when one did not, 2 when a run broke off.
#
# Environment:
#   BENCH_QUICK=1        about a minute: one repeat, short rounds
#   REPEATS=3            of everything; the table shows medians
#   BENCH_CPU_MS=700     of server CPU time for each figure, at least
#   BENCH_CONNS=10000    idle connections, as far as descriptors allow
#   BENCH_MEMBERS=1000   of the room that is sent to
#   BENCH_CLIENTS=100    that ask for echoes
#
# Figures go to build/bench/results.json, each run's line to runs.jsonl beside
# it.
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
build=${BUILD:-build}
out=$root/build/bench

if [ -n "${BENCH_QUICK:-}" ]; then
    : "${REPEATS:=1}" "${BENCH_CPU_MS:=250}" "${BENCH_CONNS:=4000}"
fi
export REPEATS=${REPEATS:-3} BENCH_CPU_MS=${BENCH_CPU_MS:-700}
members=${BENCH_MEMBERS:-1000} clients=${BENCH_CLIENTS:-100}
conns=${BENCH_CONNS:-10000}
parts=" ${*:-fanout echo idle} "

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

start() { # NAME
    local name=$1 command tries=0
    case $name in
    confab) command=("$build/tests/bench/server") ;;
    floor) command=("$build/tests/bench/floor") ;;
    node) command=(node --expose-gc tests/bench/server.js) ;;
    esac
    # Emptied here, not by the child: or the port could be the one before.
    : >"$out/$name.log"
    # taskset becomes the server: the process id is the server's.
    taskset -c $server_core "${command[@]}" >>"$out/$name.log" 2>&1 8>&- &
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

stop() { # NAME
    local pid=${pids[$1]} tries=0
    kill -TERM "$pid" 2>/dev/null
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries = 200 ] && kill -KILL "$pid" 2>/dev/null
        sleep 0.05
    done
    wait "$pid" 2>/dev/null
    unset "pids[$1]"
}

load() { # NAME OPTIONS...
    local name=$1 status
    shift
    taskset -c $load_core "$build/tests/bench/load" --name "$name" --pid "${pids[$name]}" \
        --port "${ports[$name]}" --cpu-ms "$BENCH_CPU_MS" "$@" >>"$out/runs.jsonl"
    status=$?
    [ $status -lt 2 ] || give_up "the load generator failed against $name: see $out/$name.log"
    [ $status = 0 ] || failed=1
}

# The names given, another one first each time.
rotate() { # BY NAME...
    local by=$1
    shift
    by=$((by % $#))
    echo "${@:by + 1}" "${@:1:by}"
}

# ---- scenarios -------------------------------------------------------------

# One after the other against each of the servers given.
each() { # REPEAT NAMES OPTIONS...
    local turn=$1 name names=$2
    shift 2
    for name in $(rotate "$turn" $names); do
        load "$name" "$@"
        printf . >&2
    done
}

speed() { # REPEAT
    local peers="confab node floor" name size window
    for name in $peers; do start "$name"; done
    if [[ $parts == *" fanout "* ]]; then
        for size in 64 1024; do
            for window in 1 16; do
                each "$1" "$peers" --conns "$members" --size $size --window $window \
                    --messages 64 --warm 64 fanout
            done
        done
    fi
    if [[ $parts == *" echo "* ]]; then
        for window in 1 16; do
            each "$1" "$peers" --conns "$clients" --size 64 --window $window \
                --messages $((clients * 200)) --warm $((clients * 100)) echo
        done
    fi
    for name in $peers; do stop "$name"; done
}

memory() { # REPEAT
    local name
    for name in $(rotate "$1" confab node); do
        start "$name"
        load "$name" --conns "$conns" --per-room 100 idle
        printf . >&2
        stop "$name"
    done
}

# Two at a time would measure each other, and write the same files.
mkdir -p "$out"
exec 8>"$out/lock"
flock -n 8 || {
    echo "bench: waiting for another benchmark to end" >&2
    flock 8
}
dependencies
: >"$out/runs.jsonl"
for ((i = 0; i < REPEATS; i++)); do
    [[ $parts == *" fanout "* || $parts == *" echo "* ]] && speed $i
    [[ $parts == *" idle "* ]] && memory $i
done
echo >&2
node tests/bench/report.js "$out" "$("$build/confab" --version)" || exit 2
exit $failed
