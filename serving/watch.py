"""Follows the registry: a promoted version serves within a minute, a rollback too, and no request is dropped for either.

New processes are started and have designed before the first request reaches them; the old ones end what they are doing.
A version that cannot be loaded changes nothing but the log.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrf.errors import GenRFError
from serving import telemetry
from serving.champion import NoChampionError, current, fetch_version
from serving.variants import CHAMPION, Variants
from serving.workers import Workers

log = logging.getLogger(__name__)

AGAIN_S = 600.0
"""Pause before a version that could not be loaded is tried again, in s."""
DRAIN_S = 600.0
"""How long searches of models that are replaced may go on, in s."""


class Watch:
    """Keeps variants at the versions that the registry's aliases name.

    Args:
        variants: are changed.
        model: name of the registered model.
        aliases: variant -> alias.
        folder: where bundles are put, one a version.
        open_workers: gives the processes of a bundle, not started yet.
        every_s: pause between looks, in s.
        device: what the models run on.
    """

    def __init__(
        self,
        variants: Variants,
        model: str,
        aliases: dict[str, str],
        folder: Path,
        open_workers: Callable[[Path], Workers],
        every_s: float = 30.0,
        device: str = "cpu",
    ) -> None:
        self._variants = variants
        self._model = model
        self._aliases = dict(aliases)
        self._folder = folder
        self._open_workers = open_workers
        self._every_s = every_s
        self._device = device
        self._tried: dict[str, tuple[str, float]] = {}
        """Variant -> version that could not be loaded, and when: it is not tried again for a while."""
        self._loading: Path | None = None
        """Folder of the version that is being loaded."""
        self._silent = False
        self._draining: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except Exception:  # of libraries, of many types: it looks again
                log.exception("serving: the registry could not be followed")

    async def look(self) -> None:
        """Look once, and change what is to be changed."""
        for variant, alias in self._aliases.items():
            try:
                found = await asyncio.to_thread(current, self._model, alias)
            except (NoChampionError, GenRFError) as error:
                if not self._silent:
                    log.warning("serving: the registry cannot be asked (%s); what serves goes on serving", error)
                self._silent = True
                return
            if self._silent:
                log.warning("serving: the registry answers again")
                self._silent = False
            await self._follow(variant, found)

    async def _follow(self, variant: str, found: Any) -> None:
        served = self._variants[variant].identity.get("version") if variant in self._variants else None
        if found is None:
            # A champion goes on; a challenger that was promoted or rejected is one no more.
            if variant != CHAMPION and variant in self._variants:
                self._replace(variant, None)
            return
        version = str(found.version)
        if version == served:
            self._tried.pop(variant, None)
            return
        tried, when = self._tried.get(variant, ("", 0.0))
        if version == tried and time.monotonic() - when < AGAIN_S:
            return
        log.warning("serving: %s: version %s is loaded, %s served so far", variant, version, served or "no version")
        try:
            into = self._loading = self._folder / f"{self._model}-{version}"
            folder = await asyncio.to_thread(fetch_version, found, into, self._device)
            workers = self._open_workers(folder)
            await workers.start()
        except (GenRFError, OSError) as error:
            self._tried[variant] = version, time.monotonic()
            telemetry.SWAPS.labels(variant, "refused").inc()
            log.error("serving: %s: version %s cannot serve: %s", variant, version, error)
            return
        finally:
            self._loading = None
        self._tried.pop(variant, None)
        self._replace(variant, workers)
        log.warning("serving: %s: version %s serves", variant, version)

    def _replace(self, variant: str, workers: Workers | None) -> None:
        before = self._variants.put(variant, workers)
        telemetry.SWAPS.labels(variant, "done").inc()
        if before is not None:
            task = asyncio.create_task(before.drain(DRAIN_S))
            self._draining.add(task)
            task.add_done_callback(lambda _: self._clear(task))

    def _clear(self, ended: asyncio.Task[None]) -> None:
        """Remove bundles that no process has any more."""
        self._draining.discard(ended)
        if self._draining:
            return
        kept = {f"{self._model}-{workers.identity.get('version')}" for workers in self._variants.items().values()}
        for folder in self._folder.glob(f"{self._model}-*"):
            if folder.name not in kept and folder != self._loading:
                shutil.rmtree(folder, ignore_errors=True)
