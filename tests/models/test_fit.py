"""Training is reproducible, survives a kill, stops early, keeps the best averaged weights, and works over processes."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genrf.errors import CheckpointError
from tests.models.circuits import TINY, lasting, prepared_folder, tiny_config, tiny_settings
from training.config.schema import TrainingConfig
from training.data.tensors import Batch, PreparedData, TrainingBatches, ValidationBatches
from training.fitting import sizing_diffusion, surrogate
from training.fitting.compile import CompileNetwork
from training.fitting.fit import fit
from training.fitting.hardware import arithmetic
from training.fitting.sizing_diffusion import SizingDiffusionTraining
from training.fitting.surrogate import SurrogateTraining
from training.models.surrogate import Surrogate, SurrogateConfig


class Killed(Exception):
    """Stands for a kill: nothing of what comes after it runs."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_folder(tmp_path_factory.mktemp("prepared"))


def train_surrogate(
    prepared: Path,
    output: Path,
    *,
    kill_at: int | None = None,
    identity: str = "a",
    training: type[SurrogateTraining] = SurrogateTraining,
    **overrides: Any,
) -> dict[str, Any]:
    settings: TrainingConfig = tiny_settings(**overrides)

    class Training(training):  # type: ignore[misc, valid-type]
        def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
            if self.global_step == kill_at:
                raise Killed
            return super().training_step(batch, batch_index)

    torch.manual_seed(0)
    names = tuple(f"m{i}" for i in range(8))
    module = Training(Surrogate(SurrogateConfig(conditions_size=5, metrics=names, backbone=TINY)), settings, seed=3)
    data = PreparedData.load(prepared / "train.npz")
    batches = TrainingBatches(
        data, batch_size=settings.batch_size, batches=settings.validate_every, seed=3, weighted=True
    )
    validation = ValidationBatches(PreparedData.load(prepared / "validation.npz"), batch_size=32)
    return fit(module, batches, validation, settings, output, identity=identity)


def weights(output: Path) -> dict[str, torch.Tensor]:
    return Surrogate.load_checkpoint(output / "model.pt").state_dict()


def assert_same_weights(first: Path, second: Path) -> None:
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def losses(output: Path) -> list[dict[str, str]]:
    with (output / "losses.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def uninterrupted(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("uninterrupted")
    train_surrogate(prepared, output)
    return output


def test_the_folder_holds_model_losses_and_report_and_nothing_half_done(uninterrupted: Path) -> None:
    assert {path.name for path in uninterrupted.iterdir()} == {"model.pt", "losses.csv", "report.json", "run.json"}
    assert [int(row["step"]) for row in losses(uninterrupted)] == [4, 8, 12]
    report = json.loads((uninterrupted / "report.json").read_text())
    assert report["steps"] == 12
    best = min(float(row["validation_loss"]) for row in losses(uninterrupted))
    assert report["best_validation_loss"] == pytest.approx(best, rel=1e-5)


def test_the_same_seed_gives_the_same_weights(prepared: Path, uninterrupted: Path, tmp_path: Path) -> None:
    train_surrogate(prepared, tmp_path)
    assert_same_weights(uninterrupted, tmp_path)


@pytest.mark.parametrize("kill_at", [2, 4, 10])
def test_killed_and_run_again_it_ends_in_the_same_weights(
    prepared: Path, uninterrupted: Path, tmp_path: Path, kill_at: int
) -> None:
    with pytest.raises(Killed):
        train_surrogate(prepared, tmp_path, kill_at=kill_at)
    assert not (tmp_path / "model.pt").exists()
    assert lasting(train_surrogate(prepared, tmp_path)) == lasting(
        json.loads((uninterrupted / "report.json").read_text())
    )
    assert_same_weights(uninterrupted, tmp_path)
    assert losses(tmp_path) == losses(uninterrupted)


def test_killed_twice_it_still_does(prepared: Path, uninterrupted: Path, tmp_path: Path) -> None:
    for kill_at in (6, 9):
        with pytest.raises(Killed):
            train_surrogate(prepared, tmp_path, kill_at=kill_at)
    train_surrogate(prepared, tmp_path)
    assert_same_weights(uninterrupted, tmp_path)


def test_killed_after_the_last_step_it_does_not_train_again(
    prepared: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Surrogate, "save_checkpoint", die)
        with pytest.raises(Killed):
            train_surrogate(prepared, tmp_path)
    train_surrogate(prepared, tmp_path, kill_at=0)
    assert_same_weights(uninterrupted, tmp_path)


def test_what_is_finished_is_read_back(prepared: Path, uninterrupted: Path) -> None:
    before = weights(uninterrupted)
    report = train_surrogate(prepared, uninterrupted, kill_at=0)
    assert report["steps"] == 12
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(uninterrupted).items())


