#!/usr/bin/env bash
# Runs the tests.
#
#   tests/run.sh [unit|e2e|conformance|cluster|browser|compose|big|quick]...
#                      default: all but compose and big; quick is a short big
#
# Environment:
#   BUILD=build        what is tested; build/asan for the sanitized build
#   TEST_SERVER=       "reference" runs e2e, conformance and the cluster's matrix
#                      and differential tests against the official Node.js
#                      server, which tests the tests
#   TEST_SET=          settings for all servers: "section.key=value ..."
#   TEST_ONLY=         only the test files whose path contains this
#   MEMCHECK=          a valgrind command that unit tests and servers run under
#   BIG_MINUTES=10     how long `big` holds as many connections as there may be;
#                      BIG_QUICK=1: a few thousand, for a quarter of a minute
#   TEST_NAME=         only tests whose name matches this regular expression
#
# Everything that servers print goes to files under build/test-output. The last
# line is "N passed, N failed"; the exit status is 0 when none failed.
# shellcheck disable=SC2317  # functions are called by name and by traps
set -u
cd "$(dirname "$0")/.." || exit 2
root=$PWD
export BUILD=${BUILD:-build}
export TEST_OUTPUT=${TEST_OUTPUT:-$root/build/test-output}

sanitize=
case $BUILD in
*asan*)
    sanitize=SANITIZE=1
    export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:exitcode=99
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    ;;
esac

passed=0 failed=0 summary=()

# What runs now, in a process group of its own, ended with us.
child=
finish() {
    trap - EXIT INT TERM HUP
    [ -n "$child" ] && kill -TERM -- "-$child" 2>/dev/null
    exit "$1"
}
trap 'finish 130' INT
trap 'finish 143' TERM HUP
trap 'finish $?' EXIT

# group COMMAND...: runs it in a process group of its own; returns its status.
group() {
    set -m
    "$@" &
    child=$!
    set +m
    wait "$child"
    local status=$?
    kill -KILL -- "-$child" 2>/dev/null # whatever it left
    child=
    return $status
}

count() { # PART PASSED FAILED
    passed=$((passed + $2))
    failed=$((failed + $3))
    summary+=("$1: $2 passed, $3 failed")
}

build() {
    # a make of its own, not a child of the one that called us
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make BUILD="$BUILD" ${sanitize:+$sanitize} "$@" || {
        echo "tests: make $* failed" >&2
        failed=$((failed + 1))
        return 1
    }
}

# ---- unit ------------------------------------------------------------------

unit() {
    local source name tap status ok bad good=0 wrong=0
    build unit-binaries || return
    mkdir -p "$TEST_OUTPUT/unit"
    for source in tests/unit/test_*.c; do
        [ -e "$source" ] || continue
        name=$(basename "$source" .c)
        [[ $name == *"${TEST_ONLY:-}"* ]] || continue
        tap=$TEST_OUTPUT/unit/$name.tap
        CMOCKA_MESSAGE_OUTPUT=TAP group timeout 300 ${MEMCHECK:-} "$BUILD/tests/unit/$name" >"$tap" 2>&1
        status=$?
        ok=$(grep -c '^ok ' "$tap")
        bad=$(grep -c '^not ok ' "$tap")
        # a crash, a sanitizer's report or no test at all is a failure, too
        if [ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; }; then bad=1; fi
        good=$((good + ok))
        wrong=$((wrong + bad))
        if [ "$bad" = 0 ]; then
            echo "ok $name ($ok tests)"
        else
            echo "not ok $name (exit status $status), all of it in $tap:"
            grep -v '^ok ' "$tap" | tail -n 60 | sed 's/^/    /'
        fi
    done
    count unit "$good" "$wrong"
}

# ---- what runs under Node.js -------------------------------------------------

# shellcheck source=tests/lib/npm.sh
. tests/lib/npm.sh

dependencies() {
    npm_packages || {
        failed=$((failed + 1))
        return 1
    }
}

of_tap() { # the number behind "# $1" in the file $2
    sed -n "s/^# $1 //p" "$2" | tail -n 1
}

javascript() { # PART
    local part=$1 programs=(all "$BUILD/tests/fixture") files=() file tap=$TEST_OUTPUT/$1.tap good wrong cancelled status
    for file in tests/"$part"/*.test.js tests/"$part"/*/*.test.js; do
        [[ -e $file && $file == *"${TEST_ONLY:-}"* ]] && files+=("$file")
    done
    [ ${#files[@]} = 0 ] && { count "$part" 0 0; return; }
    dependencies || return
    [ "$part" = cluster ] && programs+=("$BUILD/tests/sim")
    [ "$part" = big ] && programs+=("$BUILD/tests/bench/load" "$BUILD/tests/bench/server")
    [ "$part" = e2e ] && programs+=("$BUILD/tests/ctl/talk")
    [ -n "${TEST_SERVER:-}" ] || build "${programs[@]}" || return
    mkdir -p "$TEST_OUTPUT"
    group timeout -k 10 1500 node --test --test-concurrency=1 \
        ${TEST_NAME:+--test-name-pattern="$TEST_NAME"} \
        --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$tap" "${files[@]}"
    status=$?
    good=$(of_tap pass "$tap")
    wrong=$(of_tap fail "$tap")
    cancelled=$(of_tap cancelled "$tap")
    good=${good:-0} wrong=$((${wrong:-0} + ${cancelled:-0}))
    if [ $status != 0 ] && [ "$wrong" = 0 ]; then wrong=1; fi
    count "$part" "$good" "$wrong"
}

# Ends with a list of the numbered checks and what became of each.
conformance() {
    local tap=$TEST_OUTPUT/conformance.tap all=all
    rm -f "$tap"
    javascript conformance
    [ -e "$tap" ] || return
    [ -n "${TEST_ONLY:-}${TEST_NAME:-}" ] && all=
    echo
    node tests/conformance/list.js "$tap" "$all" || failed=$((failed + 1))
}

# ---- size ------------------------------------------------------------------

# A minute of what `big` does in a quarter of an hour. Its bounds are of memory
# and time: those of the program as it is built for use.
quick() {
    case "$BUILD ${MEMCHECK:-} ${TEST_SERVER:-}" in
    *asan* | *valgrind* | *reference*) return ;;
    esac
    local -x BIG_QUICK=1
    javascript big
}

# ---- docker compose ----------------------------------------------------------

compose() {
    dependencies || return
    if group tests/compose/compose.sh; then
        count compose 1 0
    else
        count compose 0 1
    fi
}

# All of it is read before any of it runs: editing this file meanwhile is safe.
main() {
    local part p
    for part in "${@:-unit e2e conformance cluster browser quick}"; do
        for p in $part; do
            case $p in
            unit | conformance | compose | quick) "$p" ;;
            e2e | cluster | browser | big) javascript "$p" ;;
            *)
                echo "usage: tests/run.sh [unit|e2e|conformance|cluster|browser|compose|big|quick]..." >&2
                exit 2
                ;;
            esac
        done
    done
    echo
    printf '%s\n' "${summary[@]}"
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" != 0 ]
}

main "$@"; exit
