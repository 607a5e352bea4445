"""Multi-objective search from scratch: what refinement is compared with, given nothing but a specification and a simulator.

Both start from random circuits of the class's grammar with first-order values. `nsga2` (Deb et al. 2002, by pymoo) evolves
circuits, values and topologies, with the operators that the dataset is bred with. `botorch` sizes the best few random
topologies in turn by qLogNEHVI with the specification's constraints, with Gaussian processes that know nothing beforehand.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.mutation import cross, mutate_circuit, vary
from genrf.circuit.normalise import normalise
from genrf.circuit.topology import Circuit
from genrf.generation.design import maximized
from genrf.metrics import Metrics
from genrf.spec import DesignSpec
from genrf.technology.base import Technology
from training.comparison.searches import kind_numbers
from training.data.breeding import PARENT_MUTATED, fitting_topology, within_rules

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP
    from torch import Tensor

POPULATION = 40
"""Circuits of a generation of NSGA-II."""
SPREADS = (0.02, 0.4)
"""Smallest and largest standard deviation of the logarithm of values that NSGA-II varies."""
EXPLORED_SHARE = 0.25
"""Share of the calls that `botorch` gives to random circuits."""
TOPOLOGIES = 3
"""Topologies that it sizes."""
FIRST_DRAWS = 6
"""First-order draws of each that its models start from."""
BATCH = 4
RESTARTS, RAW_SAMPLES, STEPS = 2, 64, 40
"""Settings of the acquisition function's maximisation: starts, points that they are chosen from, and iterations of L-BFGS."""
SAMPLES = 16
"""Samples of the integration by quasi Monte Carlo."""
LAST = 1e3
"""Where a circuit that failed ranks: after every one that did not, in a unit that no metric comes near."""

Array = NDArray[np.float64]
Simulate = Callable[[Sequence[Circuit]], list[Metrics | None]]
"""Simulates circuits, in order; none for one that failed. Once the calls are spent it raises `SpentError`."""


class SpentError(Exception):
    """All calls are spent."""


def nsga2(
    spec: DesignSpec,
    objectives: Sequence[str],
    technology: Technology,
    simulate: Simulate,
    calls: int,
    rng: np.random.Generator,
) -> None:
    """NSGA-II over circuits, until `SpentError`."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.crossover import Crossover
    from pymoo.core.duplicate import ElementwiseDuplicateElimination
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.core.sampling import Sampling
    from pymoo.optimize import minimize

    class Specification(Problem):
        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            found = simulate(list(x[:, 0]))
            out["F"] = np.full((len(found), self.n_obj), LAST)
            out["G"] = np.full((len(found), self.n_ieq_constr), LAST)
            for row, metrics in enumerate(found):
                if metrics is not None:
                    out["F"][row] = -maximized(spec.circuit_class, [metrics], objectives)[0]
                    out["G"][row] = [-slack for slack in spec.margins(metrics).values()] or 0.0

    class Random(Sampling):
        def _do(self, problem: Any, n_samples: int, *_: Any, **__: Any) -> Any:
            return _column([random_circuit(spec, technology, rng) for _ in range(n_samples)])

    class Cross(Crossover):
        def _do(self, problem: Any, x: Any, *_: Any, **__: Any) -> Any:
            children = x.copy()
            for mating in range(x.shape[1]):
                first, second = x[:, mating, 0]
                if first.topology.devices == second.topology.devices:
                    children[0, mating, 0] = cross(first, second, rng, technology)
                    children[1, mating, 0] = cross(second, first, rng, technology)
            return children

    class Vary(Mutation):
        def _do(self, problem: Any, x: Any, *_: Any, **__: Any) -> Any:
            return _column([self._varied(circuit) for circuit in x[:, 0]])

        def _varied(self, circuit: Circuit) -> Circuit:
            spread = math.exp(rng.uniform(*np.log(SPREADS)))
            if rng.random() < PARENT_MUTATED:
                circuit = mutate_circuit(circuit, rng, technology)
            return within_rules(vary(circuit, rng, spread, technology), spec.conditions, technology)

    class Equal(ElementwiseDuplicateElimination):
        def is_equal(self, a: Any, b: Any) -> bool:
            return bool(a.X[0] == b.X[0])

    problem = Specification(n_var=1, n_obj=len(objectives), n_ieq_constr=max(1, len(spec.constraints)))
    algorithm = NSGA2(
        pop_size=min(POPULATION, calls),
        sampling=Random(),
        crossover=Cross(2, 2),
        mutation=Vary(),
        eliminate_duplicates=Equal(),
    )
    # Ended by the simulator: the last generation need not be whole.
    minimize(problem, algorithm, ("n_gen", 1 + 10 * calls), seed=int(rng.integers(2**31)))


def botorch(
    spec: DesignSpec,
    objectives: Sequence[str],
    technology: Technology,
    simulate: Simulate,
    calls: int,
    rng: np.random.Generator,
) -> None:
    """BoTorch's qLogNEHVI on the best few random topologies in turn, until `SpentError`."""
    found: list[tuple[Circuit, Metrics]] = []

    def run(circuits: Sequence[Circuit]) -> None:
        for circuit, metrics in zip(circuits, simulate(circuits), strict=True):
            if metrics is not None:
                found.append((circuit, metrics))

    while not found:
        run([random_circuit(spec, technology, rng) for _ in range(max(1, round(EXPLORED_SHARE * calls)))])
    # Without constraints every circuit is as good as another.
    found.sort(key=lambda pair: -spec.worst_margin(pair[1]))
    topologies = list(dict.fromkeys(circuit.topology for circuit, _ in found))[:TOPOLOGIES]
    first_order = classes.get(spec.circuit_class).first_order_values
    for topology in topologies:
        draws = [tuple(first_order(topology, spec.conditions, rng)) for _ in range(FIRST_DRAWS)]
        run([within_rules(Circuit(topology, values), spec.conditions, technology) for values in draws])
    while True:
        for topology in topologies:
            own = [(circuit, metrics) for circuit, metrics in found if circuit.topology == topology]
            reference = _reference(spec, objectives, [metrics for _, metrics in found])
            run(_next_batch(spec, objectives, technology, own, reference, rng))