def test_another_configuration_starts_over(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train_surrogate(prepared, tmp_path, kill_at=6, identity="another")
    with pytest.raises(Killed):
        train_surrogate(prepared, tmp_path, kill_at=0)
    assert not (tmp_path / "checkpoints").exists()


def test_a_damaged_checkpoint_is_said_in_one_line(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train_surrogate(prepared, tmp_path, kill_at=6)
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"damaged; delete .*checkpoints to start over"):
        train_surrogate(prepared, tmp_path)


def test_it_stops_when_validation_no_longer_improves(prepared: Path, tmp_path: Path) -> None:
    """With a learning rate of nothing nothing improves, so it ends after the patience is used up."""
    stubborn = {"learning_rate": 1e-30, "max_steps": 40, "early_stopping_patience": 2}
    assert train_surrogate(prepared, tmp_path, **stubborn)["steps"] == 12


def test_stopped_early_and_killed_it_stays_stopped(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = {"learning_rate": 1e-30, "max_steps": 40, "early_stopping_patience": 2}

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Surrogate, "save_checkpoint", die)
        with pytest.raises(Killed):
            train_surrogate(prepared, tmp_path, **stubborn)
    assert train_surrogate(prepared, tmp_path, kill_at=12, **stubborn)["steps"] == 12


def test_what_is_kept_are_averaged_weights(prepared: Path, tmp_path: Path) -> None:
    """Averaging changes what is kept, not what is trained: the training loss is the same with and without."""
    for name, decay in (("raw", 0.0), ("averaged", 0.9)):
        train_surrogate(prepared, tmp_path / name, ema_decay=decay)
    raw, averaged = losses(tmp_path / "raw"), losses(tmp_path / "averaged")
    assert [row["train_loss"] for row in raw] == [row["train_loss"] for row in averaged]
    assert [row["validation_loss"] for row in raw] != [row["validation_loss"] for row in averaged]
    kept = weights(tmp_path / "averaged")
    assert not all(torch.equal(kept[name], tensor) for name, tensor in weights(tmp_path / "raw").items())


def test_the_pipelines_steps_leave_what_the_next_ones_read(prepared: Path, tmp_path: Path) -> None:
    config = tiny_config()
    report = sizing_diffusion.train_sizing_diffusion(config, prepared, tmp_path / "diffusion")
    assert report["steps"] == 12
    sampler = json.loads((tmp_path / "diffusion" / "sampler.json").read_text())
    assert sampler["steps"] == config.sizing_diffusion.sampling_steps
    assert sampler["conditions_size"] == 5
    report = surrogate.train_surrogate(config, prepared, tmp_path / "surrogate")
    assert report["lna/gain_db_mae"] > 0
    changed = dataclasses.replace(config, seed=config.seed + 1)
    assert surrogate.train_surrogate(changed, prepared, tmp_path / "surrogate") != report


def test_a_training_of_minutes_ends_with_them_and_anneals(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many steps are allowed; half a minute of seconds that a step takes one of."""
    seconds = itertools.count(time.monotonic() + 0.5)
    monkeypatch.setattr("training.fitting.time_limit.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    rates: list[float] = []

    class Recorded(SurrogateTraining):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            rates.append(self.lr_schedulers().get_last_lr()[1])  # type: ignore[union-attr]

    report = train_surrogate(prepared, tmp_path, training=Recorded, max_minutes=0.5, max_steps=100_000, batch_size=4)
    assert 28 <= report["steps"] == len(rates) <= 31
    # Stopped in the middle of an epoch, what was reached is validated all the same.
    assert [int(row["step"]) for row in losses(tmp_path)][-2:] == [28, report["steps"]]
    assert max(rates) > 0.9 * 1.5e-3
    assert rates == sorted(rates[:3]) + sorted(rates[3:], reverse=True)
    assert rates[-1] < 0.02 * max(rates)
    assert not (tmp_path / "checkpoints").exists()


def test_out_of_minutes_and_killed_it_stays_ended(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Surrogate, "save_checkpoint", die)
        with pytest.raises(Killed):
            train_surrogate(prepared, tmp_path, max_minutes=1e-6)
    assert train_surrogate(prepared, tmp_path, kill_at=0, max_minutes=1e-6)["steps"] == 1


def test_minutes_that_are_not_used_up_change_nothing(prepared: Path, uninterrupted: Path, tmp_path: Path) -> None:
    train_surrogate(prepared, tmp_path, max_minutes=1e6)
    assert [row["step"] for row in losses(tmp_path)] == [row["step"] for row in losses(uninterrupted)]
    for ours, theirs in zip(losses(tmp_path), losses(uninterrupted), strict=True):
        assert float(ours["validation_loss"]) == pytest.approx(float(theirs["validation_loss"]), rel=1e-3)


def test_it_starts_from_the_weights_of_a_checkpoint(prepared: Path, tmp_path: Path) -> None:
    config = tiny_config(max_steps=4)
    first = surrogate.train_surrogate(config, prepared, tmp_path / "first")
    # Without a learning rate the weights stay what they were.
    still = tiny_config(max_steps=4, learning_rate=1e-30, weight_decay=0.0)
    again = surrogate.train_surrogate(still, prepared, tmp_path / "again", tmp_path / "first")
    assert_same_weights(tmp_path / "first", tmp_path / "again")
    assert again["best_validation_loss"] == pytest.approx(first["best_validation_loss"], rel=1e-5)
    # The checkpoint is part of what identifies a training: from random weights it is another one.
    other = surrogate.train_surrogate(still, prepared, tmp_path / "again")
    assert other["best_validation_loss"] != again["best_validation_loss"]


def test_a_checkpoint_to_start_from_that_does_not_fit_is_said_in_one_line(prepared: Path, tmp_path: Path) -> None:
    surrogate.train_surrogate(tiny_config(max_steps=4), prepared, tmp_path / "first")
    model = tmp_path / "first" / "model.pt"
    for function, source, message in [
        (surrogate.train_surrogate, tmp_path / "missing.pt", "missing.pt: cannot be read"),
        (sizing_diffusion.train_sizing_diffusion, model, "holds a Surrogate, expected a SizingDiffusion"),
        (surrogate.train_surrogate, tmp_path / "next" / "model.pt", "in the folder that is written"),
    ]:
        with pytest.raises(CheckpointError, match=message) as caught:
            function(tiny_config(), prepared, tmp_path / "next", source)
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"Surrogate of another configuration: .*width"):
        surrogate.train_surrogate(tiny_config(width=32), prepared, tmp_path / "next", model)


def test_a_compiled_training_is_the_same_training(
    prepared: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On padded batches, through the compiler's front end, with checkpoints that know nothing of it."""
    compiled = partial(CompileNetwork, backend="aot_eager", devices=("cpu",))
    monkeypatch.setattr("training.fitting.fit.CompileNetwork", compiled)
    shapes: dict[bool, set[int]] = {True: set(), False: set()}
    losses_of = SurrogateTraining._losses

    def watched(self: SurrogateTraining, batch: Batch) -> Any:
        shapes["embed" in vars(self.model.backbone)].add(batch.kinds.shape[1])
        return losses_of(self, batch)

    monkeypatch.setattr(SurrogateTraining, "_losses", watched)
    with pytest.raises(Killed):
        train_surrogate(prepared, tmp_path, kill_at=6)
    train_surrogate(prepared, tmp_path)
    assert shapes[True] == {11, 15}
    assert 14 in shapes[False], "validation runs the model itself"
    assert weights(tmp_path).keys() == weights(uninterrupted).keys()
    for ours, theirs in zip(losses(tmp_path), losses(uninterrupted), strict=True):
        assert float(ours["validation_loss"]) == pytest.approx(float(theirs["validation_loss"]), rel=1e-3)


def test_arithmetic_follows_machine_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {(False, True): ("fp32", "fp32"), (True, True): ("bf16", "tf32"), (True, False): ("tf32", "tf32")}
    for (gpu, has_bf16), (sizing, ranking) in expected.items():
        monkeypatch.setattr("torch.cuda.is_available", lambda gpu=gpu: gpu)
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda has_bf16=has_bf16: has_bf16)
        assert arithmetic("auto", SizingDiffusionTraining) == sizing
        assert arithmetic("auto", SurrogateTraining) == ranking
        assert arithmetic("fp16", SurrogateTraining) == "fp16"


def test_where_compiling_fails_it_trains_without(
    prepared: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(
        "training.fitting.fit.CompileNetwork", partial(CompileNetwork, backend=broken, devices=("cpu",))
    )
    train_surrogate(prepared, tmp_path)
    assert "training goes on without compiling" in caplog.text
    assert_same_weights(uninterrupted, tmp_path)


SCRIPT = """
import sys
from pathlib import Path
from tests.models.circuits import tiny_config
from training.fitting.surrogate import train_surrogate

if __name__ == "__main__":
    print(train_surrogate(tiny_config(**eval(sys.argv[3])), Path(sys.argv[1]), Path(sys.argv[2])))
"""


def launch(
    tmp_path: Path, prepared: Path, output: Path, *, torchrun: bool = False, **overrides: Any
) -> subprocess.Popen[str]:
    script = tmp_path / "launch.py"
    script.write_text(SCRIPT)
    runner = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"] if torchrun else []
    return subprocess.Popen(
        [sys.executable, *runner, script, prepared, output, repr(overrides)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_killed_process_is_continued_by_the_next(prepared: Path, tmp_path: Path) -> None:
    process = launch(tmp_path, prepared, tmp_path / "killed", max_steps=400, early_stopping_patience=100)
    deadline = time.monotonic() + 200
    while not (tmp_path / "killed" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "model.pt").exists()
    for name in ("killed", "whole"):
        out, err = launch(tmp_path, prepared, tmp_path / name, max_steps=400, early_stopping_patience=100).communicate(
            timeout=250
        )
        assert "'steps': 400" in out, err
    assert_same_weights(tmp_path / "killed", tmp_path / "whole")


@pytest.fixture(scope="module")
def one_process(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process trains, this one."""
    output = tmp_path_factory.mktemp("one")
    surrogate.train_surrogate(tiny_config(), prepared, output)
    return output


@pytest.mark.slow
@pytest.mark.parametrize("torchrun", [False, True])
def test_two_processes_train_one_model(prepared: Path, one_process: Path, tmp_path: Path, torchrun: bool) -> None:
    """DDP over two CPU processes, started by training itself or by torchrun, sees the same rows as one process does."""
    out, err = launch(tmp_path, prepared, tmp_path / "two", torchrun=torchrun, devices=2).communicate(timeout=280)
    assert "'steps': 12" in out, err
    for ours, theirs in zip(losses(one_process), losses(tmp_path / "two"), strict=True):
        assert float(ours["validation_loss"]) == pytest.approx(float(theirs["validation_loss"]), rel=0.02)
    assert weights(tmp_path / "two").keys() == weights(one_process).keys()
