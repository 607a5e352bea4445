#!/bin/sh
# A linear sweep of two points simulates one
#
# Software: ngspice 39.3; installed from the distribution.
# Guess:    `ac lin 2 1g 2g` gives 1 and 2 GHz, as `ac lin 3 1g 2g` gives three frequencies.
# Instead:  it gives 1 GHz alone.
# Seen:     lengths 1 and 3
# Remedy:   ask for three points and leave the middle one.
. "$(dirname "$0")/prelude"
ngspice_is 39

cat > deck.cir <<'END'
sweep
v1 a 0 ac 1
r1 a 0 50
.control
ac lin 2 1g 2g
let two = length(frequency)
print two
ac lin 3 1g 2g
let three = length(frequency)
print three
.endc
.end
END
ngspice -b deck.cir > log 2>&1 || true
expect "frequencies of lin 3" "$(value three log)" 3 3
expect "frequencies of lin 2" "$(value two log)" 1 1
