#!/bin/sh
# The thermal noise of VBIC's parasitic base resistance rbp acts across the emitter resistance
#
# Software: ngspice 39.3, VBIC (level 9); installed from the distribution.
# Guess:    a resistor a tenth as large has a tenth of the noise voltage squared. rbp belongs to the parasitic transistor,
#           which is off here, so either value adds next to nothing at the output.
# Instead:  its current noise 4kT/rbp is injected across re. A tenth of rbp is ten times the noise power, sqrt(10) in
#           onoise_q1_rbp, and with rbp = re the contribution is that of re. Noise figures of real cards come out too high.
# Seen:     ratio of onoise_q1_rbp, rbp 4 to 40 ohm: 3.1623; onoise_q1_rbp over onoise_q1_re at rbp = re: 1.0000
# Remedy:   list the contributions and take onoise_*_rbp out of the total.
. "$(dirname "$0")/prelude"
ngspice_is 39

cat > deck.cir <<'END'
noise of rbp
.model q npn level=9 is=1e-17 ibei=1e-19 rbi=10 rbx=5 rbp=40 re=2 rcx=5 rci=5 isp=1e-18 ibeip=1e-20 cje=20f cjc=10f tf=0.4p
vb source 0 dc 0.85 ac 1
rs source b 50
q1 c b 0 0 q
vc supply 0 1.5
rl supply c 200
.control
noise v(c) vb lin 3 1g 3g 1
setplot noise1
let at_40 = onoise_q1_rbp[0]
altermod q rbp=4
noise v(c) vb lin 3 1g 3g 1
setplot noise3
let ratio = onoise_q1_rbp[0]/noise1.at_40
print ratio
altermod q rbp=2
noise v(c) vb lin 3 1g 3g 1
setplot noise5
let equal = onoise_q1_rbp[0]/onoise_q1_re[0]
print equal
.endc
.end
END
ngspice -b deck.cir > log 2>&1 || true
expect "noise voltage of a tenth of rbp, over that of rbp" "$(value ratio log)" 3.15 3.17
expect "noise of rbp over that of re, where they are equal" "$(value equal log)" 0.999 1.001
