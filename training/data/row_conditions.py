"""What a training row is conditioned on: its own metrics, relaxed at random, some of them hidden.

A model trained so learns "circuits that meet these bounds", whichever bounds a specification happens to name.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrf import classes
from genrf.conditioning import BOUND_FEATURES, Conditioning

SLACK_SCALES = (0.0, 0.05, 0.2, 0.6)
"""Typical slack of a row's bounds, in standard deviations of the metrics; one is drawn a row."""
ALL_BOUNDS_SHARE = 0.5
"""Share of rows for which every specification metric is bounded."""

Constants = tuple[Tensor, Tensor, Tensor, Tensor]
"""1 where a metric is better when higher (n,); 1 where a class specifies it (classes, n); the class's fixed bounds, NaN
where it has none (classes, n); the slacks."""


class RowConditions:
    """Turns the metrics of training rows into specification vectors."""

    def __init__(self, conditioning: Conditioning) -> None:
        self._n_classes = len(conditioning.classes)
        n = len(conditioning.metrics)
        self._size = conditioning.specification_size
        higher = torch.zeros(n)
        specified = torch.zeros(self._n_classes, n)
        required = torch.full((self._n_classes, n), float("nan"))
        for position, name in enumerate(conditioning.classes):
            definition = classes.get(name)
            for index, metric_name in enumerate(conditioning.metrics):
                if metric_name in definition.label_metrics:
                    higher[index] = float(definition.metrics[metric_name].better == "higher")
                    specified[position, index] = float(metric_name in definition.specification_metrics)
            for constraint in definition.requirements:
                index = conditioning.metrics.index(constraint.metric)
                required[position, index] = conditioning.standardise(name, constraint.metric, constraint.bound)
        self._constants: Constants = (higher, specified, required, torch.tensor(SLACK_SCALES))
        # Copying them at every step would make the host wait for the GPU.
        self._copies: dict[torch.device, Constants] = {}

    def __call__(self, metrics: Tensor, conditions: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Specification vectors (B, D) that the rows meet.

        Args:
            metrics: standardised metrics (B, n), NaN where a row's class has none.
            conditions: conditions vectors (B, C), which start with the one-hot class.
        """
        device = metrics.device
        batch, n = metrics.shape
        higher, specified, required, scales = self._on(device)
        position = conditions[:, : self._n_classes].argmax(dim=1)
        specified, required = specified[position], required[position]  # (B, n) each

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        scale = scales[(uniform(batch) * len(SLACK_SCALES)).long()]
        slack = -torch.log(uniform(batch, n).clamp_min(1e-6)) * scale[:, None]
        bound = torch.where(higher > 0, metrics - slack, metrics + slack)
        all_bounds = uniform(batch, 1) < ALL_BOUNDS_SHARE
        shown = torch.where(all_bounds, specified > 0, uniform(batch, n) < uniform(batch, 1))
        # A requirement is a fixed bound: shown as it stands to rows that satisfy it, and to no others.
        satisfied = torch.where(higher > 0, metrics >= required, metrics <= required)
        has_requirement = ~required.isnan()
        bound = torch.where(has_requirement, required.nan_to_num(), bound)
        shown = torch.where(has_requirement, satisfied & (all_bounds | (uniform(batch, n) < 0.7)), shown)
        shown = (shown & ~metrics.isnan()).float()
        bound = bound.nan_to_num().clamp(-6.0, 6.0) * shown
        features = torch.zeros(batch, n, BOUND_FEATURES, device=device)
        features[..., 0] = bound * higher
        features[..., 1] = shown * higher
        features[..., 2] = bound * (1 - higher)
        features[..., 3] = shown * (1 - higher)
        return torch.cat([conditions, features.flatten(1)], dim=1)

    def _on(self, device: torch.device) -> Constants:
        if device not in self._copies:
            higher, specified, required, scales = (constant.to(device) for constant in self._constants)
            self._copies[device] = (higher, specified, required, scales)
        return self._copies[device]
