#!/bin/sh
# make instr: how many instructions the hot paths take, beside the numbers that
# are committed. Times vary with the machine and its load; these do not, as long
# as the compiler and the libraries are the same: with others the numbers say
# nothing, and nothing is checked.
#
#   tests/instr/run.sh          fails when a path takes over 3 % more
#   UPDATE=1 tests/instr/run.sh writes the numbers: tests/instr/expected.txt
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
expected=tests/instr/expected.txt
tolerance=3
out=$build/instr
rm -rf "$out"
mkdir -p "$out"

# What else the numbers depend on.
version() {
    ${CC:-cc} --version | head -n 1
    getconf GNU_LIBC_VERSION
    echo "libevent $(pkg-config --modversion libevent_core), openssl $(pkg-config --modversion libcrypto)"
    uname -m
}

version | sed 's/^/# /' >"$out/head"
grep '^#' $expected >"$out/expected-head" 2>/dev/null || true
if [ -z "${UPDATE:-}" ] && ! diff "$out/expected-head" "$out/head" >"$out/diff"; then
    echo "ok - instructions # skipped: other versions than $expected is for"
    cat "$out/diff"
    exit 0
fi

# The variants of memcpy and SHA-1 that any processor has.
GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-EVEX,-SSE4_2,-SSSE3,-BMI2,-MOVBE,-LZCNT \
    OPENSSL_ia32cap=0:0 \
    valgrind -q --tool=callgrind --callgrind-out-file="$out/dump" \
    "$build/tests/instr/instr" >"$out/operations" 2>"$out/log" || {
    cat "$out/log" >&2
    exit 1
}

# A dump per path, each with its name and its total.
for dump in "$out"/dump.*; do
    awk '/^desc: Trigger: Client Request: / {name = $NF}
        /^totals:/ {if (name) print name, $2}' "$dump"
done >"$out/totals"
awk 'NR == FNR {total[$1] = $2; next}
    {printf "%-24s %d\n", $1, total[$1] / $2 + 0.5}' "$out/totals" "$out/operations" >"$out/counts"

if [ -n "${UPDATE:-}" ]; then
    cat "$out/head" "$out/counts" >$expected
    cat $expected
    exit 0
fi

awk -v tolerance=$tolerance '
    /^#/ {next}
    NR == FNR {want[$1] = $2; next}
    !($1 in want) {
        printf "not ok - %s: not among the numbers\n", $1
        failed = 1
        next
    }
    {
        change = ($2 - want[$1]) * 100 / want[$1]
        bad = change > tolerance
        printf "%s - %s: %d instructions, was %d (%+.1f %%)%s\n", bad ? "not ok" : "ok", $1, $2, want[$1], change,
            change < -tolerance ? ", better: make instr UPDATE=1" : ""
        failed = failed || bad
        delete want[$1]
    }
    END {
        for (name in want) {
            printf "not ok - %s: not counted any more\n", name
            failed = 1
        }
        if (failed)
            print "A path takes more instructions than before. If that is worth it: make instr UPDATE=1"
        exit failed
    }' $expected "$out/counts"
