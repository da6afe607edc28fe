from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_trials import TINY, job_of, reports_of, small_config

from trainable.classifier import build_classifier
from trainable.prefix import shelf
from trainable.prefix.shelf import as_pristine, pristine_backbone
from trainable.weights import Weights

STORIES: dict[str, dict[str, Any]] = {
    "head alone": {"freeze": "all"},
    "some blocks": {"freeze": 2, "epochs": 1},
    "everything": {"freeze": 0, "epochs": 1},
    "warm-up": {"freeze": 1, "head_warmup_epochs": 1},
    "thawed, then frozen": {"stages": [{"epochs": 1, "freeze": 0}, {"epochs": 1, "freeze": "all"}]},
    "averaged": {"freeze": 3, "averaging": {"kind": "swa", "start": 0.5}},
}


@pytest.fixture(autouse=True)
def _empty_shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "_SHELF", {})


@pytest.mark.parametrize("backbone", [TINY, "timm:test_convnext"])
@pytest.mark.parametrize("story", STORIES)
def test_no_trial_reaches_the_pristine_backbone(
    story: str, backbone: str, tmp_path: Path, weights_of: Callable[[str], Weights]
) -> None:
    """Trained, averaged, resumed: what the shelf holds is what the file holds."""
    config = small_config(backbone=backbone, pretrained=True, **STORIES[story])
    pristine = pristine_backbone(backbone, weights_of(backbone), 32)
    job = job_of(config, tmp_path, weights=weights_of(backbone))
    reports_of(job, stop_after=1)
    reports_of(job, resume=True)
    assert pristine.untouched
    assert as_pristine(backbone, pristine.backbone).origin == pristine.origin
    assert pristine_backbone(backbone, weights_of(backbone), 32) is pristine


@pytest.mark.parametrize("backbone", [TINY, "timm:test_convnext"])
@pytest.mark.parametrize("freeze", [0, 2, "all"])
def test_a_trial_owns_what_it_trains_and_reads_the_rest(
    backbone: str, freeze: int | str, weights_of: Callable[[str], Weights]
) -> None:
    config = small_config(backbone=backbone, pretrained=True, freeze=freeze)
    pristine = pristine_backbone(backbone, weights_of(backbone), 32).backbone
    classifier = build_classifier(config, 3, weights_of(backbone))
    lent = {tensor.data_ptr() for part in (*pristine.blocks, pristine.neck) for tensor in part.parameters()}
    classifier.freeze(len(classifier.blocks) if freeze == "all" else int(freeze))
    for parameter in classifier.parameters():
        assert (parameter.data_ptr() in lent) == (not parameter.requires_grad)


def test_the_last_ones_stay(weights_of: Callable[[str], Weights]) -> None:
    weights = weights_of(TINY)
    small, large = pristine_backbone(TINY, weights, 32), pristine_backbone(TINY, weights, 64)
    assert pristine_backbone(TINY, weights, 32) is small
    pristine_backbone(TINY, weights, 96)
    assert pristine_backbone(TINY, weights, 32) is small
    assert pristine_backbone(TINY, weights, 64) is not large


def test_one_that_was_changed_is_loaded_again(weights_of: Callable[[str], Weights]) -> None:
    changed = pristine_backbone(TINY, weights_of(TINY), 32)
    with torch.no_grad():
        next(changed.backbone.blocks[0].parameters()).add_(1)
    again = pristine_backbone(TINY, weights_of(TINY), 32)
    assert again is not changed
    assert again.origin == changed.origin
