"""Who waits for a process: callers take turns, and who is gone or too late never gets one."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import Any

from serving.failures import BusyError, LateError, UnreadyError


class FairQueue:
    """Hands things out to those who wait for one, one caller after another.

    Args:
        most: how many may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: list[Any] = []
        self._out = 0
        self._callers: OrderedDict[str, deque[tuple[asyncio.Future[Any], float]]] = OrderedDict()
        self._closed = False

    def __len__(self) -> int:
        return sum(map(len, self._callers.values()))

    @property
    def oldest_s(self) -> float:
        """How long who has waited longest has waited, in s."""
        since = [own[0][1] for own in self._callers.values() if own]
        return time.monotonic() - min(since) if since else 0.0

    async def turn(self, caller: str, deadline: float | None) -> Any:
        """Wait for one's turn; what is handed out is given back with `give`.

        Args:
            deadline: by `time.monotonic`; None to wait for ever.

        Raises:
            BusyError: if too many wait already.
            LateError: if it is not one's turn by the deadline.
            UnreadyError: if the queue is closed.
        """
        if self._closed:
            raise UnreadyError("the models are being unloaded; try again", retry_after_s=1.0)
        if self._free and not self._callers:
            self._out += 1
            # The one that was used last has what it needs at hand.
            return self._free.pop()
        if len(self) >= self._most:
            self._make_room(caller)
        place: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        own = self._callers.setdefault(caller, deque())
        entry = (place, time.monotonic())
        own.append(entry)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                return await place
        except TimeoutError as error:
            self._leave(caller, entry)
            raise LateError("no process was free in time; try again later", retry_after_s=5.0) from error
        except asyncio.CancelledError:
            self._leave(caller, entry)
            raise

    @property
    def idle(self) -> bool:
        """Whether nobody waits, and nothing is handed out."""
        return not self._callers and not self._out

    def give(self, thing: Any) -> None:
        """Hand back what was had."""
        self._out -= 1
        self.add(thing)

    def lose(self) -> None:
        """Say that what was had is no more."""
        self._out -= 1

    def discard(self, thing: Any) -> bool:
        """Hand out no more what nobody has; whether nobody had it."""
        if thing not in self._free:
            return False
        self._free.remove(thing)
        return True

    def add(self, thing: Any) -> None:
        """Hand something new to the next in line, or keep it for who comes."""
        while self._callers:
            caller, own = next(iter(self._callers.items()))
            place, _ = own.popleft()
            # To the end of the line, with what the caller waits for besides.
            del self._callers[caller]
            if own:
                self._callers[caller] = own
            if not place.done():
                self._out += 1
                place.set_result(thing)
                return
        self._free.append(thing)

    def close(self) -> None:
        """Refuse who waits and who comes."""
        self._closed = True
        for own in self._callers.values():
            for place, _ in own:
                if not place.done():
                    place.set_exception(UnreadyError("the server ends; try again", retry_after_s=5.0))
        self._callers.clear()

    def ahead(self, caller: str) -> int:
        """How many are served before what a caller asks for next: its own, and one of each other caller for each of those."""
        own = len(self._callers.get(caller, ()))
        return own + sum(min(len(line), own + 1) for name, line in self._callers.items() if name != caller)

    def _make_room(self, caller: str) -> None:
        """Refuse the latest of the caller that waits for most, or this one if that is none other.

        Raises:
            BusyError: then.
        """
        busy = BusyError(f"{len(self)} requests are waiting already; try again later", retry_after_s=5.0)
        longest = max(self._callers, key=lambda name: len(self._callers[name]))
        if len(self._callers[longest]) <= len(self._callers.get(caller, ())) + 1:
            raise busy
        place, _ = self._callers[longest].pop()
        if not place.done():
            place.set_exception(busy)

    def _leave(self, caller: str, entry: tuple[asyncio.Future[Any], float]) -> None:
        place = entry[0]
        if place.done() and not place.cancelled() and place.exception() is None:
            # It was handed something at the very moment that it left.
            self.give(place.result())
        own = self._callers.get(caller)
        if own is not None and entry in own:
            own.remove(entry)
            if not own:
                del self._callers[caller]
