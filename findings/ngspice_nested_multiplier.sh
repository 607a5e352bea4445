#!/bin/sh
# Multipliers m of nested subcircuits do not multiply, and one instance changes another
#
# Software: ngspice 39.3; installed from the distribution.
# Guess:    1 kohm in a subcircuit with m=3, in another with m=2, draws 6 mA from 1 V. Beside it, the outer subcircuit
#           without an m draws 3 mA.
# Instead:  the outer m takes the inner one's place: 2 mA. The second instance draws 1 mA beside the first, 3 mA alone.
# Seen:     2 mA, 1 mA; alone 3 mA
# Remedy:   one multiplier a hierarchy, or the devices written out.
. "$(dirname "$0")/prelude"
ngspice_is 39

cat > subcircuits.inc <<'END'
.subckt inner a b
r1 a b 1k
.ends
.subckt outer a b
x1 a b inner m=3
.ends
v2 c 0 1
x2 c 0 outer
END
cat > print.inc <<'END'
.control
op
let plain_ma = -1000*i(v2)
print plain_ma
END
{ echo "both"; cat subcircuits.inc; echo "v1 a 0 1"; echo "x1 a 0 outer m=2"; cat print.inc; } > both.cir
printf 'let doubled_ma = -1000*i(v1)\nprint doubled_ma\n.endc\n.end\n' >> both.cir
{ echo "alone"; cat subcircuits.inc print.inc; printf '.endc\n.end\n'; } > alone.cir
for name in both alone; do ngspice -b $name.cir > $name.log 2>&1 || true; done
expect "m=2 around m=3, mA" "$(value doubled_ma both.log)" 1.99 2.01
expect "m=3 alone, mA" "$(value plain_ma alone.log)" 2.99 3.01
expect "m=3 beside another instance, mA" "$(value plain_ma both.log)" 0.99 1.01
