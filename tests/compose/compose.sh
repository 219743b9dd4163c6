#!/usr/bin/env bash
# Really runs docker-compose.yml: builds the images, brings the cluster up with a
# TLS balancer, a Node.js server and Prometheus, chats by all ways in, scales, kills,
# restarts, and takes it down. Only Grafana is missing: no package of it is.
#
# It needs root on a Debian machine and its packages, and no image registry: the
# base image is made by mmdebstrap, and all others of its packages (standin/). Docker's engine is started for the test alone, with all its state
# in one temporary directory, twice:
#   to build   in the machine's network, so that apt and npm work as they do
#              there, but without a bridge or a firewall rule
#   to run     in a network namespace with no way out, so that the firewall rules
#              and published ports are that namespace's alone
#
# Environment:
#   COMPOSE_OPTIONAL=1  an engine that cannot run here is a skip, not a failure
#   COMPOSE_CACHE=build/compose   keeps the base image
#   COMPOSE_RELEASE=    of Debian, for all images; the machine's own by default
#   KEEP=1              leaves the temporary directory (logs, images)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${COMPOSE_CACHE:-$root/build/compose}
work=$(mktemp -d /tmp/confab-compose.XXXXXX)
ns=confab$$
inside=(nsenter "--net=/run/netns/$ns") # not `ip netns exec`: it hides the cgroups
bridge=172.31.255.1
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH # Debian's docker before any other

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=1 DOCKER_CLI_HINTS=false DOCKER_SCAN_SUGGEST=false
export COMPOSE_PROJECT_NAME=confabtest COMPOSE_FILE=$root/docker-compose.yml
release=${COMPOSE_RELEASE:-$codename}
export DEBIAN_IMAGE=debian:$release-slim CONFAB_IMAGE=confab:test
export REDIS_IMAGE=redis:standin HAPROXY_IMAGE=haproxy:standin
export PROMETHEUS_IMAGE=prometheus:standin NODE_IMAGE=nodejs:standin
export CERTIFICATE_IMAGE=certificate:test NODEJS_IMAGE=mixed:test
export COMPOSE_PROFILES=tls,mixed MIXED=$work/mixed
# More than the hard limit needs a capability that a sandbox may lack.
NOFILE=$(ulimit -H -n)
if [ "$NOFILE" = unlimited ] || [ "$NOFILE" -gt 65536 ]; then NOFILE=65536; fi
export NOFILE PORT=8080 DRAIN_WINDOW_MS=6000

step() { printf '# %4d s  %s\n' "$SECONDS" "$*"; }

passed=0 failed=0
check() { # check NAME COMMAND...
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name"
    fi
}

cannot() { # the engine cannot run here, because...
    if [ -n "${COMPOSE_OPTIONAL:-}" ]; then
        echo "skipped - docker-compose.yml was not run: $*"
        echo "0 passed, 0 failed, 1 skipped"
        exit 0
    fi
    echo "docker-compose.yml cannot be run here: $*" >&2
    exit 1
}

# ---- engine --------------------------------------------------------------------

