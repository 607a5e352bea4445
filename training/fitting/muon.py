"""Muon for the matrices between hidden layers, AdamW for everything else, in one optimizer.

Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024) replaces the momentum of a matrix
by the nearest orthogonal one, found by Newton-Schulz iteration. On the sizing model it reaches in a given number of
steps a validation loss that AdamW needs several times as many for. ``torch.optim.Muon`` computes in bf16, one matrix
after another, which a CPU without bf16 does twenty times more slowly than 32-bit products of all matrices of a shape at
once, as done here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Quintic that drives singular values towards 1 fastest."""
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Two parameter groups: ``hidden`` matrices by Muon, the ``others`` by AdamW.

    Args:
        hidden: matrices (n, m).
        others: parameters of any shape; those with two dimensions are decayed.
        hidden_learning_rate: scaled by 0.2 sqrt(max(n, m)), so that updates are as large as AdamW's at the same rate
            (Liu et al., "Muon is scalable for LLM training", 2025, eq. 4).
        learning_rate: of the others.
    """

    def __init__(
        self,
        hidden: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        hidden_learning_rate: float,
        learning_rate: float,
        weight_decay: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        others = list(others)
        groups = [
            {"params": list(hidden), "lr": hidden_learning_rate, "weight_decay": weight_decay, "muon": True},
            {
                "params": [p for p in others if p.ndim >= 2],
                "lr": learning_rate,
                "weight_decay": weight_decay,
                "muon": False,
            },
            {"params": [p for p in others if p.ndim < 2], "lr": learning_rate, "weight_decay": 0.0, "muon": False},
        ]
        super().__init__(
            [group for group in groups if group["params"]], {"momentum": momentum, "betas": betas, "eps": 1e-8}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["muon"]:
                self._orthogonal_step(parameters, group)
            elif parameters:
                self._adam_step(parameters, group)
        return loss

    def _orthogonal_step(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        by_shape: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            shorter, longer = sorted(parameter.shape)
            by_shape[shorter, longer].append(parameter)
        for (_, longer), alike in by_shape.items():
            momenta: list[Tensor] = []
            gradients: list[Tensor] = []
            for parameter in alike:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momenta.append(state["momentum"])
                assert parameter.grad is not None
                gradients.append(parameter.grad)
            # All matrices of a shape at once: a GPU takes longer to be told of so small an operation than to do it.
            torch._foreach_lerp_(momenta, gradients, 1.0 - group["momentum"])
            updates = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov
            wide = [update if update.shape[0] <= update.shape[1] else update.mT for update in updates]
            found = orthogonalise(torch.stack(wide)).unbind()
            scale = group["lr"] * 0.2 * longer**0.5
            matrices: list[Tensor] = list(alike)
            torch._foreach_mul_(matrices, 1.0 - group["lr"] * group["weight_decay"])
            torch._foreach_sub_(
                matrices, [u if u.shape == p.shape else u.mT for p, u in zip(alike, found, strict=True)], alpha=scale
            )

    def _adam_step(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        averages, squares, steps = [], [], []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["average"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                state["step"] = torch.zeros((), device=parameter.device)
            averages.append(state["average"])
            squares.append(state["square"])
            steps.append(state["step"])
        adamw(
            list(parameters),
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            averages,
            squares,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def orthogonalise(matrices: Tensor) -> Tensor:
    """Nearly orthogonal matrices with the row and column spaces of the given ones, (k, n, m) with n <= m."""
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
