#!/bin/sh
# Puts the official client's bundle files into the folder $1, from npm, at the
# versions of the lock file beside this script.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
work=$out/npm
mkdir -p "$work"
cp "$here/package.json" "$here/package-lock.json" "$work/"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --omit=dev >npm.log 2>&1) || {
    cat "$work/npm.log" >&2
    echo "fetching the browser client from npm failed; see above" >&2
    exit 1
}
for f in socket.io.js socket.io.min.js socket.io.esm.min.js socket.io.msgpack.min.js; do
    cp "$work/node_modules/socket.io-client/dist/$f" "$work/node_modules/socket.io-client/dist/$f.map" "$out/"
done
node -p "require('$(cd "$work" && pwd)/node_modules/socket.io-client/package.json').version" >"$out/version"
# the make target must be newer than the lock file
touch "$out/socket.io.js"
