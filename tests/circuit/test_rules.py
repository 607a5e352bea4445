"""Every electrical rule, broken on purpose, names the rule, the device and the net."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from genrf.circuit.rules import is_legal, violations
from genrf.circuit.tokens import MAX_DEVICES, MAX_INTERNAL_NETS
from tests.circuit.topologies import COMMON_EMITTER, disguised, topologies, written

# COMMON_EMITTER: "C in b", "V bias", "R bias b", "Q c b 0", "L vdd c", "C c out"


def changed(*added: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The smallest amplifier with lines left out and added."""
    assert set(without) <= set(COMMON_EMITTER)
    return (*(line for line in COMMON_EMITTER if line not in without), *added)


BROKEN = {
    "resistor with both ends on one net": (changed("R c c"), ("shorted_device", "R2", "c")),
    "diode-connected transistor": (
        changed("Q b b 0", without=("Q c b 0",)),
        ("shorted_device", "Q1", "b"),
    ),
    "net with one terminal": (changed("R c x"), ("dangling_net", "R2", "x")),
    "unused port": (changed("C c 0", without=("C c out",)), ("dangling_net", None, "out")),
    "bias source on the supply": (changed("V vdd"), ("shorted_source", "V2", "vdd")),
    "bias source on ground": (changed("V 0"), ("shorted_source", "V2", "0")),
    "bias source on a port": (changed("V in"), ("shorted_source", "V2", "in")),
    "two bias sources on one net": (changed("V bias"), ("shorted_source", "V2", "bias")),
    "resistor from supply to ground": (changed("R vdd 0"), ("idle_device", "R2", "vdd")),
    "capacitor across a bias source": (changed("C bias 0"), ("idle_device", "C3", "bias")),
    "inductor from supply to a grounded inductor": (changed("L c 0"), ("source_loop", "L2", "c")),
    "two inductors in parallel": (changed("L vdd c"), ("source_loop", "L2", "vdd")),
    "two capacitors in series": (changed("C b x", "C x 0"), ("dc_path", "C3", "x")),
    "input without a DC block": (changed("L in b", without=("C in b",)), ("port_dc", "L2", "b")),
    "output without a DC block": (changed("R c out", without=("C c out",)), ("port_dc", "R2", "c")),
    "port fed from the supply through two devices": (changed("R in x", "L x vdd"), ("port_dc", "L2", "vdd")),
    "port directly on a collector": (
        changed("Q out b 0", "L vdd out", without=("Q c b 0", "L vdd c", "C c out")),
        ("port_dc", None, "out"),
    ),
    "base that only a capacitor drives": (
        changed(without=("V bias", "R bias b")),
        ("base_bias", "Q1", "b"),
    ),
    "base fed from its own emitter only": (
        changed("R b e", "Q c b e", "R e 0", without=("V bias", "R bias b", "Q c b 0")),
        ("base_bias", "Q1", "b"),
    ),
    "base on ground": (
        changed("C in c", "Q c 0 e", "R e 0", without=("C in b", "V bias", "R bias b", "Q c b 0")),
        ("base_bias", "Q1", "0"),
    ),
    "base held at ground by an inductor": (changed("L b 0"), ("base_bias", "Q1", "b")),
    "base and emitter joined by an inductor": (
        changed("Q c b e", "R e 0", "L b e", without=("Q c b 0",)),
        ("base_bias", "Q1", "b"),
    ),
    "collector without a feed": (changed(without=("L vdd c",)), ("collector_feed", "Q1", "c")),
    "collector fed from another base only": (
        changed("R c d", "Q f d 0", "L vdd f", "C f out", without=("L vdd c", "C c out")),
        ("collector_feed", "Q1", "c"),
    ),
    "collector held at ground": (changed("R vdd c", "L c 0", without=("L vdd c",)), ("collector_feed", "Q1", "c")),
    "collector on a bias source": (changed("L bias c", without=("L vdd c",)), ("collector_feed", "Q1", "c")),
    "collector and emitter joined by an inductor": (
        changed("Q c b e", "R e 0", "L c e", without=("Q c b 0",)),
        ("collector_feed", "Q1", "c"),
    ),
    "emitter without a return": (changed("Q c b e", "C e 0", without=("Q c b 0",)), ("emitter_return", "Q1", "e")),
    "emitter at the supply": (changed("Q c b vdd", without=("Q c b 0",)), ("emitter_return", "Q1", "vdd")),
    "second amplifier that nothing drives": (
        changed("V p", "R p q", "Q r q 0", "R vdd r", "C q r"),
        ("connected", "R2", "q"),
    ),
    "branch that hangs on one net": (changed("R c x", "C x y", "L y c"), ("dead_branch", "R2", "c")),
    "no transistor": (("C in x", "L x 0", "C x out"), ("no_transistor", None, None)),
    "transistor beside the signal path": (
        ("C in x", "C x out", "R x 0", "V bias", "Q c bias e", "R e 0", "L vdd c", "C x c"),
        ("signal_path", None, "out"),
    ),
}


