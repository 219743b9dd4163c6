# shellcheck shell=bash
# The npm packages of tests/package-lock.json, installed under build/test-deps
# once for each version of the lock; sourced by tests/run.sh and
# tests/bench/run.sh in the repository's root. Several may ask at once.
npm_packages() {
    local deps=$PWD/build/test-deps hash
    hash=$(sha256sum tests/package.json tests/package-lock.json | sha256sum | cut -d ' ' -f 1)
    mkdir -p "$deps"
    (
        flock 9
        [ "$(cat "$deps/installed" 2>/dev/null)" = "$hash" ] && exit
        rm -rf "$deps/node_modules" "$deps/installed"
        cp tests/package.json tests/package-lock.json "$deps"
        cd "$deps" && npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1 || {
            cat npm.log >&2
            echo "installing what the tests need from npm failed; see above" >&2
            exit 1
        }
        echo "$hash" >installed
    ) 9>"$deps/lock" || return 1
    export NODE_PATH=$deps/node_modules
}
