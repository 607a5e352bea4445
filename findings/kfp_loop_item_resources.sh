#!/bin/sh
# A ParallelFor item cannot say how many CPUs its task asks for
#
# Software: kfp 2.17.0, compiler
# Guess:    set_cpu_request takes a pipeline channel, a loop's item is one, so every task of a loop can ask for what it needs.
# Instead:  compiling fails with an AssertionError without a hint: resources are not among what a loop passes inwards. Even a
#           parameter from outside is only found there if the task takes it as an argument as well.
# Seen:     item: AssertionError; parameter: AssertionError; parameter that is an argument too: compiles
# Remedy:   give the tasks of a loop one request, and tell them through the environment how much it is.
. "$(dirname "$0")/prelude"
packages kfp==2.17.0

cat > resources.py <<'END'
import sys
from typing import NamedTuple

from kfp import compiler, dsl

case = sys.argv[1]


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def plan() -> NamedTuple("Plan", [("items", list), ("cpu", str)]):
    return [{"name": "first", "cpu": "1"}], "1"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def work(name: str, cpu: str = "1"):
    print(name, cpu)


@dsl.pipeline
def loop():
    planned = plan()
    with dsl.ParallelFor(planned.outputs["items"]) as item:
        argument = {"cpu": planned.outputs["cpu"]} if case == "argument" else {}
        task = work(name=item.name, **argument)
        task.set_cpu_request(item.cpu if case == "item" else planned.outputs["cpu"])


compiler.Compiler().compile(loop, "loop.yaml")
END
for case in item parameter argument; do
    status=0
    python resources.py $case > $case.log 2>&1 || status=1
    echo "$case = $((status * $(grep -c '^AssertionError' $case.log || true)))" >> log
done
expect "a request from the loop's item fails" "$(value item log)" 1 1
expect "one from another task's output fails" "$(value parameter log)" 1 1
expect "one that is an argument of the task as well fails" "$(value argument log)" 0 0
