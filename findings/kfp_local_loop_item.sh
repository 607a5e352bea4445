#!/bin/sh
# In a local run a loop's item takes the place of another task's output
#
# Software: kfp 2.17.0, local.SubprocessRunner
# Guess:    a task in a ParallelFor that takes the loop's item and the output of a task outside gets both.
# Instead:  both inputs are the item, if the outer task's component has the usual single output. The run succeeds.
# Seen:     "a-a" and "b-b" instead of "a-outer" and "b-outer"
# Remedy:   none found that keeps the two inputs; make the outer value part of the items.
. "$(dirname "$0")/prelude"
packages kfp==2.17.0

cat > loop.py <<'END'
import json
from pathlib import Path

from kfp import dsl, local

local.init(local.SubprocessRunner(use_venv=False), pipeline_root="runs")


@dsl.component(install_kfp_package=False)
def name() -> str:
    return "outer"


@dsl.component(install_kfp_package=False)
def join(item: str, word: str) -> str:
    return f"{item}-{word}"


@dsl.pipeline
def loop() -> None:
    word = name()
    with dsl.ParallelFor(["a", "b"]) as item:
        join(item=item, word=word.output)


loop()
written = Path("runs").glob("**/join/executor_output.json")
joined = [json.loads(path.read_text())["parameterValues"]["Output"] for path in written]
Path("log").write_text(f"right = {sum(text.endswith('-outer') for text in joined)}\n"
                       f"repeated = {sum(text in ('a-a', 'b-b') for text in joined)}\n")
END
python loop.py > messages 2>&1
expect "tasks that were given the outer output" "$(value right log)" 0 0
expect "tasks that were given the item twice" "$(value repeated log)" 2 2
