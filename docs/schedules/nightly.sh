#!/bin/sh
# Runs all nightly steps of one or more pipelines: nightly.sh PIPELINE OUTPUT [PIPELINE OUTPUT ...]
# Continues if a step fails, and names the step on stderr. Exits with the first of 2, 3, 1 and 4 that a step exited with, else with 0.
#
#   MINIMIZE   the command (default: minimize in the folder of this script)
#   DELETED    a directory's feed of deleted users (CSV or NDJSON), of which each user is recorded once; empty if there is none
#   RECALLS    the folder for the lists of data that recipients must delete (default: recalls)
#   SINCE      the first batch date to run, YYYY-MM-DD (default: all); set it if source files are removed after some days
#   QUIET      if set, successful steps print nothing
set -u
minimize=${MINIMIZE:-$(dirname "$0")/minimize}
recalls=${RECALLS:-recalls}
quiet=${QUIET:+--quiet}
worst=0

rank() { case $1 in 0) echo 0 ;; 4) echo 1 ;; 1) echo 2 ;; 3) echo 3 ;; *) echo 4 ;; esac; }
step() {
    "$@" ${quiet:+"$quiet"}
    code=$?
    [ "$code" -eq 0 ] || echo "nightly.sh: exit code $code from: $*" >&2
    [ "$(rank "$code")" -le "$(rank "$worst")" ] || worst=$code
}
import_deleted() { # passes every pipeline, so that a user is found in every output
    left=$#
    while [ "$left" -gt 0 ]; do
        set -- "$@" --pipeline "$1"
        shift 2
        left=$((left - 2))
    done
    step "$minimize" events import "$DELETED" --linked "$@"
}
each_output() { # for each pipeline: runs the pending dates, then removes data that is expired or no longer covered
    while [ $# -gt 0 ]; do
        step "$minimize" run "$1" --pending ${SINCE:+--since "$SINCE"}
        step "$minimize" expire "$2" --yes
        step "$minimize" retract "$2" --received --yes
        shift 2
    done
}

if [ $# -eq 0 ] || [ $(($# % 2)) -ne 0 ]; then
    echo "usage: nightly.sh PIPELINE OUTPUT [PIPELINE OUTPUT ...]" >&2
    exit 2
fi
mkdir -p "$recalls" || worst=2
[ -z "${DELETED:-}" ] || import_deleted "$@"
each_output "$@"
step "$minimize" consent mark-expired
step "$minimize" access mark-expired
step "$minimize" share recall issue --to "$recalls/$(date -u +%Y-%m-%dT%H%M%SZ)-$$.json"
step "$minimize" audit truncate --yes
while [ $# -gt 0 ]; do
    step "$minimize" verify "$2"
    shift 2
done
exit "$worst"
