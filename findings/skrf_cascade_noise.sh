#!/bin/sh
# A passive network in a cascade adds its loss and no noise
#
# Software: scikit-rf 2.2.0
# Guess:    a matched 3 dB pad at the reference temperature before an amplifier of 2 dB noise figure: 5 dB (Friis).
# Instead:  a network without noise data counts as noiseless, even where its S-parameters say that it is passive.
# Seen:     3.36 dB
# Remedy:   give every passive part its noise, or count the loss beside the cascade.
. "$(dirname "$0")/prelude"
packages scikit-rf==2.2.0 numpy==2.4.6 scipy==1.17.1

python - > log <<'END'
import numpy as np
import skrf

band = skrf.Frequency(1, 2, 2, "GHz")
pad = skrf.media.DefinedGammaZ0(band, z0=50).attenuator(-3, d=0)
amplifier = skrf.Network(frequency=band, s=np.array([[[0, 0], [10, 0]]] * 2), z0=50)
amplifier.set_noise_a(band, nfmin_db=2, gamma_opt=0, rn=10)
print(f"amplifier = {10 * np.log10(amplifier.nf(50)[0])}")
print(f"cascade = {10 * np.log10((pad**amplifier).nf(50)[0])}")
END
expect "amplifier alone, dB" "$(value amplifier log)" 1.99 2.01
expect "pad and amplifier, dB" "$(value cascade log)" 3.3 3.4