def random_circuit(spec: DesignSpec, technology: Technology, rng: np.random.Generator) -> Circuit:
    """A topology from the grammar with first-order values for the specification's conditions."""
    topology = fitting_topology(spec.circuit_class, spec.conditions.supply_v, rng)
    values = classes.get(spec.circuit_class).first_order_values(topology, spec.conditions, rng)
    return within_rules(Circuit(topology, tuple(values)), spec.conditions, technology)


def _next_batch(
    spec: DesignSpec,
    objectives: Sequence[str],
    technology: Technology,
    known: Sequence[tuple[Circuit, Metrics]],
    reference: Array,
    rng: np.random.Generator,
) -> list[Circuit]:
    """What to simulate next of one topology."""
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
    from botorch.optim.optimize import optimize_acqf
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.utils.sampling import manual_seed

    topology = known[0][0].topology
    kinds, frequency = kind_numbers(topology), spec.conditions.frequency_hz
    rules = DesignRules(spec.circuit_class, spec.conditions, technology)
    ranges = np.array([rules.ranges[device.kind] for device in topology.devices])
    low, high = (normalise(kinds, ranges[:, column], frequency) for column in (0, 1))
    points = np.stack([normalise(kinds, circuit.values, frequency) for circuit, _ in known])
    x = torch.tensor(np.clip((points - low) / (high - low), 0.0, 1.0))
    gains = maximized(spec.circuit_class, [metrics for _, metrics in known], objectives)
    slacks = np.array([list(spec.margins(metrics).values()) for _, metrics in known]).reshape(len(known), -1)
    count, seed = len(objectives), int(rng.integers(2**31))
    with warnings.catch_warnings(), manual_seed(seed):
        # Of jitter on matrices and of L-BFGS that ran out of iterations, which is meant.
        warnings.simplefilter("ignore")
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            _model(x, torch.tensor(np.concatenate([gains, slacks], axis=1))),
            torch.tensor(reference),
            x,
            sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed),
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(count))),
            constraints=[_violation(count + index) for index in range(slacks.shape[1])] or None,
            prune_baseline=True,
        )
        chosen, _ = optimize_acqf(
            acquisition,
            torch.stack([torch.zeros(len(low)), torch.ones(len(low))]).double(),
            q=BATCH,
            num_restarts=RESTARTS,
            raw_samples=RAW_SAMPLES,
            sequential=True,
            options={"maxiter": STEPS},
        )
    normalised = low + chosen.numpy() * (high - low)  # (BATCH, d)
    return [rules.sized(topology, row) for row in normalised]


def _model(x: Tensor, y: Tensor) -> SingleTaskGP:
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    model = SingleTaskGP(x, y)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 50}})
    return model


def _violation(index: int) -> Callable[[Tensor], Tensor]:
    return lambda outputs: -outputs[..., index]


def _reference(spec: DesignSpec, objectives: Sequence[str], found: Sequence[Metrics]) -> Array:
    """A bound on an objective where there is one, else the worst value found, larger being better."""
    vocabulary = classes.get(spec.circuit_class).metrics
    reference = maximized(spec.circuit_class, found, objectives).min(axis=0)
    for constraint in spec.constraints:
        metric = vocabulary[constraint.metric]
        if metric.name in objectives and constraint.sense == metric.sense:
            reference[list(objectives).index(metric.name)] = metric.sign * metric.normalise(constraint.bound)
    return reference


def _column(circuits: Sequence[Circuit]) -> NDArray[np.object_]:
    """Circuits as the variables of pymoo's individuals, (N, 1)."""
    column = np.empty((len(circuits), 1), dtype=object)
    for row, circuit in enumerate(circuits):
        column[row, 0] = circuit
    return column
