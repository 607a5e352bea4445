"""Splits that leak nothing, arrays that say what was simulated, and held-out specifications that are fair."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from genrf import classes, technology
from genrf.circuit.canonical import fingerprint
from genrf.circuit.normalise import denormalise, normalise
from genrf.conditioning import Conditioning, fit
from genrf.conditions import Conditions
from genrf.errors import CheckpointError, InvalidInputError
from genrf.generation.candidates import slots
from genrf.generation.precedents import precedents_in
from training.config.schema import Config, per_class
from training.data.dominance import DOMINANCE_BAND_DECADES, domination_counts
from training.data.prepare import prepare_data
from training.data.rows import SPLITS, Rows, at_own_frequency, failed_file
from training.data.specifications import SPECIFICATIONS_FILE, read_specifications, specification_of


@pytest.fixture(scope="module")
def splits(prepared: Path) -> dict[str, Rows]:
    return {name: Rows.load(prepared / f"{name}.npz") for name in SPLITS}


def test_no_topology_is_in_two_splits(splits: dict[str, Rows]) -> None:
    fingerprints = [set(rows.fingerprint.tolist()) for rows in splits.values()]
    assert not fingerprints[0] & fingerprints[1]
    assert not fingerprints[0] & fingerprints[2]
    assert not fingerprints[1] & fingerprints[2]


def test_nothing_that_is_trained_on_descends_from_a_test_row(splits: dict[str, Rows], shards: list[Path]) -> None:
    parents = {}
    for folder in shards:
        for path in folder.glob("lna/*.parquet"):
            for row in pq.read_table(path, columns=["row", "parents"]).to_pylist():
                parents[row["row"]] = row["parents"]
    test = set(splits["test"].row.tolist())
    for name in ("train", "validation"):
        for row in splits[name].row.tolist():
            line = [row]
            while line:
                ancestor = line.pop()
                assert ancestor not in test
                line += parents[ancestor]


def test_an_earlier_normalisation_can_be_kept(
    config: Config, shards: list[Path], prepared: Path, tmp_path: Path
) -> None:
    earlier = Conditioning.load(prepared)
    replace(earlier, mean=tuple(tuple(m + 1.0 for m in means) for means in earlier.mean)).save(tmp_path)
    prepare_data(config, shards, tmp_path / "again", normalisation=tmp_path)
    assert Conditioning.load(tmp_path / "again") == Conditioning.load(tmp_path)
    before, after = Rows.load(prepared / "test.npz"), Rows.load(tmp_path / "again" / "test.npz")
    column = earlier.metrics.index("gain_db")
    shift = np.median(before.metrics[:, column] - after.metrics[:, column])
    assert shift == pytest.approx(1.0 / earlier.deviation[0][column], rel=1e-5)
    assert (after.measured == before.measured).all()
    with pytest.raises(InvalidInputError, match="no normalisation for class vco, only for lna"):
        prepare_data(replace(config, classes=("lna", "vco")), [], tmp_path / "none", normalisation=tmp_path)


def test_circuits_that_failed_are_kept_apart_by_the_same_splits(
    splits: dict[str, Rows], shards: list[Path], prepared: Path
) -> None:
    table = pa.concat_tables([pq.read_table(path) for folder in shards for path in folder.glob("lna/*.parquet")])
    lost = table.filter(pc.is_valid(table["failure"]))
    kept = 0
    for name, rows in splits.items():
        with np.load(prepared / failed_file(name)) as archive:
            failed = {key: archive[key] for key in archive.files}
        kept += len(failed["kinds"])
        own = {k.tobytes() + n.tobytes() for k, n in zip(failed["kinds"], failed["nets"], strict=True)}
        for others in (splits[other] for other in SPLITS if other != name):
            assert not own & {k.tobytes() + n.tobytes() for k, n in zip(others.kinds, others.nets, strict=True)}
        assert np.isfinite(rows.measured[:, 0]).all()
    assert 0 < kept <= len(lost)


def test_a_dataset_of_before_failures_were_rows_is_refused(config: Config, shards: list[Path], tmp_path: Path) -> None:
    old = tmp_path / "lna" / "shard-000-round-00-chunk-000.parquet"
    old.parent.mkdir()
    pq.write_table(pq.read_table(sorted(shards[0].glob("lna/*.parquet"))[0]).drop_columns("failure"), old)
    with pytest.raises(InvalidInputError, match="no column failure"):
        prepare_data(config, [tmp_path], tmp_path / "prepared")


def test_arrays_give_back_the_simulated_values(splits: dict[str, Rows]) -> None:
    rows = splits["train"]
    legal = denormalise(rows.kinds, rows.values.astype(float), rows.frequency_hz, technology.get("sg13g2"))
    assert np.allclose(legal, rows.values_si, rtol=2e-3, atol=2e-3)


def test_useful_rows_weigh_most(splits: dict[str, Rows]) -> None:
    rows = splits["train"]
    assert rows.useful.any()
    assert (~rows.useful).any()
    assert (rows.weight[rows.useful] == 1.0).all()
    assert (rows.weight[~rows.useful] < 1.0).all()


def test_the_precedents_kept_are_those_that_fewest_circuits_surpass(
    splits: dict[str, Rows], prepared: Path, config: Config, shards: list[Path], tmp_path: Path
) -> None:
    train = splits["train"]
    useful = train.take(train.useful)
    counts = domination_counts(useful, Conditioning.load(prepared), "lna")
    best = np.count_nonzero(counts == 0)
    assert 0 < best < len(useful)
    fewer = replace(config, preparation=replace(config.preparation, precedents=int(best)))
    prepare_data(fewer, shards, tmp_path)
    kept = precedents_in(tmp_path)("lna")
    assert kept is not None
    values = useful.values[counts == 0].astype(np.float16)
    assert sorted(map(bytes, kept.values)) == sorted(map(bytes, values))


def test_a_circuit_is_surpassed_by_those_of_its_conditions_alone(splits: dict[str, Rows], prepared: Path) -> None:
    conditioning = Conditioning.load(prepared)
    row = splits["train"].take(np.flatnonzero(splits["train"].useful)[:1])
    names = classes.get("lna").specification_metrics
    gain, noise = (conditioning.metrics.index(name) for name in ("gain_db", "nf_db"))
    assert {"gain_db", "nf_db"} <= set(names)

    def like(gain_more: float, noise_more: float, frequency: float = 1.0, supply_more: float = 0.0) -> Rows:
        metrics, conditions = row.metrics.copy(), row.conditions.copy()
        metrics[:, gain] += gain_more
        metrics[:, noise] += noise_more
        # The middle of the band, so that a step within it stays there.
        column = conditioning.frequency_column
        conditions[:, column] = DOMINANCE_BAND_DECADES * (
            np.floor(conditions[:, column] / DOMINANCE_BAND_DECADES) + 0.5
        )
        conditions[:, column] += np.log10(frequency)
        conditions[:, column + 1] += supply_more
        return replace(row, metrics=metrics, conditions=conditions)

    rows = [
        like(0.0, 0.0),
        like(0.5, 0.0),
        like(0.5, -0.5, frequency=1.02),
        like(0.5, 0.5),
        like(1.0, -1.0, frequency=1.3),
        like(1.0, -1.0, supply_more=0.3),
    ]
    together = Rows(**{field.name: np.concatenate([getattr(r, field.name) for r in rows]) for field in fields(Rows)})
    assert domination_counts(together, conditioning, "lna").tolist() == [2, 1, 0, 2, 0, 0]


def test_precedents_are_useful_training_circuits(splits: dict[str, Rows], prepared: Path, config: Config) -> None:
    precedents = precedents_in(prepared)("lna")
    train = splits["train"]
    assert precedents is not None
    known = {(kinds.tobytes(), nets.tobytes()) for kinds, nets in zip(train.kinds, train.nets, strict=True)}
    assert all((k.tobytes(), n.tobytes()) in known for k, n in zip(precedents.kinds, precedents.nets, strict=True))
    assert len(precedents) == min(train.useful.sum(), per_class(config.preparation.precedents, "lna"))


def test_held_out_specifications_are_met_by_their_own_circuit_up_to_exact_and_not_beyond(
    splits: dict[str, Rows], prepared: Path
) -> None:
    metrics = Conditioning.load(prepared).metrics
    test = splits["test"]
    items = read_specifications(prepared / SPECIFICATIONS_FILE)
    assert {item.level for item in items} >= {"relaxed", "exact", "tightened"}
    for item in items:
        index = int(np.flatnonzero(test.row == item.row)[0])
        measured = dict(zip(metrics, test.measured[index], strict=True))
        assert item.spec.meets(measured) == (item.level != "tightened")
        assert {c.metric for c in item.spec.constraints} >= set(classes.get("lna").specification_metrics)


def test_nothing_is_asked_for_beyond_what_is_measured(splits: dict[str, Rows]) -> None:
    measured = {
        "conversion_gain_db": 5.0,
        "ip1db_dbm": -10.0,
        "lo_rf_isolation_db": 80.0,
        "lo_if_isolation_db": 60.0,
        "power_w": 1e-3,
    }
    row = splits["test"].take(np.array([0]))
    row = replace(row, circuit_class=np.array(["mixer"]), measured=np.array([list(measured.values())]))
    spec = specification_of(row, 0, list(measured), harder=0.1)
    bounds = {constraint.metric: constraint.bound for constraint in spec.constraints}
    # As simulated, balance is perfect, and isolation above 80 dB is the simulator's rounding.
    assert bounds["lo_rf_isolation_db"] == 80.0
    assert bounds["lo_if_isolation_db"] == pytest.approx(66.0)
    assert bounds["power_w"] == pytest.approx(0.9e-3)


def test_frontier_specifications_are_beyond_all_training_circuits_of_about_the_same_frequency(
    splits: dict[str, Rows], prepared: Path
) -> None:
    metrics = Conditioning.load(prepared).metrics
    train = splits["train"]
    frontier = [item for item in read_specifications(prepared / SPECIFICATIONS_FILE) if item.level == "frontier"]
    for item in frontier:
        bounds = [c for c in item.spec.constraints if c.metric in classes.get("lna").specification_metrics]
        near = np.abs(np.log(train.frequency_hz / item.spec.conditions.frequency_hz)) < np.log(1.25)
        for row in train.measured[near]:
            measured = dict(zip(metrics, row, strict=True))
            assert not all(c.slack(measured[c.metric]) >= 0 for c in bounds)


def test_preparing_again_gives_the_same_files(
    config: Config, shards: list[Path], prepared: Path, tmp_path: Path
) -> None:
    prepare_data(config, list(reversed(shards)), tmp_path)
    for name in (SPECIFICATIONS_FILE, "normalisation.json", "report.json"):
        assert (tmp_path / name).read_bytes() == (prepared / name).read_bytes()
    for name in SPLITS:
        first, second = Rows.load(tmp_path / f"{name}.npz"), Rows.load(prepared / f"{name}.npz")
        assert np.array_equal(first.row, second.row)
        assert np.array_equal(first.values, second.values)


def test_no_rows_is_an_error_that_names_the_folder(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=str(tmp_path)):
        prepare_data(config, [tmp_path], tmp_path / "out")


def test_a_damaged_set_of_specifications_is_refused(tmp_path: Path) -> None:
    (tmp_path / SPECIFICATIONS_FILE).write_text('[{"level": "exact"}]')
    with pytest.raises(CheckpointError, match=SPECIFICATIONS_FILE):
        read_specifications(tmp_path / SPECIFICATIONS_FILE)


def test_the_report_tells_of_each_class_and_of_the_split(
    prepared: Path, splits: dict[str, Rows], config: Config
) -> None:
    report = json.loads((prepared / "report.json").read_text())
    assert report["split"] == {"seed": config.seed, "test_share": config.preparation.test_share}
    (own,) = report["classes"].values()
    for name, rows in splits.items():
        assert own[f"rows_{name}"] == report[f"rows_{name}"] == len(rows)
    assert own["rows"] == sum(len(rows) for rows in splits.values()) + report["rows_set_aside"]
    assert own["topologies"] == report["topologies"]
    assert config.data.frequency_min_hz <= own["frequency_hz"][0] < own["frequency_hz"][1]
    assert own["supply_v"] == [1.2, 3.3]


def test_an_oscillator_rescaled_from_its_own_frequency_keeps_to_the_new_one() -> None:
    """One that was asked for 10 GHz and has 12.5 GHz: at 20 GHz its L and C are 12.5/20 of what they were, not half."""
    definition, process = classes.get("vco"), technology.get("sg13g2")
    rng = np.random.default_rng(4)
    asked = Conditions(frequency_hz=10e9, supply_v=1.5)
    topology = definition.sample_topology(rng)
    kinds, nets = slots([topology])
    values_si = np.zeros(kinds.shape)
    values_si[0, : len(topology.devices)] = definition.first_order_values(topology, asked, rng)
    names = definition.label_metrics
    conditioning = fit(("vco",), {"vco": {name: np.linspace(1.0, 20.0, 20) for name in names}})
    measured = np.full((1, len(names)), 2.0)
    measured[0, names.index("frequency_hz")], measured[0, names.index("frequency_error_percent")] = 12.5e9, 25.0
    rows = Rows(
        kinds=kinds.astype(np.int8),
        nets=nets.astype(np.int8),
        values=normalise(kinds, values_si, 10e9).astype(np.float32),
        metrics=measured.astype(np.float32),
        conditions=conditioning.encode_conditions("vco", asked)[None],
        weight=np.ones(1, np.float32),
        balance=np.ones(1, np.float32),
        values_si=values_si,
        measured=measured,
        frequency_hz=np.array([10e9]),
        supply_v=np.array([1.5]),
        useful=np.array([False]),
        circuit_class=np.array(["vco"]),
        fingerprint=np.array([fingerprint(topology)]),
        row=np.array([1]),
    )
    own = at_own_frequency(rows, conditioning, "vco")
    assert own.measured[0].tolist() == [
        0.0 if name == "frequency_error_percent" else v for name, v in zip(names, measured[0], strict=True)
    ]
    twelve = conditioning.encode_conditions("vco", replace(asked, frequency_hz=12.5e9))
    np.testing.assert_allclose(own.conditions[0], twelve, rtol=1e-6)
    rescaled = denormalise(own.kinds, own.values.astype(float), np.array([20e9]), process)
    reactive = [device.kind in ("inductor", "capacitor") for device in topology.devices]
    ratio = rescaled[0, : len(reactive)] / values_si[0, : len(reactive)]
    # A component's tolerance: values are on the process's grid.
    np.testing.assert_allclose(ratio[reactive], 12.5 / 20.0, rtol=0.05)
    np.testing.assert_allclose(ratio[~np.array(reactive)], 1.0, rtol=0.05)
    amplifier = replace(rows, circuit_class=np.array(["lna"]))
    assert at_own_frequency(amplifier, conditioning, "lna") is amplifier
