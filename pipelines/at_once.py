"""Tasks that do not wait for each other run at once.

KFP 2.17's local runner executes the tasks of a DAG one after another, loops aside. Training three models in turn leaves most of a
machine idle: a small model does not fill many cores.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from unittest import mock

AT_ONCE = 3
"""Tasks at a time: as many as there are models to train."""


@contextlib.contextmanager
def independent_tasks_at_once(tasks: Mapping[str, Any]) -> Iterator[None]:
    """While the block runs, the local runner starts every task of a DAG as soon as those are done that it depends on.

    Args:
        tasks: the specifications of the DAG's tasks by name, as compiled.
    """
    from kfp.local.orchestrator import enhanced_dag_orchestrator

    executor = ThreadPoolExecutor(AT_ONCE)
    try:
        ahead = _Ahead(tasks, enhanced_dag_orchestrator.execute_task, executor)
        with mock.patch.object(enhanced_dag_orchestrator, "execute_task", ahead):
            yield
    finally:
        executor.shutdown(cancel_futures=True)


class _Ahead:
    """Stands in for the runner's function that executes a task and waits for it."""

    def __init__(self, tasks: Mapping[str, Any], execute: Callable[..., Any], executor: ThreadPoolExecutor) -> None:
        self._tasks = tasks
        self._execute = execute
        self._executor = executor
        self._done: set[str] = set()
        self._started: dict[str, Future[Any]] = {}

    def __call__(self, *, task_name: str, task_spec: Any, **scope: Any) -> Any:
        if self._tasks.get(task_name) != task_spec:  # of a loop's body, which has tasks of its own
            return self._execute(task_name=task_name, task_spec=task_spec, **scope)
        # The runner asks for a task when those before it have ended, whether they are tasks or loops.
        self._done.update(task_spec.dependent_tasks)
        self._start(task_name, task_spec, scope)
        for name, spec in self._tasks.items():
            if self._done.issuperset(spec.dependent_tasks) and not spec.WhichOneof("iterator"):
                self._start(name, spec, scope)
        return self._started[task_name].result()

    def _start(self, name: str, spec: Any, scope: Mapping[str, Any]) -> None:
        if name not in self._started:
            self._started[name] = self._executor.submit(self._execute, task_name=name, task_spec=spec, **scope)
