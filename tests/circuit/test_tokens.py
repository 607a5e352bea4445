"""A topology survives the models' integer form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from genrf.circuit.canonical import canonical
from genrf.circuit.devices import KINDS
from genrf.circuit.tokens import MAX_DEVICES, MAX_INTERNAL_NETS, MAX_NETS, Tokens, decode, encode
from tests.circuit.topologies import COMMON_EMITTER, topologies, written


@settings(max_examples=100, deadline=None)
@given(topologies())
def test_round_trip_loses_nothing(topology):
    form, _ = canonical(topology)
    tokens = encode(form)
    assert decode(tokens, "lna") == form
    assert encode(decode(tokens, "lna")) == tokens


def test_numbers_mean_what_the_models_are_told():
    tokens = encode(canonical(written(*COMMON_EMITTER))[0])
    kinds = ["", *KINDS]
    assert tokens.kinds.dtype == tokens.nets.dtype == np.int8
    assert tokens.kinds.shape == (MAX_DEVICES,)
    assert tokens.nets.shape == (MAX_DEVICES, 3)
    assert kinds[tokens.kinds[0]] == "capacitor"
    assert tokens.nets[0].tolist() == [3, 7, 0]  # from port "in" to n1, no third terminal
    assert tokens.kinds[6:].tolist() == [0] * (MAX_DEVICES - 6)
    assert int(tokens.nets.max()) < MAX_NETS


def test_empty_slots_and_surplus_terminals_are_passed_over():
    form, _ = canonical(written(*COMMON_EMITTER))
    tokens = encode(form)
    kinds, nets = np.roll(tokens.kinds, 3), np.roll(tokens.nets, 3, axis=0)
    nets[3, 2] = 9  # the third terminal of a capacitor
    nets[0] = 5  # an empty slot
    assert decode(Tokens(kinds, nets), "lna") == form


@pytest.mark.parametrize(
    ("kind", "nets", "said"),
    [
        (8, (1, 2, 3), "unknown kind token 8"),
        (-1, (1, 2, 3), "unknown kind token -1"),
        (1, (0, 7, 0), "net token 0 is no net"),
        (1, (5, 7, 0), "net token 5 is no net of class lna"),
        (4, (7, 8, 28), "net token 28 is no net"),
    ],
)
def test_tokens_that_are_no_topology_are_refused(kind, nets, said):
    kinds, all_nets = np.zeros(MAX_DEVICES, dtype=np.int8), np.zeros((MAX_DEVICES, 3), dtype=np.int8)
    kinds[2], all_nets[2] = kind, nets
    with pytest.raises(ValueError, match=f"slot 2: {said}"):
        decode(Tokens(kinds, all_nets), "lna")


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="29 devices do not fit into 28 slots"):
        encode(written(*["R in out"] * (MAX_DEVICES + 1)))
    chain = ["R in n1", *(f"R n{k} n{k + 1}" for k in range(1, MAX_INTERNAL_NETS + 1))]
    assert encode(written(*chain[:-1])).nets.max() == MAX_NETS - 1
    with pytest.raises(ValueError, match=f"'n{MAX_INTERNAL_NETS + 1}' has no token"):
        encode(written(*chain))


def test_equal_tokens_are_equal_and_hash_equally():
    form, _ = canonical(written(*COMMON_EMITTER))
    assert encode(form) == encode(form)
    assert hash(encode(form)) == hash(encode(form))
    assert encode(form) != encode(written("R in out"))
