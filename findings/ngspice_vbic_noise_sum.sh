#!/bin/sh
# VBIC's noise is less than the sum of the contributions that it lists
#
# Software: ngspice 39.3, VBIC (level 9); installed from the distribution.
# Guess:    a transistor's noise power is the sum of its sources' (rc, rci, rb, rbi, re, rbp, rs, ic, ib, ibep, iccp, flicker).
# Instead:  rs and iccp (the parasitic transistor's current) are listed, but neither is in the sum, nor in onoise_spectrum.
# Seen:     of a transistor that saturates, onoise_q1 squared is 1.0000 of the sum without both, 0.835 of the sum with them
# Remedy:   list the contributions and add onoise_*_rs and onoise_*_iccp.
. "$(dirname "$0")/prelude"
ngspice_is 39

cat > deck.cir <<'END'
sum of noise
.model q npn level=9 is=1e-17 ibei=1e-19 ibci=1e-19 rbi=10 rbx=5 rbp=40 re=2 rcx=5 rci=5 rs=20 isp=1e-16 ibeip=1e-19
+ ibcip=1e-19 cje=20f cjc=10f cjep=10f cjcp=20f tf=0.4p
vb source 0 dc 0.9 ac 1
rs source b 50
q1 c b 0 s q
rsub s 0 500
vc supply 0 0.3
rl supply c 200
.control
noise v(c) vb lin 3 1g 3g 1
setplot noise1
let a = onoise_q1_rc^2 + onoise_q1_rci^2 + onoise_q1_rb^2 + onoise_q1_rbi^2 + onoise_q1_re^2 + onoise_q1_rbp^2
let b = onoise_q1_ic^2 + onoise_q1_ib^2 + onoise_q1_ibep^2 + onoise_q1_1overfbe^2 + onoise_q1_1overfbep^2
let short = onoise_q1^2/(a + b)
let full = onoise_q1^2/(a + b + onoise_q1_rs^2 + onoise_q1_iccp^2)
let without_both = short[0]
let of_all = full[0]
print without_both
print of_all
.endc
.end
END
ngspice -b deck.cir > log 2>&1 || true
expect "noise power over the sum without rs and iccp" "$(value without_both log)" 0.9999 1.0001
expect "noise power over the sum of all" "$(value of_all log)" 0.80 0.87
