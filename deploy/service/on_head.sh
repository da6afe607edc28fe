#!/bin/sh
# Starts the service on a cluster's head, in place of one from before: sh deploy/service/on_head.sh [OPTIONS]
# OPTIONS are those of `tuner serve`. What it says is in ~/serve.log, what it keeps in ~/thaw-service.
set -eu

is_server() {
    tr '\0' ' ' < "/proc/$1/cmdline" 2> /dev/null | grep -q 'tuner serve '
}

before=$(cat ~/serve.pid 2> /dev/null || true)
if [ -n "$before" ] && is_server "$before"; then
    kill "$before"
    for _ in $(seq 150); do
        is_server "$before" || break
        sleep 1
    done
fi
setsid nohup tuner serve --address auto --state ~/thaw-service "$@" >> ~/serve.log 2>&1 < /dev/null &
echo $! > ~/serve.pid
