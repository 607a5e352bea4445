"""How many designs a server answers, and how long callers wait: today's server against an earlier one, in the same run.

Run with::

    python benchmarks/serving.py                    # both servers, 1, 8 and 64 callers, then twice today's capacity
    python benchmarks/serving.py --minutes 10       # today's alone for ten minutes, for its memory
    python benchmarks/serving.py --gpu QUANTIZED    # today's with the networks on the CPU (int8) and on a GPU (fp16)

Each caller asks for one specification after another, over the Open Inference Protocol, and each is asked for once: held-out
specifications of low-noise amplifiers (``benchmarks/held_out.json``), again with another seed once all have been. Who is refused
waits as long as it is told, or a second. At twice the capacity requests come at a fixed pace, whatever becomes of them, and
clients give up after 8 s; afterwards one caller measures how the server has recovered. The earlier server is the repository at
another commit, run by the same Python on its own released weights; it spends all calls of a request, which today's does too for
the column ``all_calls``. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from genrf.cores import cores
from training.running.machine import describe

ROOT = Path(__file__).resolve().parent.parent
EARLIER = "9a44ab2"
GIVE_UP_S = 8.0
Request = dict[str, Any]


def requests(all_calls: bool | None) -> Iterator[Request]:
    """Endless requests, no two alike.

    Args:
        all_calls: whether every call is to be spent; None for a server that does not know the question.
    """
    listed = json.loads((ROOT / "benchmarks" / "held_out.json").read_text())
    specifications = [item["specification"] for item in listed if item["specification"]["class"] == "lna"]
    for seed in itertools.count():
        for specification in specifications:
            tensor = {"name": "specification", "datatype": "BYTES", "shape": [1], "data": [json.dumps(specification)]}
            parameters = {"seed": seed} | ({} if all_calls is None else {"all_calls": all_calls})
            yield {"inputs": [tensor], "parameters": parameters}


class Load:
    """What callers of one server meet."""

    def __init__(self, address: str, offered: Iterator[Request]) -> None:
        self._client = httpx.AsyncClient(
            base_url=address, timeout=httpx.Timeout(120.0), limits=httpx.Limits(max_connections=1000)
        )
        self._offered = offered
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    async def ask(self, give_up_s: float | None = None) -> float:
        """Ask once; how long to wait before asking again, in s."""
        start = time.perf_counter()
        try:
            response = await asyncio.wait_for(
                self._client.post("/v2/models/genrf/infer", json=next(self._offered)), give_up_s
            )
        except TimeoutError:
            self.outcomes["given up"] += 1
            return 0.0
        if response.status_code == 200:
            self.seconds.append(time.perf_counter() - start)
            self.outcomes["met" if "first_met" in response.json()["parameters"] else "missed"] += 1
            return 0.0
        self.outcomes[f"refused with {response.status_code}"] += 1
        return float(response.headers.get("Retry-After", 1.0))

    async def callers(self, count: int, duration_s: float) -> dict[str, Any]:
        """So many callers for a time, each asking one after another."""
        self.seconds, self.outcomes = [], Counter()
        end = time.perf_counter() + duration_s

        async def caller() -> None:
            while (left := end - time.perf_counter()) > 0.0:
                await asyncio.sleep(min(await self.ask(), left))

        start = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(count)))
        return {"callers": count, **self.summary(time.perf_counter() - start)}

    async def pace(self, per_s: float, duration_s: float) -> dict[str, Any]:
        """Requests at a fixed pace, whose callers give up after a time."""
        self.seconds, self.outcomes = [], Counter()
        asked = []
        start = time.perf_counter()
        for number in range(int(per_s * duration_s)):
            await asyncio.sleep(max(0.0, start + number / per_s - time.perf_counter()))
            asked.append(asyncio.create_task(self.ask(GIVE_UP_S)))
        await asyncio.gather(*asked)
        return {"offered_per_s": per_s, **self.summary(time.perf_counter() - start)}

    def summary(self, seconds: float) -> dict[str, Any]:
        """Designs a second and how long callers waited, in s."""
        times = np.array(self.seconds or [float("nan")])
        return {
            "designs_per_s": round(len(self.seconds) / seconds, 3),
            **{f"p{percent}_s": round(float(np.percentile(times, percent)), 3) for percent in (50, 95, 99)},
            "outcomes": dict(self.outcomes),
        }

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()


@asynccontextmanager
async def server(tree: Path, folder: Path, *arguments: str) -> AsyncIterator[tuple[str, int, float]]:
    """A server of a tree of code: address, process, and seconds until it was ready."""
    port = 20000 + os.getpid() % 20000
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GENRF_BUNDLE", "GENRF_FEEDBACK"))}
    start = time.perf_counter()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving", f"--http_port={port}", f"--grpc_port={port + 1}", *arguments],
            cwd=folder, env=environment | {"PYTHONPATH": str(tree)}, stdout=log, stderr=log,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"serving: the server of {tree} ended:\n{(folder / 'log').read_text()[-2000:]}")
            try:
                if httpx.get(f"{address}/v2/models/genrf/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
        yield address, process.pid, time.perf_counter() - start
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def memory_mb(process: int) -> float:
    """Memory of a process and all below it that no other shares, in MB."""
    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    return round(sum(each.memory_full_info().uss for each in family) / 1e6, 1)


async def measured(
    tree: Path,
    label: str,
    callers: list[int],
    seconds: float,
    all_calls: bool | None,
    *arguments: str,
    overload: bool = False,
) -> dict[str, Any]:
    """One server under each number of callers and, if asked for, at twice what it can answer."""
    with tempfile.TemporaryDirectory(prefix="genrf-") as folder:
        async with server(tree, Path(folder), *arguments) as (address, process, ready_s):
            load = Load(address, requests(all_calls))
            await load.callers(2, 3.0)
            before = memory_mb(process)
            rows = []
            for count in callers:
                rows.append(await load.callers(count, seconds))
                print(label, rows[-1], file=sys.stderr, flush=True)
            found: dict[str, Any] = {"ready_s": round(ready_s, 2), "memory_mb": before, "callers": rows}
            if overload:
                capacity = max(row["designs_per_s"] for row in rows)
                found["overload"] = await load.pace(2.0 * capacity, seconds)
                found["recovered"] = await load.callers(1, min(5.0, seconds))
                print(label, found["overload"], found["recovered"], file=sys.stderr, flush=True)
            found["memory_after_mb"] = memory_mb(process)
            if gpu := re.findall(
                r"^genrf_gpu_memory_bytes\S* (\S+)", httpx.get(f"{address}/metrics").text, re.MULTILINE
            ):
                found["gpu_memory_mb"] = round(sum(map(float, gpu)) / 1e6)
            await load.close()
            return found


async def endured(minutes: float) -> dict[str, Any]:
    """Today's server under eight callers for a long time: its memory at the start, and minute by minute."""
    with tempfile.TemporaryDirectory(prefix="genrf-") as folder:
        async with server(ROOT, Path(folder)) as (address, process, _):
            load = Load(address, requests(False))
            await load.callers(8, 20.0)
            memory, rows = [memory_mb(process)], []
            for _ in range(round(minutes)):
                rows.append(await load.callers(8, 60.0))
                memory.append(memory_mb(process))
                print(rows[-1], memory[-1], file=sys.stderr, flush=True)
            await load.close()
            return {"minutes": minutes, "memory_mb": memory, "designs_per_s": [row["designs_per_s"] for row in rows]}


