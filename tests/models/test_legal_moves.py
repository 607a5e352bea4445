"""What the generator may write next: every legal circuit can be written, and what it must not write is told."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pytest
import torch
from torch import Tensor

from genrf import classes
from genrf.circuit.tokens import KIND_TOKENS, MAX_DEVICES, MAX_NETS, decode, encode
from genrf.circuit.topology import Topology
from genrf.conditioning import REFERENCE_SUPPLY_V
from genrf.generation.candidates import read_topology
from training.models.legal_moves import LegalMoves, Outlook
from training.models.topology_gan import N_KINDS, N_ROLES, TopologyGAN, TopologyGANConfig

NAMES = classes.names()
LACKS = ("feed", "return", "drive", "direct current", "terminal", "amplified", "signal", "neighbour")
GROUND, SUPPLY, IN, OUT, N1 = 1, 2, 3, 4, 7


def conditions(circuit_class: str, supply_v: float, count: int = 1) -> Tensor:
    vector = torch.zeros(count, len(NAMES) + 4)
    vector[:, NAMES.index(circuit_class)] = 1.0
    vector[:, len(NAMES) + 1] = supply_v - REFERENCE_SUPPLY_V
    return vector


def config(temperature: float, **sizes: int) -> TopologyGANConfig:
    """Of a generator of all classes, whose specifications are a one-hot and the conditions."""
    return TopologyGANConfig(
        specification_size=len(NAMES) + 4,
        circuit_classes=NAMES,
        temperatures=(temperature,) * len(NAMES),
        **sizes,
    )


class Written:
    """A circuit as it is written, device by device."""

    def __init__(self, circuit_class: str = "lna", supply_v: float = 1.2) -> None:
        self.generator = TopologyGAN(config(0.5, code_size=2, width=8, critic_width=8)).generator
        self.moves = LegalMoves(NAMES)
        specification = conditions(circuit_class, supply_v)
        self.wiring, self.around = self.moves.start(specification), self.moves.surroundings(specification)
        self.state = torch.zeros(1, MAX_NETS, N_ROLES)

    @cached_property
    def outlook(self) -> Outlook:
        return self.moves.outlook(self.wiring, self.state, self.around)

    def lacking(self) -> set[tuple[str, int]]:
        """What is lacking, and the net token that lacks it."""
        return {(LACKS[what], int(net)) for what, net in self.outlook.lacks[0].nonzero().tolist()}

    def wrong(self, kind: str, *earlier: int) -> set[int]:
        """Net tokens that are wrong at the next terminal."""
        found = self.outlook.wrong(one(KIND_TOKENS[kind], N_KINDS), [one(net, MAX_NETS) for net in earlier])
        return set(found[0].nonzero().flatten().tolist()) - {0}

    def useless(self, *earlier: int) -> set[int]:
        found = self.outlook.useless([one(net, MAX_NETS) for net in earlier])
        return set(found[0].nonzero().flatten().tolist())

    def add(self, kind: str, *nets: int) -> None:
        token = one(KIND_TOKENS[kind], N_KINDS)
        vectors = [one(net, MAX_NETS) for net in (*nets, 0, 0)[:3]]
        self.wiring = self.moves.after(self.wiring, token, vectors)
        self.state = self.state + self.generator._connections(token, vectors)
        self.__dict__.pop("outlook", None)


def one(index: int, size: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor([index]), size).float()


def written(topology: Topology, supply_v: float) -> tuple[Written, list[str]]:
    """The circuit once it is written, and each choice on the way that was told to be wrong."""
    tokens, circuit, refused = encode(topology), Written(topology.circuit_class, supply_v), []
    for device, nets in zip(topology.devices, tokens.nets, strict=False):
        own = [int(net) for net in nets[: len(device.nets)]]
        for place, net in enumerate(own):
            if net in circuit.wrong(device.kind, *own[:place]):
                refused.append(f"{device.kind} {own} at {place}")
        circuit.add(device.kind, *own)
    return circuit, refused


@pytest.mark.parametrize("circuit_class", NAMES)
def test_every_legal_circuit_can_be_written_and_lacks_nothing_at_its_end(circuit_class: str) -> None:
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(60):
        topology = classes.get(circuit_class).sample_topology(rng)
        circuit, wrong = written(topology, supply_v=1.2)
        assert circuit.lacking() == set(), topology.devices
        refused += bool(wrong)
    # Coils alone from the supply to a base and from its emitter to ground, which the rules allow and no transistor bears.
    assert refused <= 1


def test_a_transistor_lacks_feed_return_and_drive_until_it_has_them() -> None:
    circuit = Written()
    circuit.add("capacitor", IN, N1)
    circuit.add("hbt", N1 + 1, N1, N1 + 2)
    assert {("feed", N1 + 1), ("return", N1 + 2), ("drive", N1)} <= circuit.lacking()
    circuit.add("resistor", N1 + 1, SUPPLY)
    assert ("feed", N1 + 1) not in circuit.lacking()
    circuit.add("inductor", N1 + 2, GROUND)
    assert ("return", N1 + 2) not in circuit.lacking()
    circuit.add("resistor", N1, N1 + 3)
    assert ("drive", N1) in circuit.lacking()
    circuit.add("bias_voltage", N1 + 3)
    circuit.add("capacitor", N1 + 1, OUT)
    assert circuit.lacking() == set()


def test_current_that_comes_through_another_transistor_is_feed_and_return() -> None:
    circuit = Written()
    circuit.add("hbt", N1, IN, GROUND)
    circuit.add("hbt", N1 + 1, SUPPLY, N1)
    circuit.add("resistor", N1 + 1, SUPPLY)
    assert not {(what, net) for what, net in circuit.lacking() if what in ("feed", "return")}


def test_ground_passes_no_feed_on() -> None:
    circuit = Written()
    circuit.add("resistor", GROUND, SUPPLY)
    circuit.add("hbt", N1, IN, GROUND)
    circuit.add("resistor", N1, GROUND)
    assert ("feed", N1) in circuit.lacking()


def test_a_net_between_capacitors_lacks_direct_current_and_one_pair_of_nets_a_neighbour() -> None:
    circuit = Written("filter")
    circuit.add("capacitor", IN, N1)
    circuit.add("capacitor", N1, OUT)
    assert circuit.lacking() == {("direct current", N1)}
    circuit.add("inductor", N1, N1 + 1)
    circuit.add("capacitor", N1, N1 + 1)
    assert ("neighbour", N1 + 1) in circuit.lacking()
    circuit.add("inductor", N1 + 1, GROUND)
    assert circuit.lacking() == set()


def test_what_mends_a_lack_is_offered_and_nothing_else() -> None:
    circuit = Written()
    circuit.add("capacitor", IN, N1)
    circuit.add("hbt", N1 + 1, N1, GROUND)
    circuit.add("resistor", N1 + 1, SUPPLY)
    circuit.add("capacitor", N1 + 1, OUT)
    assert circuit.lacking() == {("drive", N1)}
    assert set(range(MAX_NETS)) - circuit.useless() == {N1}
    assert SUPPLY not in circuit.useless(N1)
    assert N1 + 1 not in circuit.useless(N1)
    assert {GROUND, IN, OUT} <= circuit.useless(N1)
    menders = circuit.outlook.menders[0].nonzero().flatten().tolist()
    assert menders == [KIND_TOKENS["resistor"], KIND_TOKENS["inductor"]]


def test_an_amplifier_lacks_a_way_through_a_transistor() -> None:
    circuit = Written("lna")
    circuit.add("capacitor", IN, N1)
    circuit.add("resistor", N1, SUPPLY)
    circuit.add("capacitor", N1, OUT)
    assert circuit.lacking() == {("amplified", OUT)}
    circuit.add("hbt", N1 + 1, N1, GROUND)
    circuit.add("resistor", N1 + 1, SUPPLY)
    assert circuit.lacking() == {("amplified", OUT)}
    assert set(range(MAX_NETS)) - circuit.useless(OUT) == {N1 + 1}
    circuit.add("capacitor", N1 + 1, OUT)
    assert circuit.lacking() == set()


def test_inductors_close_no_loop_with_each_other_nor_with_sources() -> None:
    circuit = Written()
    circuit.add("inductor", N1, N1 + 1)
    circuit.add("inductor", N1 + 1, SUPPLY)
    assert {N1, SUPPLY, GROUND} <= circuit.wrong("inductor", N1)
    assert GROUND not in circuit.wrong("capacitor", N1)
    assert {N1, N1 + 1, SUPPLY, GROUND, IN} <= circuit.wrong("bias_voltage")
    circuit.add("bias_voltage", N1 + 2)
    assert N1 + 2 in circuit.wrong("inductor", N1)
    assert N1 + 2 in circuit.wrong("bias_voltage")


def test_ports_stay_free_of_direct_current_but_where_the_testbench_holds_them() -> None:
    circuit = Written("lna")
    circuit.add("inductor", IN, N1)
    assert {IN, N1} <= circuit.wrong("hbt")
    assert SUPPLY in circuit.wrong("resistor", N1)
    assert SUPPLY not in circuit.wrong("capacitor", N1)
    circuit.add("hbt", N1 + 1, N1 + 2, GROUND)
    assert {N1 + 1, N1 + 2} <= circuit.wrong("inductor", N1)
    oscillator = Written("vco")
    tune = IN + classes.get("vco").ports.names.index("tune")
    assert tune not in oscillator.wrong("resistor", N1)
    ports = len(classes.get("vco").ports.names)
    absent = oscillator.around.absent[0].nonzero().flatten().tolist()
    assert absent == list(range(IN + ports, N1))


def test_a_transistor_is_not_held_where_it_cannot_conduct() -> None:
    circuit = Written(supply_v=1.2)
    circuit.add("inductor", N1, GROUND)
    circuit.add("inductor", N1 + 1, SUPPLY)
    assert {GROUND, N1} <= circuit.wrong("hbt")
    assert {GROUND, N1} <= circuit.wrong("hbt", N1 + 2)
    assert {SUPPLY, N1 + 1, N1 + 3} <= circuit.wrong("hbt", N1 + 2, N1 + 3)


def test_a_base_at_the_supply_is_right_unless_its_emitter_is_at_ground() -> None:
    circuit = Written(supply_v=1.2)
    circuit.add("inductor", N1, GROUND)
    circuit.add("inductor", N1 + 1, SUPPLY)
    assert not {SUPPLY, N1 + 1} & circuit.wrong("hbt", N1 + 2)
    for base in (SUPPLY, N1 + 1):
        assert {GROUND, N1} <= circuit.wrong("hbt", N1 + 2, base)
        assert N1 + 3 not in circuit.wrong("hbt", N1 + 2, base)


@pytest.mark.parametrize(("first", "second"), [(SUPPLY, GROUND), (GROUND, SUPPLY)])
def test_inductors_put_no_junction_across_the_supply(first: int, second: int) -> None:
    circuit = Written(supply_v=1.2)
    circuit.add("hbt", N1, N1 + 1, N1 + 2)
    base_or_emitter = {SUPPLY: N1 + 1, GROUND: N1 + 2}
    assert first not in circuit.wrong("inductor", base_or_emitter[first])
    assert second not in circuit.wrong("inductor", base_or_emitter[second])
    circuit.add("inductor", base_or_emitter[first], first)
    assert second in circuit.wrong("inductor", base_or_emitter[second])
    assert second not in circuit.wrong("resistor", base_or_emitter[second])


def test_inductors_hold_no_transistor_at_one_voltage() -> None:
    circuit = Written()
    circuit.add("hbt", N1, N1 + 1, N1 + 2)
    assert {N1, N1 + 1} <= circuit.wrong("inductor", N1 + 2)
    assert N1 + 2 in circuit.wrong("inductor", N1)
    assert N1 + 1 not in circuit.wrong("inductor", N1)
    circuit.add("inductor", N1 + 1, N1 + 3)
    assert N1 + 3 in circuit.wrong("inductor", N1 + 2)
    assert N1 + 3 not in circuit.wrong("resistor", N1 + 2)


def test_a_pair_can_be_cross_coupled_below_coils_to_the_supply() -> None:
    circuit = Written("vco", supply_v=1.2)
    circuit.add("hbt", N1, N1 + 1, N1 + 2)
    assert {N1} - circuit.wrong("hbt", N1 + 1)
    circuit.add("hbt", N1 + 1, N1, N1 + 2)
    assert SUPPLY not in circuit.wrong("inductor", N1)
    circuit.add("inductor", N1, SUPPLY)
    assert SUPPLY not in circuit.wrong("inductor", N1 + 1)


@pytest.mark.parametrize(("supply_v", "refused"), [(1.5, False), (1.8, True)])
def test_one_transistor_has_no_more_across_it_than_it_bears(supply_v: float, refused: bool) -> None:
    below = Written(supply_v=supply_v)
    below.add("inductor", N1, SUPPLY)
    assert (GROUND in below.wrong("hbt", N1, N1 + 1)) is refused
    above = Written(supply_v=supply_v)
    above.add("hbt", N1, N1 + 1, GROUND)
    assert (SUPPLY in above.wrong("inductor", N1)) is refused
    assert SUPPLY not in above.wrong("resistor", N1)
    lower = Written(supply_v=supply_v)
    lower.add("hbt", SUPPLY, N1 + 1, N1)
    assert (GROUND in lower.wrong("inductor", N1)) is refused


def test_the_last_slots_are_kept_for_what_is_lacking() -> None:
    circuit = Written("filter")
    circuit.add("inductor", IN, OUT)
    for _ in range(MAX_DEVICES - 4):
        circuit.add("capacitor", IN, OUT)
    assert circuit.outlook.urgent().item() == 0.0
    circuit.add("inductor", IN, N1)
    assert circuit.outlook.left.item() == 2.0
    assert circuit.outlook.urgent().item() == 1.0
    circuit.add("inductor", N1, OUT)
    assert circuit.outlook.urgent().item() == 0.0


def test_what_an_untrained_generator_writes_is_readable_and_often_legal() -> None:
    torch.manual_seed(0)
    model = TopologyGAN(config(1.0, code_size=6, width=32, embedding=16)).eval()
    with torch.no_grad():
        # Chance alone hardly ever ends a circuit before all slots are full.
        model.generator.kind_head.bias[0] += 2.0
    legal = 0
    for name in NAMES:
        seeded = torch.Generator().manual_seed(1)
        drawn = model.generate(conditions(name, 1.2, 100), generator=seeded)
        for kinds, nets in zip(*(part.numpy() for part in drawn), strict=True):
            tokens, topology = read_topology(kinds, nets, name)
            decode(tokens, name)  # raises if it holds a port that the class does not have
            legal += topology is not None
    # 58 of 500; without the rules 3.
    assert legal > 30
