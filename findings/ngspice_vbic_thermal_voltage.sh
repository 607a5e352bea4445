#!/bin/sh
# VBIC's junctions keep the thermal voltage of TNOM at every temperature
#
# Software: ngspice 39.3, VBIC (level 9); installed from the distribution.
# Guess:    the slope of ln(I_C) over V_BE is q/kT: 38.7 per volt at 27 C, 29.0 at 127 C, as for the Gummel-Poon model.
# Instead:  the saturation current moves with temperature, the slope does not.
# Seen:     at 127 C 38.4 per volt (VBIC) and 29.0 (Gummel-Poon)
# Remedy:   scale the card to the temperature beforehand and give it tnom = that temperature.
. "$(dirname "$0")/prelude"
ngspice_is 39

cat > deck.cir <<'END'
slope of the collector current
.model vbic npn level=9 is=1e-17 ibei=1e-19 rbi=10 rbx=5 re=0.001 rcx=5 tnom=27
.model gummel npn is=1e-17 bf=100 tnom=27
vb b 0 dc 0.6
v1 c1 0 1.5
v2 c2 0 1.5
q1 c1 b 0 0 vbic
q2 c2 b 0 gummel
.control
foreach t 27 127
  set temp = $t
  dc vb 0.5 0.55 0.05
  let vbic_$t = ln(i(v1)[1]/i(v1)[0])/0.05
  let gummel_$t = ln(i(v2)[1]/i(v2)[0])/0.05
  print vbic_$t
  print gummel_$t
end
.endc
.end
END
ngspice -b deck.cir > log 2>&1 || true
expect "VBIC, slope per volt at 27 C" "$(value vbic_27 log)" 38.5 38.8
expect "Gummel-Poon, slope per volt at 127 C" "$(value gummel_127 log)" 28.9 29.1
expect "VBIC, slope per volt at 127 C" "$(value vbic_127 log)" 38 38.8
