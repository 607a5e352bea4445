"""Tasks that do not depend on each other run at the same time, and each after what it depends on."""

from pathlib import Path

import pytest
from kfp import dsl, local

from pipelines.at_once import independent_tasks_at_once


@dsl.component(install_kfp_package=False)
def meet(folder: str, own: str, other: str) -> str:
    """Leave a mark and wait for another task's."""
    import time
    from pathlib import Path

    (Path(folder) / own).touch()
    deadline = time.monotonic() + 60.0
    while not (Path(folder) / other).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{own} ran alone")
        time.sleep(0.05)
    return own


@dsl.component(install_kfp_package=False)
def both(first: str, second: str) -> str:
    """Needs two tasks."""
    return first + second


@dsl.component(install_kfp_package=False)
def refuse() -> str:
    """Fail."""
    raise ValueError("no")


@dsl.component(install_kfp_package=False)
def double(number: int) -> int:
    """In a loop."""
    return 2 * number


@dsl.pipeline
def rendezvous(folder: str) -> str:
    """A loop, then two tasks that meet, then one that needs both."""
    with dsl.ParallelFor([1, 2]) as number:
        double(number=number)
    first = meet(folder=folder, own="a", other="b")
    second = meet(folder=folder, own="b", other="a")
    return both(first=first.output, second=second.output).output


@dsl.pipeline
def failing() -> str:
    """Two tasks of which one fails, and one that needs both."""
    return both(first=refuse().output, second=refuse().output).output


@pytest.fixture(autouse=True)
def runner(tmp_path: Path) -> None:
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))


def test_independent_tasks_meet(tmp_path: Path) -> None:
    with independent_tasks_at_once(rendezvous.pipeline_spec.root.dag.tasks):
        assert rendezvous(folder=str(tmp_path)).output == "ab"


def test_what_needs_a_failed_task_does_not_run() -> None:
    with (
        independent_tasks_at_once(failing.pipeline_spec.root.dag.tasks),
        pytest.raises(RuntimeError, match="refuse"),
    ):
        failing()
