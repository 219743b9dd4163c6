#!/bin/sh
# Packages that confab needs on Debian 12 and later.
#   deps.sh check           names what building lacks, one line, exit 0
#   deps.sh build|cluster|test   installs what is missing for that purpose
# Asks for root (or sudo) only when something is missing.
set -eu

# name of the msgpack-c package: libmsgpack-c-dev from Debian 13 on
msgpack=libmsgpack-dev
if apt-cache show libmsgpack-c-dev >/dev/null 2>&1; then msgpack=libmsgpack-c-dev; fi

build="gcc libc6-dev make pkg-config libevent-dev libhiredis-dev libwslay-dev $msgpack \
 libyaml-dev libhttp-parser-dev libssl-dev zlib1g-dev ca-certificates"
cluster="redis-server haproxy"
tests="libcmocka-dev libjansson-dev clang libclang-rt-dev clang-format clang-tidy cppcheck valgrind \
 pmccabe mandoc bsdextrautils systemd chromium curl procps git python3-socketio python3-requests \
 python3-websocket nginx prometheus openssl"

have() {
    case $1 in
    libclang-rt-dev) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-* >/dev/null 2>&1 ;;
    gcc | make | pkg-config | clang | clang-format | clang-tidy | cppcheck | pmccabe | chromium | curl | git | haproxy | redis-server | valgrind | prometheus | openssl)
        command -v "$1" >/dev/null 2>&1 ;;
    nginx) PATH=$PATH:/usr/sbin command -v nginx >/dev/null 2>&1 ;;
    libmsgpack*) pkg-config --exists msgpack-c 2>/dev/null || pkg-config --exists msgpack 2>/dev/null ;;
    *) [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
    esac
}

missing() {
    for p in "$@"; do have "$p" || printf '%s ' "$p"; done
    # the browser client comes from npm; any Node.js with npm will do
    command -v npm >/dev/null 2>&1 || printf 'nodejs npm '
}

case ${1:-} in
check) missing $build; exit 0 ;;
build) want=$build ;;
cluster) want="$build $cluster" ;;
test) want="$build $cluster $tests" ;;
*) echo "usage: deps.sh check|build|cluster|test" >&2; exit 2 ;;
esac

need=$(missing $want)
[ -n "$need" ] || exit 0
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "confab needs these packages: $need" >&2
        echo "Install them as root: apt-get install $need" >&2
        exit 1
    }
    as_root=sudo
fi
echo "installing: $need"
log=$(mktemp)
$as_root apt-get update -qq -o DPkg::Lock::Timeout=600 >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
# the names that differ between releases are settled only after the update
if apt-cache show libmsgpack-c-dev >/dev/null 2>&1; then
    need=$(echo "$need" | sed 's/libmsgpack-dev/libmsgpack-c-dev/')
fi
case $need in *libclang-rt-dev*)
    rt=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1)
    need=$(echo "$need" | sed "s/libclang-rt-dev/$rt/") ;;
esac
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=600 $need >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
rm -f "$log"
