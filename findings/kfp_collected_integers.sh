#!/bin/sh
# Integers that a ParallelFor collects arrive as floats in a List[int]
#
# Software: kfp 2.17.0, local.SubprocessRunner
# Guess:    a component that declares `numbers: List[int]` gets integers, as one that declares `number: int` does.
# Instead:  the list passes through a protobuf value and is not converted back: range(numbers[0]) raises a TypeError.
# Seen:     [1.0, 4.0, 9.0]
# Remedy:   convert in the component.
. "$(dirname "$0")/prelude"
packages kfp==2.17.0

cat > collect.py <<'END'
from typing import List

from kfp import dsl, local

local.init(local.SubprocessRunner(use_venv=False), pipeline_root="runs")


@dsl.component(install_kfp_package=False)
def square(number: int) -> int:
    return number * number


@dsl.component(install_kfp_package=False)
def kinds(numbers: List[int], number: int) -> str:
    return " ".join(type(each).__name__ for each in [number, *numbers])


@dsl.pipeline
def collect() -> str:
    with dsl.ParallelFor([1, 2, 3]) as number:
        squares = square(number=number)
    return kinds(numbers=dsl.Collected(squares.output), number=4).output


seen = collect().output.split()
with open("log", "w") as log:
    log.write(f"alone = {int(seen[0] == 'int')}\nfloats = {seen[1:].count('float')}\n")
END
python collect.py > messages 2>&1
expect "an integer by itself is one" "$(value alone log)" 1 1
expect "of three collected integers are floats" "$(value floats log)" 3 3
