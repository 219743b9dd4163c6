#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS (60) from its corpus, two at a time.
# A finding makes the exit status 1; its path is in the target's line.
#   run.sh        all of build/fuzz/fuzz_*
#   run.sh json   build/fuzz/fuzz_json only
set -eu
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-60}

# One target: new inputs go to a copy of the corpus, findings beside it.
one() {
    dir=build/fuzz/run/$1
    rm -rf "$dir"
    mkdir -p "$dir/corpus" "$dir/found"
    if [ -d "tests/fuzz/corpus/$1" ]; then
        cp -R "tests/fuzz/corpus/$1/." "$dir/corpus"
    fi
    status=0
    "build/fuzz/fuzz_$1" -max_total_time="$seconds" -rss_limit_mb=512 \
        -timeout=10 -print_final_stats=1 -artifact_prefix="$dir/found/" \
        "$dir/corpus" >"$dir/log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/log")
    if [ "$status" -eq 0 ]; then
        echo "fuzz $1: ok, ${runs:-0} runs"
        return 0
    fi
    found=$(sed -n 's/.*Test unit written to //p' "$dir/log" | tail -n 1)
    echo "fuzz $1: FOUND ${found:-nothing to keep} (see $dir/log)"
    return 1
}

if [ "${1:-}" = --one ]; then
    one "$2"
    exit
fi

targets() {
    for binary in build/fuzz/fuzz_*; do
        case $binary in *.d | *.o | *'*') continue ;; esac
        echo "${binary#build/fuzz/fuzz_}"
    done
}

[ $# -gt 0 ] || set -- $(targets)
if [ $# -eq 0 ]; then
    echo "no fuzz targets in build/fuzz; make fuzz builds them" >&2
    exit 1
fi
# xargs exits with 123 when one of the runs failed.
printf '%s\n' "$@" | xargs -n 1 -P 2 "tests/fuzz/run.sh" --one || exit 1