def earlier_tree(commit: str, folder: Path) -> Path:
    """The repository at a commit, in a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder


async def compared(commit: str, callers: list[int], seconds: float) -> dict[str, Any]:
    """Both servers, one after the other, and what one is to the other."""
    with tempfile.TemporaryDirectory(prefix="genrf-earlier-") as folder:
        earlier = await measured(earlier_tree(commit, Path(folder)), "earlier", callers, seconds, None, overload=True)
    today = await measured(ROOT, "today", callers, seconds, False, overload=True)
    spent = await measured(ROOT, "today, all calls", [8], seconds, True)

    def at_eight(found: dict[str, Any]) -> dict[str, Any]:
        return next(row for row in found["callers"] if row["callers"] == 8)

    ours, theirs = at_eight(today), at_eight(earlier)
    return {
        "earlier_commit": commit,
        "earlier": earlier,
        "today": today,
        "all_calls": spent,
        "ratio_designs_per_s": round(ours["designs_per_s"] / theirs["designs_per_s"], 2),
        "ratio_p95": round(ours["p95_s"] / theirs["p95_s"], 3),
        "ratio_designs_per_s_all_calls": round(at_eight(spent)["designs_per_s"] / theirs["designs_per_s"], 2),
    }


async def on_gpu(quantized: Path, callers: list[int], seconds: float) -> dict[str, Any]:
    """Today's server with the same networks on the CPU and on a GPU, and what one is to the other."""
    cpu = await measured(ROOT, "cpu", callers, seconds, False, f"--bundle={quantized / 'int8'}")
    gpu = ("--device=cuda", f"--bundle={quantized / 'fp16'}")
    few = await measured(ROOT, "gpu", callers, seconds, False, *gpu)
    many = await measured(ROOT, "gpu, a process a core", callers, seconds, False, *gpu, f"--designers={cores()}")
    best = [max(row["designs_per_s"] for row in found["callers"]) for found in (cpu, few, many)]
    return {
        "cpu": cpu,
        "gpu": few,
        "gpu_with_a_process_a_core": many,
        "ratio_designs_per_s": round(max(best[1:]) / best[0], 2),
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="time under each number of callers")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 64], help="numbers of callers; 8 is compared")
    parser.add_argument("--earlier", default=EARLIER, help="commit of the server to compare with")
    parser.add_argument("--minutes", type=float, help="today's server alone, for so long, for its memory")
    parser.add_argument(
        "--gpu", type=Path, metavar="QUANTIZED", help="folder with a bundle int8 and one fp16 of one training"
    )
    arguments = parser.parse_args()
    if 8 not in arguments.callers:
        parser.error("--callers: 8 must be among them, which are compared")
    found = asyncio.run(
        endured(arguments.minutes)
        if arguments.minutes
        else on_gpu(arguments.gpu.resolve(), arguments.callers, arguments.seconds)
        if arguments.gpu
        else compared(arguments.earlier, arguments.callers, arguments.seconds)
    )
    print(json.dumps({"benchmark": "serving", "machine": describe(), **found}))


if __name__ == "__main__":
    main()