engine=
had_cgroups=$(ls -d /sys/fs/cgroup/docker /sys/fs/cgroup/*/docker 2>/dev/null || true)

start_engine() { # start_engine build|run
    local prefix=() options=(--bip "$bridge/24" --dns "$bridge")
    if [ "$1" = build ]; then
        options=(--bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false)
    else
        prefix=("${inside[@]}")
    fi
    "${prefix[@]}" dockerd --config-file "$work/daemon.json" \
        --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" \
        --host "$DOCKER_HOST" --default-address-pool base=172.31.0.0/16,size=24 \
        "${options[@]}" >"$work/dockerd-$1.log" 2>&1 &
    engine=$!
    for _ in {1..150}; do
        docker version >/dev/null 2>&1 && return
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$work/dockerd-$1.log" >&2
    cannot "dockerd did not start (its last lines are above)"
}

stop_engine() {
    [ -n "$engine" ] || return 0
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    engine=
}

if command -v docker-compose >/dev/null; then
    compose() { docker-compose "$@"; }
else
    compose() { docker compose "$@"; }
fi

resolver=
talker=
talkers=
cleanup() {
    local status=$? mount
    trap '' INT TERM
    set +e
    [ -z "$talker" ] || kill "$talker" 2>/dev/null
    [ -z "$talkers" ] || kill "$talkers" 2>/dev/null
    if [ -n "$engine" ]; then
        if [ "$status" != 0 ] || [ "$failed" != 0 ]; then show_logs; fi
        COMPOSE_PROFILES=tls,mixed,observability compose down -v --remove-orphans -t 2 >/dev/null 2>&1
    fi
    stop_engine
    [ -z "$resolver" ] || kill "$resolver" 2>/dev/null
    awk -v w="$work/" 'index($2, w) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mount; do umount -l "$mount"; done
    ip netns del "$ns" 2>/dev/null
    if [ -z "$had_cgroups" ]; then
        find /sys/fs/cgroup/docker /sys/fs/cgroup/*/docker -depth -type d -exec rmdir {} + 2>/dev/null
    fi
    if [ -n "${KEEP:-}" ]; then echo "# kept: $work"; else rm -rf "$work"; fi
    exit "$status"
}
show_logs() {
    docker ps -a 2>/dev/null | sed 's/^/# /'
    compose logs --no-color --tail 25 2>/dev/null | sed 's/^/# /'
}
trap cleanup EXIT
trap 'exit 130' INT TERM
trap 'echo "compose.sh: line $LINENO failed" >&2' ERR

# ---- what it takes -------------------------------------------------------------

[ "$(id -u)" = 0 ] || cannot "it takes root to start an engine"
case $codename in '') cannot "this is not a Debian release" ;; esac
[ -x /usr/bin/apt-get ] || cannot "it takes Debian's packages"
mkdir -p "$work/config" "$cache"
echo '{}' >"$work/daemon.json"

step "packages"
wanted=
for p in docker.io docker-compose iptables mmdebstrap iproute2 curl procps; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' $p 2>/dev/null)" = installed ] || wanted="$wanted $p"
done
if [ -n "$wanted" ]; then
    # RUNLEVEL: the packages are not to start services of their own
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    # shellcheck disable=SC2086  # a list
    if ! apt-get update -qq -o DPkg::Lock::Timeout=600 >"$work/apt.log" 2>&1 ||
        ! apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 \
            $wanted >>"$work/apt.log" 2>&1; then
        tail -n 5 "$work/apt.log" >&2
        cannot "could not install$wanted"
    fi
fi
{ ip netns add "$ns" && "${inside[@]}" ip link set lo up; } ||
    cannot "network namespaces cannot be made"

check "docker-compose.yml is valid" compose config -q
COMPOSE_PROFILES=tls,mixed,observability check "with all profiles, too" compose config -q

# What comes from npm is fetched here, where that is set up; see deploy/Dockerfile
# and deploy/mixed/Dockerfile.
make -s -C "$root" build/bundle/socket.io.js
cp -r "$root/deploy/mixed" "$MIXED"
(cd "$MIXED" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund >"$work/npm.log" 2>&1) || {
    tail -n 20 "$work/npm.log" >&2
    exit 1
}

step "base image"
base=$cache/$release.tar
if [ ! -s "$base" ]; then
    # shellcheck disable=SC2016  # its own kind of variables
    mirror=$(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
        awk -F'|' -v r="$codename" '$2 == r && $3 == "main" { print $1; exit }')
    [ -n "$mirror" ] || cannot "apt knows no source of $codename"
    mmdebstrap --quiet --variant=minbase --components=main --include=usr-is-merged \
        --hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        "$release" "$work/base.tar" "$mirror" >"$work/mmdebstrap.log" 2>&1 || {
        tail -n 5 "$work/mmdebstrap.log" >&2
        cannot "could not make a base image"
    }
    mv "$work/base.tar" "$base"
fi
start_engine build
docker import "$base" "$DEBIAN_IMAGE" >/dev/null

step "images of others"
builds=()
for name in redis haproxy prometheus nodejs; do
    docker build -q --network=host --build-arg "BASE=$DEBIAN_IMAGE" -t "$name:standin" \
        "$here/standin/$name" >/dev/null &
    builds+=($!)
done
for one in "${builds[@]}"; do wait "$one"; done

