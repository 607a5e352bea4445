"""How trials are kept, shared out and counted."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from genrf.conditions import Conditions, Constraint
from genrf.errors import InvalidInputError
from genrf.generation.backend import OnnxBackend
from genrf.generation.released import released_folder
from genrf.spec import DesignSpec
from training.comparison.quality.journal import Entry, Journal
from training.comparison.quality.plots import plot_success
from training.comparison.quality.queue import FairQueue
from training.comparison.quality.report import comparisons, decided, overall, summary, write_result
from training.comparison.quality.tasks import Task, plan
from training.comparison.quality.worker import Setup, open_worker
from training.config.loading import DEFAULT_PATH, load_config
from training.data.specifications import HeldOutSpecification
from training.evaluation.success import calls_to_reach, curve, held_against, interval, resampled, success


def specification(number: int, circuit_class: str = "lna", level: str = "exact") -> HeldOutSpecification:
    metric = "gain_db" if circuit_class == "lna" else "psat_dbm"
    spec = DesignSpec(
        circuit_class=circuit_class,
        conditions=Conditions(frequency_hz=10e9, supply_v=1.8),
        constraints=(Constraint(metric, ">=", float(number)),),
        name=f"{circuit_class}-{level}-{number}",
    )
    return HeldOutSpecification(level=level, row=number, spec=spec)


def tasks_of(*specifications: HeldOutSpecification, count: int = 100, **changes: object) -> list[Task]:
    arguments = {
        "methods": ("generator", "retrieval", "cma-es"),
        "factors": (1, 10),
        "calls": {"lna": 64, "pa": 16},
        "count": count,
        "bundle": "b",
        "dataset": "d",
        "technology": "t",
        "seed": 1,
    }
    return plan(specifications, **{**arguments, **changes})  # type: ignore[arg-type]


def entry_for(task: Task, first_met: int | None, seconds: float = 1.0) -> Entry:
    circuit_class, level, method, calls = task.group
    return Entry(
        key=task.key,
        circuit_class=circuit_class,
        level=level,
        name=task.item.spec.name,
        method=method,
        calls=calls,
        identity=task.identity,
        first_met=first_met,
        simulated=first_met or calls,
        failed={},
        seconds=seconds,
        gains=[],
        machine="m",
    )


def test_a_plan_gives_searches_every_budget_and_others_one() -> None:
    tasks = tasks_of(*(specification(n) for n in range(5)), *(specification(n, "pa") for n in range(5)), count=3)
    assert {task.group[1:] for task in tasks if task.group[0] == "pa"} == {
        ("exact", "generator", 16),
        ("exact", "retrieval", 16),
        ("exact", "cma-es", 16),
        ("exact", "cma-es", 160),
    }
    assert [task.item.row for task in tasks if task.group == ("lna", "exact", "cma-es", 640)] == [0, 1, 2]
    assert len({task.key for task in tasks}) == len(tasks) == 2 * 4 * 3


def test_a_trial_is_known_again_only_if_what_decides_it_is_the_same() -> None:
    def keys(**changes: object) -> dict[str, str]:
        return {task.method: task.key for task in tasks_of(specification(1), factors=(1,), **changes)}

    before = keys()
    assert keys() == before
    assert {m for m, key in keys(bundle="other").items() if key != before[m]} == {"generator"}
    assert {m for m, key in keys(dataset="other").items() if key != before[m]} == {"retrieval"}
    assert {m for m, key in keys(seed=2).items() if key != before[m]} == set(before)


def test_a_journal_survives_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "work" / "trials.jsonl"
    first, second, third = tasks_of(*(specification(n) for n in range(3)), methods=("retrieval",))
    journal = Journal(path)
    journal.add(entry_for(first, 3))
    journal.add(entry_for(second, None))
    path.write_bytes(path.read_bytes()[:-20])
    journal = Journal(path)
    assert set(journal.entries) == {first.key}
    journal.add(entry_for(third, 5))
    assert Journal(path).entries == {first.key: entry_for(first, 3), third.key: entry_for(third, 5)}


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_text(json.dumps({"key": "x"}) + "\n")
    with pytest.raises(InvalidInputError, match=r"trials.jsonl, line 1.*--work"):
        Journal(path)


def test_slow_groups_get_as_much_time_as_fast_ones_until_those_are_done() -> None:
    tasks = tasks_of(*(specification(n) for n in range(40)), *(specification(n, "pa") for n in range(40)), factors=(1,))
    queue = FairQueue(tasks, {})
    seconds = {"lna": 0.1, "pa": 1.0}
    started: list[str] = []
    for _ in range(240):
        task = queue.take()
        assert task is not None
        name = task.group[0]
        started.append(name)
        queue.end(task, entry_for(task, None, seconds[name]))
    spent = {name: seconds[name] * started[:60].count(name) for name in seconds}
    assert spent["pa"] == pytest.approx(spent["lna"], abs=3.5)
    last = len(started) - started[::-1].index("lna")
    assert 8 <= started[:last].count("pa") <= 16
    assert queue.take() is None


def test_groups_of_a_class_fill_evenly_and_in_order() -> None:
    tasks = tasks_of(*(specification(n) for n in range(10)), factors=(1,))
    queue = FairQueue(tasks, {})
    taken: dict[str, list[int]] = {}
    for _ in range(15):
        task = queue.take()
        assert task is not None
        taken.setdefault(task.method, []).append(task.item.row)
        queue.end(task, entry_for(task, None))
    assert taken == {method: [0, 1, 2, 3, 4] for method in ("generator", "retrieval", "cma-es")}


def test_what_is_done_is_not_handed_out_again_and_what_was_not_ended_is_next() -> None:
    tasks = tasks_of(*(specification(n) for n in range(3)), methods=("retrieval",))
    queue = FairQueue(tasks, {tasks[0].key: entry_for(tasks[0], 2)})
    assert len(queue) == 2
    task = queue.take()
    assert task == tasks[1]
    queue.put_back(task)
    assert [queue.take(), queue.take(), queue.take()] == [tasks[1], tasks[2], None]


def test_trials_that_ended_after_one_that_has_not_do_not_count() -> None:
    tasks = tasks_of(*(specification(n) for n in range(4)), methods=("retrieval",))
    entries = {task.key: entry_for(task, 1) for task in (tasks[0], tasks[1], tasks[3])}
    (own,) = decided(tasks, entries).values()
    assert [entry.name for entry in own] == ["lna-exact-0", "lna-exact-1"]


def test_an_interval_holds_the_middle_95_percent() -> None:
    assert interval(np.arange(1001.0)) == [25.0, 975.0]


def test_success_and_curve_count_specifications_met_within_the_calls() -> None:
    first = np.array([1.0, 4.0, 4.0, np.inf])
    index = np.arange(4)[None]
    entry = success(first, [1, 4], index)
    assert entry == {
        "success_at_1": 0.25,
        "success_at_1_interval": [0.25, 0.25],
        "success_at_4": 0.75,
        "success_at_4_interval": [0.75, 0.75],
    }
    assert [(k, share) for k, share, *_ in curve(first, 8, index, per_octave=1)] == [
        (1, 0.25),
        (2, 0.25),
        (4, 0.75),
        (8, 0.75),
    ]


def test_calls_to_reach_a_share() -> None:
    first = np.array([9.0, 2.0, np.inf, 5.0])
    assert [float(calls_to_reach(first, np.array(share))) for share in (0.0, 0.25, 0.5, 0.51, 1.0)] == [
        1,
        2,
        5,
        9,
        np.inf,
    ]
    assert float(calls_to_reach(np.arange(1.0, 8.0), np.array(3 / 7))) == 3.0


def test_methods_are_compared_on_the_same_resampled_specifications() -> None:
    ours = np.array([1.0] * 90 + [np.inf] * 10)
    theirs = np.where(np.arange(100) < 40, 50.0, np.inf)
    index = resampled(100, 500, np.random.default_rng(0))
    line = held_against(ours, theirs, 64, index)
    assert line["difference"] == pytest.approx(0.5)
    # Of a paired difference: sqrt(0.5 * 0.5 / 100) is one deviation.
    low, high = line["difference_interval"]
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.03)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.03)
    assert line["clear"]
    assert line["calls_to_match"]["1"] == [None, None, None]
    same = held_against(theirs, theirs, 64, index)
    assert same["difference_interval"] == [0.0, 0.0]
    assert not same["clear"]
    none = [None] * 3  # that the method itself meets nothing within so few calls is nothing to match
    assert same["calls_to_match"] == {"1": none, "8": none, "16": none, "64": [50.0] * 3}


def test_overall_a_method_is_held_against_the_generator_on_what_both_tried_with_as_many_calls() -> None:
    items = (*(specification(n) for n in range(6)), *(specification(n, "pa", "tightened") for n in range(6)))
    tasks = tasks_of(*items, factors=(10,))
    first = {("generator", "lna"): 2, ("generator", "pa"): 16, ("retrieval", "pa"): 3}
    tried = [task for task in tasks if task.method != "retrieval" or not task.item.spec.name.endswith("5")]
    entries = {task.key: entry_for(task, first.get((task.method, task.group[0]))) for task in tried}
    (line,) = overall(decided(tasks, entries), 200, 0)
    assert line["method"] == "retrieval"  # CMA-ES had ten times the calls
    assert (line["specifications"], line["generator_success"], line["success"]) == (10, 1.0, 0.5)
    low, high = line["difference_interval"]
    assert 0.0 < low < 0.5 < high <= 1.0


def test_a_result_has_a_line_an_entry_and_a_picture_a_class(tmp_path: Path) -> None:
    tasks = tasks_of(*(specification(n) for n in range(6)), *(specification(n, "pa", "tightened") for n in range(6)))
    first = {"generator": 2, "retrieval": 40, "cma-es": None}
    groups = decided(tasks, {task.key: entry_for(task, first[task.method]) for task in tasks})
    result = {"entries": summary(groups, 50, 0), "comparisons": comparisons(groups, 50, 0), "empty": []}
    write_result(result, tmp_path / "result.json")
    text = (tmp_path / "result.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(result))
    assert len(text.splitlines()) == 2 + 2 + 8 + 2 + 6 + 1
    line = next(line for line in result["comparisons"] if (line["class"], line["method"]) == ("lna", "retrieval"))
    assert line["specifications"] == 6
    assert line["calls_to_match"]["64"] == [40.0, 40.0, 40.0]
    paths = plot_success(result, tmp_path)
    assert [path.name for path in paths] == ["design_quality_lna.png", "design_quality_pa.png"]
    assert all(path.stat().st_size > 10_000 for path in paths)


def test_with_precedents_alone_the_gan_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(OnnxBackend, "propose", lambda *_: asked.append("for topologies"))
    setup = Setup(
        config=load_config(DEFAULT_PATH),
        bundle=released_folder(),
        prepared=None,
        rows=None,
        unfinished=tmp_path,
        deadline=math.inf,
        machine="here",
    )
    # A gain that no amplifier has: fresh topologies would be asked for at once.
    (task,) = tasks_of(specification(200), methods=("precedents alone",), calls={"lna": 6})
    with open_worker(setup) as attempt:
        tried = attempt(task)
    assert tried is not None
    assert (tried.simulated, tried.first_met, asked) == (6, None, [])
    assert sum(tried.failed.values()) < 6
