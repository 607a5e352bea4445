"""How far the surrogate can be trusted, on topologies that it has not seen."""

from __future__ import annotations

import torch

from genrf.conditioning import Conditioning
from training.dataset import PreparedData, ValidationBatches
from training.models.surrogate import Surrogate


@torch.inference_mode()
def accuracy(model: Surrogate, data: PreparedData, conditioning: Conditioning, rows: int = 4096) -> dict[str, float]:
    """Error and calibration of each metric.

    Returns:
        For each class and metric: ``<class>/<metric>_mae`` on the metric's own scale (decades for a ``log`` metric),
        ``..._within_1`` and ``..._within_2``, the share of rows within one and two predicted standard deviations (68 %
        and 95 % if the uncertainty is right).
    """
    model = model.eval()
    errors, deviations, positions = [], [], []
    for batch in ValidationBatches(data.sample(rows, seed=0), batch_size=512):
        mean, log_variance = model(batch.values, batch.kinds, batch.nets, batch.conditions)
        errors.append((batch.metrics - mean).abs())
        deviations.append(torch.exp(0.5 * log_variance))
        positions.append(batch.conditions[:, : len(conditioning.classes)].argmax(dim=1))
    error, deviation, position = torch.cat(errors), torch.cat(deviations), torch.cat(positions)
    result: dict[str, float] = {}
    for number, circuit_class in enumerate(conditioning.classes):
        for index, name in enumerate(conditioning.metrics):
            measured = (position == number) & ~error[:, index].isnan()
            if not measured.any():
                continue
            column, sigma = error[measured, index], deviation[measured, index]
            key = f"{circuit_class}/{name}"
            result[f"{key}_mae"] = round(float(column.mean()) * conditioning.deviation[number][index], 6)
            result[f"{key}_within_1"] = round(float((column <= sigma).float().mean()), 4)
            result[f"{key}_within_2"] = round(float((column <= 2 * sigma).float().mean()), 4)
    return result
