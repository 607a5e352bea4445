#!/bin/sh
# A transient starts a self-heating VBIC transistor cold, whatever its operating point says
#
# Software: ngspice 39.3, VBIC (level 9); installed from the distribution.
# Guess:    a transient without a stimulus stays at the operating point that it starts from.
# Instead:  the point at t = 0 is warm, the next one has no temperature rise, and the transistor warms up over rth*cth.
#           Gain, compression and frequency of an oscillator drift for hundreds of periods.
# Seen:     rise 21.1 K in .op and at t = 0, 0.0005 K one step later; current 5.25 mA, then 2.47 mA
# Remedy:   hold the temperature by a voltage source at the thermal node, set to the mean dissipation times rth.
. "$(dirname "$0")/prelude"
ngspice_is 39

cat > deck.cir <<'END'
self-heating
.model q npn level=9 is=1e-17 ibei=1e-19 rbi=10 rbx=5 re=1 rcx=5 rth=2000 cth=100p
vb b 0 dc 0.86
vc c 0 dc 2
q1 c b 0 0 t q
.control
op
let operating_point = v(t)
print operating_point
tran 1n 2000n
let at_zero = v(t)[0]
let one_step_later = v(t)[1]
let at_the_end = v(t)[length(v(t))-1]
print at_zero
print one_step_later
print at_the_end
.endc
.end
END
ngspice -b deck.cir > log 2>&1 || true
expect "temperature rise in .op, K" "$(value operating_point log)" 21 21.2
expect "at t = 0 of the transient" "$(value at_zero log)" 21 21.2
expect "one step later" "$(value one_step_later log)" 0 0.01
expect "after ten thermal time constants" "$(value at_the_end log)" 20 21.2