step "our images"
for name in node certificate nodejs; do
    compose -f "$COMPOSE_FILE" -f "$here/build.yml" build $name >"$work/build.log" 2>&1 || {
        tail -n 40 "$work/build.log" >&2
        echo "the image of $name does not build" >&2
        exit 1
    }
done
docker history --format '# {{.Size}}  {{.CreatedBy}}' "$CONFAB_IMAGE" | cut -c 1-100
docker images --format '# {{.Repository}}:{{.Tag}} {{.Size}}'
stop_engine

# ---- run -----------------------------------------------------------------------

start_engine run
# Docker hands on a name that it does not know, such as that of a service that is
# down. Where there is no resolver behind it, asking takes 10 s: have one that says
# no at once.
"${inside[@]}" node "$here/nxdomain.js" "$bridge" &
resolver=$!

url=http://127.0.0.1:$PORT
get() { "${inside[@]}" curl -s --max-time 5 "$@"; }
containers() { compose ps -q "$1"; } # of a service, a line each
any_node() {
    local all
    all=$(containers node)
    echo "${all##*$'\n'}"
}
address() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }
within() { # within SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}
nodes_up() { # the balancer uses exactly $1 nodes
    [ "$(get "http://$balancer:8404/stats;csv" | grep -c '^nodes,node-[0-9]*,.*,UP,')" = "$1" ]
}
serves() { get "$url$1" | grep "$2" >/dev/null; } # grep -q would not read to the end
is_gone() { [ -z "$(docker ps -aq)$(docker volume ls -q)$(docker network ls -q --filter type=custom)" ]; }

# The clients of chat.js stay from here to the end, whatever happens to nodes.
ask() { # ask N: everybody chats, on N nodes
    local answer
    (trap '' PIPE && echo "$1" >&"$to_chat") 2>/dev/null
    read -r -t 60 answer <&"$from_chat" || answer="no answer"
    echo "#   $answer"
    case $answer in ok*) ;; *) return 1 ;; esac
}

step "up"
{ compose up -d --no-build --scale node=3 && compose up -d --no-build --no-deps prometheus; } >"$work/up.log" 2>&1 || {
    cat "$work/up.log" >&2
    exit 1
}
step "checks"
balancer=$(address "$(containers haproxy)")
check "the balancer finds three nodes" within 10 nodes_up 3
check "the page is served" serves / '<html'
check "so is the client" serves /socket.io/socket.io.js 'Socket.IO v4'
metrics_hidden() { [ "$(get -o /dev/null -w '%{http_code}' "$url/metrics")" = 404 ]; }
check "the nodes' metrics are not" metrics_hidden
metrics_inside() { get "http://$(address "$(any_node)"):3001/metrics" | grep -q '^confab_sockets '; }
check "they are inside the network" metrics_inside
unprivileged() {
    local one
    one=$(any_node)
    [ "$(docker exec "$one" id -u)" != 0 ] &&
        ! docker exec "$one" touch /usr/local/bin/x 2>/dev/null &&
        [ "$(docker inspect -f '{{.HostConfig.ReadonlyRootfs}}' "$one")" = true ]
}
check "a node has no privileges" unprivileged

secure=https://localhost:8443
certificate() { docker cp "$(containers haproxy-tls):/certificate/balancer.pem" "$work/balancer.pem" 2>/dev/null; }
check "a certificate was made" within 10 certificate
is_secure() { get --cacert "$work/balancer.pem" "$secure/" | grep '<html' >/dev/null; }
check "and serves https" within 10 is_secure
measured() { # measured JOB N: Prometheus reads N of them
    get --get --data-urlencode "query=sum(up{job=\"$1\"})" http://127.0.0.1:9090/api/v1/query |
        grep "\"$2\"\\]" >/dev/null
}
check "Prometheus finds the nodes" within 20 measured confab 3
check "and both balancers" within 20 measured haproxy 2
speaks() { get "http://127.0.0.1:8090/socket.io/?EIO=4&transport=polling" | grep '"sid"' >/dev/null; }
check "a Node.js server is there" within 10 speaks

