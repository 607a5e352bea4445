#!/bin/sh
# Have a container engine and the base image on this machine, for trying the images where neither is at hand, as in CI.
#
#   docker/engine.sh            starts Debian's engine where none answers, and makes the base image where none can be pulled
#   docker/engine.sh stop       stops the engine that was started so
#
# Exit 4: no engine can be had or started here, with the reason.
set -eu

BASE=${BASE:-python:3.11-slim-bookworm}
STATE=${STATE:-/run/genrf-engine}

give_up() { echo "engine: $1" >&2; exit 4; }

packages() {
    command -v apt-get > /dev/null 2>&1 || give_up "$* is missing and this is no Debian system to install it on"
    [ "$(id -u)" -eq 0 ] || give_up "$* is missing and installing it needs root"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -qq -y --no-install-recommends "$@" || { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@"; }; } > /dev/null 2>&1 \
        || give_up "apt-get could not install $*"
}

start() {
    docker info > /dev/null 2>&1 && return
    command -v dockerd > /dev/null 2>&1 || packages docker.io
    mkdir -p "$STATE"
    # Neither bridge nor firewall rules: containers use the machine's network, which a sandbox may not let them change.
    nohup dockerd --iptables=false --bridge=none --storage-driver overlay2 > "$STATE/dockerd.log" 2>&1 &
    echo $! > "$STATE/pid"
    for _ in $(seq 60); do
        docker info > /dev/null 2>&1 && return
        kill -0 "$(cat "$STATE/pid")" 2> /dev/null || break
        sleep 1
    done
    give_up "dockerd does not start here: $(grep -v level=info "$STATE/dockerd.log" | tail -n 1)"
}

base() {
    docker image inspect "$BASE" > /dev/null 2>&1 && return
    timeout 120 docker pull --quiet "$BASE" > /dev/null 2>&1 && return
    echo "engine: $BASE cannot be pulled here; making one of Debian's packages in its place"
    command -v mmdebstrap > /dev/null 2>&1 || packages mmdebstrap
    mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
        --customize-hook='copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs' \
        --customize-hook='ln -s python3 "$1/usr/bin/python"' --customize-hook='rm -rf "$1"/var/lib/apt/lists/*' \
        bookworm - "deb http://deb.debian.org/debian bookworm main" 2> "$STATE/base.log" | docker import - "$BASE" > /dev/null \
        || give_up "mmdebstrap could not make a base image: $(tail -n 1 "$STATE/base.log")"
}

case ${1:-start} in
    start)
        start
        mkdir -p "$STATE"
        base
        ;;
    stop)
        # The number may be another process's by now.
        pid=$(cat "$STATE/pid" 2> /dev/null || true)
        [ -z "$pid" ] || [ "$(cat "/proc/$pid/comm" 2> /dev/null)" != dockerd ] || kill "$pid"
        rm -f "$STATE/pid"
        ;;
    *)
        sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p;}' "$0"
        exit 2
        ;;
esac
