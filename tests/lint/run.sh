#!/bin/sh
# make lint: everything that can be said about the sources without running
# them. Each check prints its name and what it found; any finding fails.
#   tests/lint/run.sh [format|layers|banned|symbols|complexity|cppcheck|tidy]...
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
sources=$(git ls-files -co --exclude-standard '*.c' '*.h')
product=$(echo "$sources" | grep -E '^(common|adapter|server)/')
units=$(echo "$product" | grep '\.c$')
flags="-D_GNU_SOURCE -DCONFAB_VERSION=\"0\" -I. $(pkg-config --cflags libevent_core hiredis yaml-0.1 libssl libcrypto)"
failed=0

finding() {
    if [ -n "$2" ]; then
        printf 'not ok - %s\n%s\n' "$1" "$2"
        failed=$((failed + 1))
    else
        echo "ok - $1"
    fi
}

format() {
    finding "formatted (make fmt)" \
        "$(clang-format --dry-run -Werror $sources 2>&1 | grep 'error:' | head -n 20)"
}

layers() {
    finding "layers, libraries and rings" "$(awk -f tests/lint/layers.awk $product)"
    out=
    for h in $(echo "$product" | grep '\.h$'); do
        out="$out$(echo "#include \"$h\"" | cc $flags -std=c11 -fsyntax-only -x c - 2>&1 | grep error: | head -n 3)"
    done
    finding "every header stands alone" "$out"
}

banned() {
    calls='\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|localtime|gmtime|rand|srand|sleep|usleep|alloca)\('
    finding "no banned calls" "$(grep -nE "$calls" $product /dev/null)"
    # the application has the C library and sio.h only
    finding "allocation only in mem.c" \
        "$(grep -nE '\b(malloc|calloc|realloc|strdup|free)\(' $product /dev/null | grep -vE '^(common/mem\.|server/app/)')"
    finding "sockets only in stream.c, standard input in lines.c and terminal.c" \
        "$(grep -nE '[^_a-z](read|write|writev|accept4?|connect|recv|send)\(' $units /dev/null |
            grep -vE '^(common/(stream|log)|server/ctl/lines|server/ctl/terminal)\.c' | grep -vE '/\*|^\S+:\s+\*|->|\.(read|write|connect|send)\(')"
}

symbols() {
    finding "the library exports sio_* only" \
        "$(readelf -sW "$build/libconfab.a" 2>/dev/null |
            awk '$5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" && $8 !~ /^sio_/ {print $8}' | sort -u)"
}

# A function may be longer or more branching only where this list says why.
complexity() {
    finding "complexity <= 15, length <= 60" "$(pmccabe $units |
        awk '$1 > 15 || $5 > 60 {print $1, $5, $6, $7}' | grep -vFf tests/lint/complex.txt)"
}

cpp_check() {
    finding cppcheck "$(cppcheck --quiet --enable=warning,performance,portability --inline-suppr --std=c11 \
        --suppress=missingIncludeSystem --suppress=unknownMacro -j "$(nproc)" $flags $units 2>&1 | head -n 40)"
}

tidy() {
    finding clang-tidy "$(echo "$units" | xargs -P "$(nproc)" -n 4 \
        sh -c 'clang-tidy --quiet "$@" -- -std=c11 '"$flags"' 2>/dev/null' sh | grep -E 'warning:|error:' | sort -u | head -n 40)"
}

for check in ${*:-format layers banned symbols complexity cppcheck tidy}; do
    case $check in cppcheck) cpp_check ;; *) "$check" ;; esac
done
[ $failed = 0 ]
