#!/bin/sh
# .ic on a net with an inductor to ground starts a transient at hundreds of gigavolts
#
# Software: ngspice 39.3; installed from the distribution.
# Guess:    `.ic v(a)=1` starts the tank at 1 V, or is refused since an inductor holds the net at 0 V.
# Instead:  the net is held through 1e-10 ohm while the inductor is a short circuit: 1e10 A flow at the start, and the tank
#           rings at 3e11 V. Nothing is said.
# Seen:     v(a) = 0 V at t = 0, inductor current 1e10 A, greatest v(a) 2.9e11 V
# Remedy:   `tran ... uic`, or a current pulse that starts the oscillation.
. "$(dirname "$0")/prelude"
ngspice_is 39

cat > deck.cir <<'END'
tank
l1 a 0 1n
c1 a 0 1p
r1 a 0 1k
.ic v(a)=1
.control
tran 1p 2n
let start = v(a)[0]
let current = i(l1)[0]
print start
print current
meas tran greatest max v(a)
.endc
.end
END
ngspice -b deck.cir > log 2>&1 || true
sed 's/tran 1p 2n/tran 1p 2n uic/' deck.cir > uic.cir
ngspice -b uic.cir > uic.log 2>&1 || true
expect "with uic, greatest voltage, V" "$(value greatest uic.log)" 0.8 1.01
expect "without, voltage at the start, V" "$(value start log)" -0.01 0.01
expect "without, inductor's current at the start, A" "$(value current log)" 9e9 1.1e10
expect "without, greatest voltage, V" "$(value greatest log)" 1e11 1e12
