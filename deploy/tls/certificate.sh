#!/bin/sh
# Puts a certificate with its key where the balancer reads it, /certificate, and ends:
# the one mounted at /given.pem, or else one for TLS_NAME that signed itself, which
# clients must be told to trust. That one is made once and kept in the volume.
set -eu
umask 022 # the balancer is another user; nobody else mounts the volume
name=${TLS_NAME:-localhost}
if [ -s /given.pem ]; then
    cat /given.pem >/certificate/new.pem
elif [ -e /certificate/balancer.pem ] && [ "$(cat /certificate/name)" = "$name" ] &&
    openssl x509 -in /certificate/balancer.pem -noout -checkend 2592000 >/dev/null; then
    exit
else
    cd /tmp
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
        -subj "/CN=$name" -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" \
        -keyout key.pem -out certificate.pem 2>/dev/null
    cat certificate.pem key.pem >/certificate/new.pem
    echo "$name" >/certificate/name
    echo "made a certificate for $name, which nobody trusts yet:"
    openssl x509 -in certificate.pem -noout -fingerprint -sha256 -enddate
fi
# HAProxy refuses to start with a bad one; say so here.
openssl x509 -in /certificate/new.pem -noout
openssl pkey -in /certificate/new.pem -noout
mv /certificate/new.pem /certificate/balancer.pem