coproc chat {
    exec "${inside[@]}" env NODE_EXTRA_CA_CERTS="$work/balancer.pem" \
        node "$here/chat.js" "$url" "$secure" http://127.0.0.1:8090
}
# shellcheck disable=SC2154  # coproc sets it
talker=$chat_PID
# bash forgets its own descriptors when the process ends
exec {to_chat}>&"${chat[1]}" {from_chat}<&"${chat[0]}"
check "clients of all kinds chat across nodes, by TLS, and with Node.js" ask 3

step "scale"
compose up -d --no-build --scale node=5 >"$work/scale.log" 2>&1 || cat "$work/scale.log"
check "two more nodes are found" within 15 nodes_up 5
# the balancer fills them slowly
check "and used" within 20 ask 5
check "Prometheus finds them, too" within 20 measured confab 5

stops_clean() { # SIGTERM, a clean end, and the balancer knows
    local one
    one=$(any_node)
    docker stop -t 30 "$one" >/dev/null &&
        [ "$(docker inspect -f '{{.State.ExitCode}}' "$one")" = 0 ] && within 15 nodes_up 4
}
check "a node that is stopped ends cleanly" stops_clean
compose up -d --no-build --scale node=3 >"$work/scale.log" 2>&1 || cat "$work/scale.log"
check "fewer nodes" within 20 nodes_up 3
check "everybody is on those" ask 3

# People of traffic.js talk while the cluster changes under them.
people=60 fewest=2 # nodes
pace=$((people * 1000 / DRAIN_WINDOW_MS)) # if all were on one node
mkfifo "$work/to_crowd" "$work/from_crowd" # bash has one coproc
"${inside[@]}" node "$here/traffic.js" "$url" $people $pace <"$work/to_crowd" >"$work/from_crowd" &
talkers=$!
exec {to_crowd}>"$work/to_crowd" {from_crowd}<"$work/from_crowd"
hear() {
    local answer
    read -r -t 60 answer <&"$from_crowd" || answer="no answer"
    echo "#   $answer"
    case $answer in ok*) ;; *) return 1 ;; esac
}
judge() { # judge [strictly]
    (trap '' PIPE && echo "judge ${1:-}" >&"$to_crowd") 2>/dev/null
    hear
}
scale() { # scale N
    compose up -d --no-build --scale "node=$1" >"$work/scale.log" 2>&1 || cat "$work/scale.log"
    within 30 nodes_up "$1"
}
roll() { # each node in turn is stopped and started
    local one n
    n=$(containers node | wc -l)
    for one in $(containers node); do
        docker stop -t 40 "$one" >/dev/null && within 30 nodes_up $((n - 1)) &&
            docker start "$one" >/dev/null && within 30 nodes_up "$n" || return 1
    done
}

step "scale under load"
check "people come" hear
check "twice as many nodes" scale 6
check "very few nodes" scale $fewest
check "everybody heard everything once" judge ""
step "restart each node under load"
check "three nodes" scale 3
check "and everything heard" judge ""
check "each is restarted" roll
check "no handshake was refused, nobody was away for long, all went at the pace" judge strictly

step "kill a node"
victim=$(any_node)
pid=$(docker inspect -f '{{.State.Pid}}' "$victim")
[ "$pid" -gt 1 ] && kill -KILL "$pid"
restarted() { [ "$(docker inspect -f '{{.RestartCount}}' "$victim")" = 1 ]; }
check "it is started again" within 10 restarted
check "and used again" within 15 nodes_up 3
check "its clients chat on" ask 2

step "restart redis"
redis=$(containers redis)
docker stop -t 5 "$redis" >/dev/null
sleep 3
check "the page is served meanwhile" serves /socket.io/socket.io.js 'Socket.IO v4'
docker start "$redis" >/dev/null
everyone_ready() { serves /readyz '"ready"'; }
check "the nodes find it again" within 20 everyone_ready
check "everybody chats on" within 20 ask 2

step "down"
kill "$talker" "$talkers" && { wait "$talker" "$talkers" || true; } 2>/dev/null
talker=
talkers=
COMPOSE_PROFILES=tls,mixed,observability compose down -v -t 30 >"$work/down.log" 2>&1 || cat "$work/down.log"
check "down leaves nothing" is_gone
step "done, $(du -sm "$work" | cut -f1) MB used"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