def test_the_smallest_amplifier_breaks_no_rule():
    assert violations(written(*COMMON_EMITTER)) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_names_device_and_net(name):
    lines, (rule, device, net) = BROKEN[name]
    topology = written(*lines)
    found = violations(topology)
    assert (rule, device, net) in {(violation.rule, violation.device, violation.net) for violation in found}
    assert not is_legal(topology)
    for violation in found:
        assert violation.device is None or violation.device in violation.message
        assert violation.net is None or violation.net in violation.message


def test_every_rule_is_broken_by_some_case():
    known = {
        "shorted_device", "dangling_net", "shorted_source", "idle_device", "source_loop", "dc_path", "port_dc",
        "base_bias", "collector_feed", "emitter_return", "connected", "dead_branch", "no_transistor", "signal_path",
    }  # fmt: skip
    assert {rule for _, (rule, _, _) in BROKEN.values()} == known


def test_size_limits():
    assert [violation.rule for violation in violations(written())] == ["size", "dangling_net", "dangling_net"]
    many = written(*changed(*["R c b"] * MAX_DEVICES))
    assert any(v.rule == "size" and "at most 28 are allowed" in v.message for v in violations(many))
    chain = [f"L x{k} x{k + 1}" for k in range(MAX_INTERNAL_NETS)]
    long = written(*changed("L vdd x0", f"L x{MAX_INTERNAL_NETS} c", *chain, without=("L vdd c",)))
    assert any(v.rule == "size" and "internal nets" in v.message for v in violations(long))


LEGAL = {
    "cascode with its base on a bias source": changed("Q m b 0", "Q c k m", "V k", without=("Q c b 0",)),
    "cascode with its base on the supply": changed("Q m b 0", "Q c vdd m", without=("Q c b 0",)),
    "self-bias from the collector": changed("R c b", without=("V bias", "R bias b")),
    "divider from the supply": changed("R vdd b", "R b 0", without=("V bias", "R bias b")),
    "common base": ("C in e", "L e 0", "V k", "Q c k e", "L vdd c", "C c out"),
    "two stages coupled directly": changed(
        "R vdd c", "Q f c g", "R g 0", "L vdd f", "C f out", without=("L vdd c", "C c out")
    ),
    "shunt inductor at a port": changed("L in 0"),
    "feedback from collector to base": changed("R c x", "C x b"),
    "series trap to ground": changed("L c x", "C x 0"),
    "emitter follower": changed("Q vdd c f", "R f 0", "C f out", without=("C c out",)),
}


@pytest.mark.parametrize("name", LEGAL)
def test_ordinary_practice_breaks_no_rule(name):
    assert violations(written(*LEGAL[name])) == []


@settings(max_examples=100, deadline=None)
@given(topologies())
def test_whatever_the_grammar_and_mutation_draw_is_legal(topology):
    assert violations(topology) == []


@settings(max_examples=50, deadline=None)
@given(topologies())
def test_rules_do_not_depend_on_names_and_order(topology):
    assert is_legal(disguised(topology, 7))
