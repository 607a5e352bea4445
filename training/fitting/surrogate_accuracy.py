"""How far the surrogate can be trusted, on topologies that it has not seen."""

from __future__ import annotations

import torch
from torchmetrics.functional.classification import binary_auroc

from genrf.conditioning import Conditioning
from training.data.tensors import PreparedData, ValidationBatches
from training.models.surrogate import Surrogate


@torch.inference_mode()
def accuracy(model: Surrogate, data: PreparedData, conditioning: Conditioning, rows: int = 4096) -> dict[str, float]:
    """Error and calibration of each metric.

    Returns:
        For each class and metric: ``<class>/<metric>_mae`` on the metric's own scale (decades for a ``log`` metric),
        ``..._within_1`` and ``..._within_2``, the share of rows within one and two predicted standard deviations (68 %
        and 95 % if the uncertainty is right). For each class of which some circuits failed ``<class>/works_auroc``, the chance
        that one that works is told from one that does not.
    """
    model = model.eval()
    errors, deviations, positions, feasible = [], [], [], []
    for batch in ValidationBatches(data.sample(rows, seed=0), batch_size=512):
        mean, log_variance, logit = model(batch.values, batch.kinds, batch.nets, batch.conditions)
        errors.append((batch.metrics - mean).abs())
        deviations.append(torch.exp(0.5 * log_variance))
        feasible.append(torch.stack([logit, (~batch.metrics.isnan()).any(dim=1).float()], dim=1))
        positions.append(batch.conditions[:, : len(conditioning.classes)].argmax(dim=1))
    error, deviation, position = torch.cat(errors), torch.cat(deviations), torch.cat(positions)
    logit, worked = torch.cat(feasible).unbind(dim=1)
    result: dict[str, float] = {}
    for number, circuit_class in enumerate(conditioning.classes):
        own = position == number
        if 0 < worked[own].sum() < own.sum():
            result[f"{circuit_class}/works_auroc"] = round(float(binary_auroc(logit[own], worked[own].int())), 4)
        for index, name in enumerate(conditioning.metrics):
            measured = own & ~error[:, index].isnan()
            if not measured.any():
                continue
            column, sigma = error[measured, index], deviation[measured, index]
            key = f"{circuit_class}/{name}"
            result[f"{key}_mae"] = round(float(column.mean()) * conditioning.deviation[number][index], 6)
            result[f"{key}_within_1"] = round(float((column <= sigma).float().mean()), 4)
            result[f"{key}_within_2"] = round(float((column <= 2 * sigma).float().mean()), 4)
    return result
