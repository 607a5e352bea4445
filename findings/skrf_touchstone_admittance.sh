#!/bin/sh
# An admittance in a Touchstone file of version 1 is read wrong by the square of the reference resistance
#
# Software: scikit-rf 2.2.0
# Guess:    Touchstone 1.1 normalises Y as it does Z: y = Y*R. So z = 1.5 and y = 1/1.5 at R = 50 are both 75 ohm.
# Instead:  Z files are read right; y is multiplied by R instead of divided by it.
# Seen:     75 ohm from the Z file, 0.03 ohm (75/50^2) from the Y file
# Remedy:   write such files with R 1, or as S.
. "$(dirname "$0")/prelude"
packages scikit-rf==2.2.0 numpy==2.4.6 scipy==1.17.1

printf '# Hz Z RI R 50\n1e9 1.5 0\n2e9 1.5 0\n' > z.s1p
printf '# Hz Y RI R 50\n1e9 0.66666667 0\n2e9 0.66666667 0\n' > y.s1p
python - > log <<'END'
import skrf

for kind in "zy":
    print(f"{kind}_file = {skrf.Network(f'{kind}.s1p').z[0, 0, 0].real}")
END
expect "impedance from the Z file, ohm" "$(value z_file log)" 74.9 75.1
expect "impedance from the Y file, ohm" "$(value y_file log)" 0.0299 0.0301
