"""A training's numbers are what they were: a change that means to keep them is proved by an identical loss curve."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.golden.renew import MODELS, golden, train


@pytest.mark.parametrize("model", MODELS)
def test_a_short_training_has_the_losses_that_it_had(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a change is meant, renew the files and review it: ``python -m tests.models.golden.renew``."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found, expected = train(model, tmp_path), golden(model)
    assert [row["step"] for row in found] == [row["step"] for row in expected] == [10, 20, 30, 40]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
