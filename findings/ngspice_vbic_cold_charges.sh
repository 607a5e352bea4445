#!/bin/sh
# VBIC's charges in AC analyses are those of the ambient temperature, its conductances those of the heated junction
#
# Software: ngspice 39.3, VBIC (level 9); installed from the distribution.
# Guess:    with no charge but that of the transit time, the transit frequency is 1 / (2 pi tf), however hot the junction is:
#           159 GHz for tf = 1 ps.
# Instead:  with self-heating the charge stays that of the cold junction at the same voltage, and the current does not.
# Seen:     159 GHz without self-heating, 358 GHz with a junction 21 K hotter
# Remedy:   small-signal analyses with a card scaled to the junction's temperature, tnom = that temperature, and rth = 0.
. "$(dirname "$0")/prelude"
ngspice_is 39

for rth in 0 2000; do
    cat > deck.cir <<END
transit frequency
.model q npn level=9 is=1e-17 ibei=1e-19 rbi=10 rbx=5 re=1 rcx=5 tf=1p rth=$rth
vb b 0 dc 0.86 ac 1
vc c 0 dc 2
q1 c b 0 0 t q
rt t 0 1e9
.control
ac lin 1 10g 10g
let transit_ghz = 10/imag(vb#branch/vc#branch)
print transit_ghz
op
let rise = v(t)
print rise
.endc
.end
END
    ngspice -b deck.cir > "log$rth" 2>&1 || true
done
expect "transit frequency without self-heating, GHz" "$(value transit_ghz log0)" 158 160
expect "the junction's rise of temperature, K" "$(value rise log2000)" 20 22
expect "transit frequency with self-heating, GHz" "$(value transit_ghz log2000)" 340 375
