#!/bin/sh
# What a house does every night beside its runs, whatever becomes of the step before; fails where one of them did.
# Grants that ran out are written down, recipients' recalls that fell due are requested (the list is what they are to be told),
# and the audit log lets go what is past its year.
set -u
worst=0
note() { code=$?; [ "$code" -le "$worst" ] || worst=$code; }
minimize=${MINIMIZE:-/opt/minimize/bin/minimize}
recalls=${RECALLS:-recalls}
mkdir -p "$recalls" || note
"$minimize" access expire || note
"$minimize" share recall request --to "$recalls/$(date -u +%Y-%m-%d).json" || note
"$minimize" audit truncate --yes || note
exit "$worst"
