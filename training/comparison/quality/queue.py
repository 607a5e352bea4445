"""Which trial is next: every group of trials gets its share of the time, however slow its simulations are.

A group that has had the least processor time for its weight goes first. Cheap groups are thereby done soon and leave their
share to the expensive ones, and whenever time runs out every group has had about as much as it could use.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from training.comparison.quality.journal import Entry
from training.comparison.quality.tasks import Group, Task

UNKNOWN_S = 0.01
"""Time of a SPICE call, its share of the method's own work included, where no trial has ended that would tell."""
WEIGHT_EXPONENT = 0.3
"""A group with 10 times the calls gets half the time: fewer of its trials, but not none."""


@dataclass
class _Share:
    weight: float
    waiting: deque[Task] = field(default_factory=deque)
    spent_s: float = 0.0
    ended: int = 0
    running: int = 0


class FairQueue:
    """Tasks that wait, and what has been spent on their groups.

    Args:
        tasks: all of the run's, those of a group in their order.
        done: finished trials by key; these are not handed out again, but count as time spent.
    """

    def __init__(self, tasks: Iterable[Task], done: Mapping[str, Entry]) -> None:
        self._shares: dict[Group, _Share] = {}
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._calls: Counter[tuple[str, str]] = Counter()
        tasks = list(tasks)
        least: dict[str, int] = {}
        for task in tasks:
            circuit_class, _, _, calls = task.group
            least[circuit_class] = min(calls, least.get(circuit_class, calls))
        for task in tasks:
            circuit_class, _, _, calls = task.group
            weight = (calls / least[circuit_class]) ** -WEIGHT_EXPONENT
            share = self._shares.setdefault(task.group, _Share(weight))
            if task.key in done:
                self._count(share, done[task.key])
            else:
                share.waiting.append(task)

    def __len__(self) -> int:
        return sum(len(share.waiting) for share in self._shares.values())

    def take(self) -> Task | None:
        """The next task to start, or none if all are started."""
        waiting = [(group, share) for group, share in self._shares.items() if share.waiting]
        if not waiting:
            return None
        _, share = min(waiting, key=lambda pair: self._spent(*pair))
        share.running += 1
        return share.waiting.popleft()

    def put_back(self, task: Task) -> None:
        """A task that was taken and did not end goes first in its group."""
        share = self._shares[task.group]
        share.running -= 1
        share.waiting.appendleft(task)

    def end(self, task: Task, entry: Entry) -> None:
        """A task that was taken has ended."""
        share = self._shares[task.group]
        share.running -= 1
        self._count(share, entry)

    def _count(self, share: _Share, entry: Entry) -> None:
        share.spent_s += entry.seconds
        share.ended += 1
        self._seconds[entry.circuit_class, entry.method] += entry.seconds
        self._calls[entry.circuit_class, entry.method] += entry.simulated

    def _spent(self, group: Group, share: _Share) -> float:
        """Time for the group's weight, with what its running trials will likely take and half a trial that would be next."""
        circuit_class, _, method, calls = group
        spent_s, simulated = self._seconds[circuit_class, method], self._calls[circuit_class, method]
        each = calls * (spent_s / simulated if simulated else UNKNOWN_S)
        if share.ended:
            each = share.spent_s / share.ended
        return (share.spent_s + (share.running + 0.5) * each) / share.weight
